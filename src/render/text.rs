//! Values as they stand in a unit file, one type for each kind of place (systemd.syntax(7),
//! systemd.service(5) "Command lines"). To make one is to check it: what cannot stand there is an
//! error. Specifiers (`%`) are left to the escaper.

use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Why a value cannot stand in a unit file. Completes the sentence "`x` cannot be written to a unit
/// file: it ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A line end, NUL or another control character: it could add directives.
    #[error("it holds a control character")]
    Control,
    /// Unit files are UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// systemd strips white space at the end of a line.
    #[error("it ends in white space")]
    TrailingSpace,
    /// A backslash at the end of a line continues the line.
    #[error("it ends in a backslash")]
    TrailingBackslash,
    /// Only absolute paths mean the same everywhere.
    #[error("it is not an absolute path")]
    NotAbsolute,
}

/// The text of an absolute path without control characters.
fn path_text(path: &Path) -> Result<&str, TextError> {
    let text = path.to_str().ok_or(TextError::NotUtf8)?;
    if !path.is_absolute() {
        return Err(TextError::NotAbsolute);
    }
    if text.contains(char::is_control) {
        return Err(TextError::Control);
    }
    Ok(text)
}

/// A path that is all there is right of `=`. systemd takes it as it stands: nothing can be quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BarePath(String);

impl BarePath {
    /// # Errors
    /// Where systemd would read something else.
    pub(crate) fn new(path: &Path) -> Result<Self, TextError> {
        let text = path_text(path)?;
        if text.ends_with(' ') {
            return Err(TextError::TrailingSpace);
        }
        if text.ends_with('\\') {
            return Err(TextError::TrailingBackslash);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for BarePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path as one word: in a list of paths, or as the program of a command line. There a `$` stands
/// for itself; only in the arguments behind the program it starts a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathWord(String);

impl PathWord {
    /// # Errors
    /// Where systemd would read something else.
    pub(crate) fn new(path: &Path) -> Result<Self, TextError> {
        path_text(path).map(|text| Self(text.into()))
    }
}

impl fmt::Display for PathWord {
    /// In double quotes where it holds anything that could mean something: a space ends a word, a
    /// colon ends a path of `BindReadOnlyPaths=`, and so on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%".contains(c);
        if self.0.chars().all(plain) {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            fmt::Write::write_char(f, c)?;
        }
        f.write_str("\"")
    }
}

/// A time span (systemd.time(7)). systemd counts microseconds: what is finer is rounded up, so that
/// a deadline is never shorter than what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeSpan(pub(crate) Duration);

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_nanos().div_ceil(1000);
        // systemd holds a time in 64 bits, and the largest stands for "never".
        if micros >= u128::from(u64::MAX) {
            f.write_str("infinity")
        } else if micros.is_multiple_of(1_000_000) {
            write!(f, "{}s", micros / 1_000_000)
        } else if micros.is_multiple_of(1000) {
            write!(f, "{}ms", micros / 1000)
        } else {
            write!(f, "{micros}us")
        }
    }
}
