//! The tables in a document, each between a line of its own and the end.

use std::path::Path;

use crate::{Result, broken};

/// Where a table ends in its document.
const END: &str = "<!-- end of table -->";

/// Writes a table in the place of the one that begins behind `begin`.
pub(crate) fn write(path: &Path, begin: &str, table: &str) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let parts =
        text.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        return Err(broken(format!("{} has no place for the table", path.display())));
    };
    Ok(std::fs::write(path, format!("{before}{begin}\n{table}\n{END}{after}"))?)
}
