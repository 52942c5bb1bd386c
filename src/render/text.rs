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
    /// No word and no variable of a program can hold it.
    #[error("it holds a NUL")]
    Nul,
    /// systemd would ignore the whole line.
    #[error("it holds a code that is no character")]
    Noncharacter,
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

/// Whether systemd takes text with this code for no UTF-8 (its `unichar_is_valid`): the last two of
/// each plane, and the range that Unicode sets apart for no character.
pub(super) fn is_noncharacter(c: char) -> bool {
    u32::from(c) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c)
}

/// The text of an absolute path without anything for which systemd would ignore its line.
fn path_text(path: &Path) -> Result<&str, TextError> {
    let text = path.to_str().ok_or(TextError::NotUtf8)?;
    if !path.is_absolute() {
        return Err(TextError::NotAbsolute);
    }
    if text.contains(char::is_control) {
        return Err(TextError::Control);
    }
    if text.contains(is_noncharacter) {
        return Err(TextError::Noncharacter);
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

/// A word of a command line, or an assignment of `Environment=` (systemd.service(5) "Command lines",
/// systemd.syntax(7) "Quoting"). Control characters are written as escapes. In a command line a `$`
/// stands for itself only behind the prefix `:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word(String);

impl Word {
    /// # Errors
    /// Where no program could get such a word.
    pub(crate) fn new(text: &str) -> Result<Self, TextError> {
        if text.contains('\0') {
            Err(TextError::Nul)
        } else if text.contains(is_noncharacter) {
            Err(TextError::Noncharacter)
        } else {
            Ok(Self(text.into()))
        }
    }
}

impl fmt::Display for Word {
    /// In double quotes where it holds anything that could mean something, or nothing at all. A `;`
    /// alone would end the command.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%,:=".contains(c);
        if !self.0.is_empty() && self.0.chars().all(plain) {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => {
                    let mut bytes = [0; 4];
                    for byte in c.encode_utf8(&mut bytes).bytes() {
                        write!(f, "\\x{byte:02x}")?;
                    }
                }
                c => fmt::Write::write_char(f, c)?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The words of a command line as systemd reads them: its `extract_first_word` with
    /// `EXTRACT_UNQUOTE | EXTRACT_CUNESCAPE`, until a `;` that stands alone, then the specifiers.
    fn words(line: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut bytes = line.bytes().peekable();
        loop {
            while bytes.next_if_eq(&b' ').is_some() {}
            let rest: Vec<u8> = bytes.clone().collect();
            if rest.is_empty() || rest == b";" || rest.starts_with(b"; ") {
                return found;
            }
            let (mut word, mut quote) = (Vec::new(), None);
            while let Some(byte) = bytes.next() {
                match byte {
                    b'\\' => match bytes.next().unwrap() {
                        b'x' => {
                            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                            let digits = std::str::from_utf8(&digits).unwrap().to_owned();
                            word.push(u8::from_str_radix(&digits, 16).unwrap());
                        }
                        escaped => {
                            assert!(b"\"'\\".contains(&escaped), "an escape of a letter: {line:?}");
                            word.push(escaped);
                        }
                    },
                    byte if quote == Some(byte) => quote = None,
                    b'"' | b'\'' if quote.is_none() => quote = Some(byte),
                    b' ' if quote.is_none() => break,
                    byte => word.push(byte),
                }
            }
            assert_eq!(quote, None, "an open quote in {line:?}");
            found.push(specifiers(&String::from_utf8(word).unwrap()));
        }
    }

    /// Expands `%%`; any other would be one that a value brought in.
    fn specifiers(word: &str) -> String {
        let parts: Vec<&str> = word.split("%%").collect();
        assert!(parts.iter().all(|part| !part.contains('%')), "a specifier in {word:?}");
        parts.join("%")
    }

    fn any_word() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[ \\\\\"'%$:;#=~@!+a-z\n\t\r-]{0,12}",
            Just(";".to_owned()),
            Just(String::new()),
            Just("%i ${HOME} $HOME \\x41\u{85}".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn systemd_reads_each_word_of_a_command_as_it_was_given(
            given in proptest::collection::vec(any_word(), 1..6),
        ) {
            use askama::filters::Escaper;
            let Ok(checked) = given.iter().map(|word| Word::new(word)).collect::<Result<Vec<_>, _>>()
            else { return Ok(()) };
            let line: Vec<String> = checked.iter().map(ToString::to_string).collect();
            let mut text = String::new();
            super::super::escape::UnitFile.write_escaped_str(&mut text, &line.join(" ")).unwrap();
            prop_assert_eq!(words(&text), given);
        }
    }

    #[test]
    fn a_word_that_means_nothing_stands_as_it_is() {
        let text = |word| Word::new(word).unwrap().to_string();
        assert_eq!(text("--port=3000"), "--port=3000");
        assert_eq!(text("app:app"), "app:app");
        assert_eq!(text(";"), "\";\"");
        assert_eq!(text(""), "\"\"");
        assert_eq!(text("a\nb"), "\"a\\x0ab\"");
        assert_eq!(Word::new("a\0"), Err(TextError::Nul));
        assert_eq!(Word::new("a\u{ffff}"), Err(TextError::Noncharacter));
    }
}
