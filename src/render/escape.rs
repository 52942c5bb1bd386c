//! The escaper that askama runs over every value it puts into a unit file (see `askama.toml`).
//!
//! It holds what is true of all values, wherever they stand (systemd.syntax(7), systemd.unit(5)):
//! `%` starts a specifier and is doubled; a line end would start a directive of the value's own, so
//! control characters are an error. What depends on the place is in the types of [`super::text`];
//! they have refused such values before, with a better sentence. This is the last line.

use std::fmt;

/// The escaper of `.service`, `.socket` and `.target`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnitFile;

impl askama::filters::Escaper for UnitFile {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                c if c.is_control() => return Err(fmt::Error),
                '%' => dest.write_str("%%")?,
                c => dest.write_char(c)?,
            }
        }
        Ok(())
    }
}
