//! What rollers leave for each other in `/run/romuo`: JSON in files of its own.

use std::fs::{File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;

/// The most that is read of a file, in bytes: it holds some ids and a few journal lines.
const FILE_MAX: u64 = 1 << 20;

/// Writes a value to `path`, in place of an earlier one: whole or not at all.
///
/// # Errors
/// Where the folder cannot be written to; the earlier one is still there then.
pub(super) fn write(value: &impl Serialize, path: &Path, mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut file, value)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// What is kept at `path`; none where nothing is, or nothing that can be read.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(FILE_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
