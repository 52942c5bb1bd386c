//! Files that appear whole, or not at all.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::error::AdoptError;

/// Mode of a configuration: anyone may read it, as a file made by hand.
const FILE_MODE: u32 = 0o644;

/// Writes each text to its path; one that is there already is only replaced by `force`. Where one
/// cannot be written, those after it are not; none is left half.
///
/// # Errors
/// Where a file is there already, before any is written; where one cannot be written.
pub fn write(files: &[(PathBuf, String)], force: bool) -> Result<(), AdoptError> {
    let there = files.iter().find(|(path, _)| !force && path.symlink_metadata().is_ok());
    if let Some((path, _)) = there {
        return Err(AdoptError::Exists { path: path.clone() });
    }
    for (path, text) in files {
        write_one(path, text, force).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => AdoptError::Exists { path: path.clone() },
            _ => AdoptError::Write { path: path.clone(), source },
        })?;
    }
    Ok(())
}

fn write_one(path: &Path, text: &str, force: bool) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mode = std::fs::Permissions::from_mode(FILE_MODE);
    let mut file =
        tempfile::Builder::new().prefix(".romuo-").permissions(mode).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    // What came there meanwhile is replaced only by `force`.
    if force {
        file.persist(path)?
    } else {
        file.persist_noclobber(path)?
    };
    Ok(())
}
