//! Folders that are made on the way, links and files that are replaced in one step.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::error::ReleaseError;
use crate::lock::{A_MOMENT, Lock};
use crate::unit::InstanceId;

/// Mode of the folders: whoever an instance runs as goes through them.
pub(super) const FOLDER_MODE: u32 = 0o755;

/// Whoever replaces a link has this in its folder.
const LINK_LOCK: &str = ".links.lock";

/// Makes a folder and those above it, whatever the umask.
pub(super) fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make(parent)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        result => result?,
    }
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}

/// Makes `path` a link to `target`, in one step that leaves the old or the new.
pub(super) fn replace_link(path: &Path, target: &Path) -> io::Result<()> {
    // Two that do so in one folder at once would take each other's new link.
    let folder = path.parent().unwrap_or(path);
    let _lock = Lock::wait(&folder.join(LINK_LOCK), A_MOMENT)?.leaving_nothing();
    let new = beside(path);
    clear(&new)?;
    symlink(target, &new)?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

/// Gives a file a new text, in one step that leaves the old or the new. The caller has the lock.
pub(super) fn replace_file(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let new = beside(path);
    clear(&new)?;
    let result = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(text)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(path.parent().unwrap_or(path))?.sync_all()
    })();
    if result.is_err() {
        // After the rename there is nothing left to remove.
        let _ = clear(&new);
    }
    result
}

/// Removes a file or link; false: there was none.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        result => result.map(|()| true),
    }
}

/// The entries of a folder whose names are numbers of instances; none: it is missing.
pub(super) fn numbered(folder: &Path) -> Result<Vec<(InstanceId, PathBuf)>, ReleaseError> {
    let read = |error| ReleaseError::io("read", folder)(error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.map_err(read)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(read)?;
        if let Some(instance) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            found.push((instance, entry.path()));
        }
    }
    Ok(found)
}

/// The name beside `path` under which the new one lies for a moment; the same each time, so that the
/// next run clears what a power cut left.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

fn clear(path: &Path) -> io::Result<()> {
    remove(path).map(|_| ())
}
