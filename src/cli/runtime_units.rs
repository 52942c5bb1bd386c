//! Files of units that are gone after a boot: written and taken away while systemd runs.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::error::Failure;

/// Mode of the folders of units and drop-ins, as systemd makes them.
const FOLDER_MODE: u32 = 0o755;

/// Mode of a unit's file: everyone may see what runs.
const FILE_MODE: u32 = 0o644;

/// Writes files, each with its text; systemd has to read its units again afterwards.
pub(super) fn write(files: &[(PathBuf, String)]) -> Result<(), Failure> {
    for (path, text) in files {
        let folder = path.parent().unwrap_or(path);
        // Whoever asks may see what runs, whatever the mask of this process.
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE)))
            .and_then(|()| fs::write(path, text))
            .and_then(|()| fs::set_permissions(path, Permissions::from_mode(FILE_MODE)));
        written.map_err(|source| Failure::Write { path: path.clone(), source })?;
    }
    Ok(())
}

/// Removes those of the files that are there.
pub(super) fn remove(files: &[(PathBuf, String)]) -> Result<(), Failure> {
    for (path, _) in files {
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => result.map_err(|source| Failure::Write { path: path.clone(), source })?,
        }
    }
    Ok(())
}
