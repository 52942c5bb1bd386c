//! A property of what a terminal is sent, for the fuzzer: see `src/fuzz.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a property that does not hold ends in a panic"
)]

use super::{Shower, json, printed, printed_plain, shown, shown_below};
use crate::fuzz::ways_to_cut;

/// What a terminal is sent of any text says the same and makes it do nothing: no character that it obeys is
/// left but the styles that are our own, however the text came in pieces; and JSON keeps its value.
pub(crate) fn terminal(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    let line = shown(text);
    assert!(!line.contains(is_obeyed), "{line:?}");
    assert_eq!(unescaped(&line), unescaped(text));
    assert_eq!(shown(&line), line, "what is shown may be shown again");

    let lines = printed_plain(text);
    assert!(!lines.contains(|c| is_obeyed(c) && c != '\n'), "{lines:?}");
    assert_eq!(unescaped(&lines), unescaped(text));
    let styled = printed(text);
    assert!(!unstyled(&styled).contains(|c| is_obeyed(c) && c != '\n'), "{styled:?}");
    assert_eq!(unescaped(&styled), unescaped(text));

    let below = shown_below(text, "  | ");
    assert_eq!(below.split('\n').count(), text.split('\n').count());
    assert!(below.split('\n').skip(1).all(|line| line.starts_with("  | ")));
    assert!(!below.contains(|c| is_obeyed(c) && c != '\n'), "{below:?}");

    let value = serde_json::Value::from(vec![text]);
    for written in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
        let written = json(&written);
        assert!(!written.contains(|c| is_obeyed(c) && c != '\n'), "{written:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).ok().as_ref(), Some(&value));
    }

    let whole = in_pieces(&[bytes]);
    for pieces in ways_to_cut(bytes) {
        assert_eq!(in_pieces(&pieces), whole, "{pieces:?}");
    }
    assert!(whole.is_empty() || whole.ends_with('\n'));
    assert!(whole.lines().all(|line| line.starts_with("| ")), "{whole:?}");
    assert!(!whole.contains(|c| is_obeyed(c) && c != '\n'), "{whole:?}");
}

fn in_pieces(pieces: &[&[u8]]) -> String {
    let mut shower = Shower::new("| ");
    let mut all: String = pieces.iter().map(|piece| shower.add(piece)).collect();
    all += &shower.end();
    all
}

/// Control characters (ECMA-48: C0, DEL and C1) but the tab; the bidirectional controls (UAX #9), and the ends
/// of lines of Unicode.
fn is_obeyed(c: char) -> bool {
    let code = u32::from(c);
    (code < 0x20 && c != '\t')
        || (0x7f..=0x9f).contains(&code)
        || [0x61c, 0x200e, 0x200f, 0x2028, 0x2029].contains(&code)
        || (0x202a..=0x202e).contains(&code)
        || (0x2066..=0x2069).contains(&code)
}

/// A text without sequences that set a style, as a terminal reads them (ECMA-48, 5.4 and 8.3.117): the colours
/// that can be read on any ground, bold and dim.
fn unstyled(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out.push_str(before);
        // Parameters, intermediate bytes, and the one that says what it is.
        let length = after.bytes().take_while(|byte| (0x20..=0x3f).contains(byte)).count();
        let (codes, behind) = after.split_at(length);
        let mut codes = codes.split(';');
        let is_ours = codes.all(|code| {
            matches!(code, "" | "0" | "1" | "2" | "22" | "31" | "32" | "33" | "34" | "35" | "36")
        });
        assert!(is_ours && behind.starts_with('m'), "what is no style of ours: {text:?}");
        rest = &behind[1..];
    }
    out + rest
}

/// A text with the names of characters, `\x1b` and `\u{202e}`, as those characters.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let named = |prefix: &str, length: Option<usize>, end: &str| {
            let after = after.strip_prefix(prefix)?;
            let length = length.or_else(|| after.find(end))?;
            let (digits, behind) = after.split_at_checked(length)?;
            let is_code =
                !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let code = u32::from_str_radix(digits, 16).ok().filter(|_| is_code)?;
            Some((char::from_u32(code)?, behind.strip_prefix(end)?))
        };
        if let Some((c, behind)) = named("x", Some(2), "").or_else(|| named("u{", None, "}")) {
            out.push(c);
            rest = behind;
        } else {
            out.push('\\');
            rest = after;
        }
    }
    out + rest
}
