//! Text of others, as it may be printed, and words that were mistyped.
//!
//! A terminal obeys what it is sent: a sequence of control characters moves the cursor over lines that
//! are there, changes the title, or answers with keys that nobody pressed; a bidirectional control shows
//! a line in another order than it has. So whatever a visitor, an app, a file's name or another program
//! said is shown with those characters written out: `\x1b`, `\u{202e}`. A tab stays.
//!
//! A backslash stays as it is: JSON and paths remain legible, and what is shown may be shown again
//! without a change. Who has to tell the character from its name reads it with `--output=json`, which is
//! exact ([`json`]).

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod hidden;
mod near;
mod stream;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

use self::hidden::is_hidden;
pub use self::near::nearest;
pub use self::stream::Shower;

/// What our own styles set (SGR, ECMA-48): none, bold, dim, and the colours but black and white. Nothing
/// hides text with them.
const STYLES: [&str; 11] = ["", "0", "1", "2", "22", "31", "32", "33", "34", "35", "36"];

/// A text on one line: a line end is written out too.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, |_| None)
}

/// A path, on one line; what is no UTF-8 in it is replaced.
#[must_use]
pub fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy()).into_owned()
}

/// A text of several lines: each but the first begins with `indent`, so that none can be taken for
/// something else than the rest of the first.
#[must_use]
pub fn shown_below<'a>(text: &'a str, indent: &str) -> Cow<'a, str> {
    let mut lines = text.split('\n');
    match (lines.next(), lines.next()) {
        (Some(first), Some(second)) => {
            let mut all = shown(first).into_owned();
            for line in std::iter::once(second).chain(lines) {
                all.push('\n');
                all.push_str(indent);
                all.push_str(&shown(line));
            }
            all.into()
        }
        _ => shown(text),
    }
}

/// A text of our own in which there may be some of others: its lines and our own styles stay as they
/// are. The last thing that is done to whatever is printed.
#[must_use]
pub fn printed(text: &str) -> Cow<'_, str> {
    escaped(text, |rest| if rest.starts_with('\n') { Some(1) } else { style(rest) })
}

/// The same without any style.
#[must_use]
pub fn printed_plain(text: &str) -> Cow<'_, str> {
    escaped(text, |rest| rest.starts_with('\n').then_some(1))
}

/// The text of a JSON value, with what JSON itself allows in a string, but no terminal should see,
/// written as JSON writes it (RFC 8259, section 7): the value is the same.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    // Outside of strings JSON has no such character but the line end, and inside it has none.
    replaced(
        text,
        |rest| rest.starts_with('\n').then_some(1),
        |out, c| {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        },
    )
}

/// The length of a style of our own that `rest` begins with.
fn style(rest: &str) -> Option<usize> {
    let (codes, _) = rest.strip_prefix("\x1b[")?.split_once('m')?;
    let is_ours = codes.split(';').all(|code| STYLES.contains(&code));
    is_ours.then_some("\x1b[".len() + codes.len() + "m".len())
}

fn escaped(text: &str, keep: impl Fn(&str) -> Option<usize>) -> Cow<'_, str> {
    replaced(text, keep, |out, c| {
        // Writing to a String cannot fail.
        let _ = match u32::from(c) {
            code @ ..=0xff => write!(out, "\\x{code:02x}"),
            code => write!(out, "\\u{{{code:x}}}"),
        };
    })
}

/// The text with each hidden character replaced, but where `keep` says of the rest of the text, which
/// begins with it, how many bytes stay. Nothing is allocated where nothing is replaced.
fn replaced(
    text: &str,
    keep: impl Fn(&str) -> Option<usize>,
    replace: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    let mut out = String::new();
    // Up to here it is in `out`, up to there it stays.
    let (mut copied, mut kept) = (0, 0);
    for (at, c) in text.char_indices() {
        if at < kept || !is_hidden(c) {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        if let Some(length) = keep(rest) {
            kept = at + length;
            continue;
        }
        out.push_str(text.get(copied..at).unwrap_or_default());
        replace(&mut out, c);
        copied = at + c.len_utf8();
    }
    if copied == 0 {
        return text.into();
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out.into()
}

#[cfg(test)]
mod tests;
