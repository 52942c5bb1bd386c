//! What romuo itself puts into a release, over what was shipped.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use super::error::ReleaseError;
use super::folders::FOLDER_MODE;

/// What romuo itself puts into a release. It takes the place of whatever the folder that is staged has there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Additions {
    /// Files.
    pub files: Vec<AddedFile>,
    /// Links: where, relative to the release, and what they lead to. That need not be there.
    pub links: Vec<(PathBuf, PathBuf)>,
}

/// A file that romuo puts into a release.
#[derive(Clone, PartialEq, Eq)]
pub struct AddedFile {
    /// Where, relative to the release.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
    /// Its mode.
    pub mode: u32,
}

impl fmt::Debug for AddedFile {
    /// Without its text, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut file = f.debug_struct("AddedFile");
        file.field("path", &self.path).field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Additions {
    /// Puts everything into a release that is being made, in which nobody else can write.
    pub(super) fn add(&self, release: &Path) -> Result<(), ReleaseError> {
        for AddedFile { path, text, mode } in &self.files {
            let write = |error| ReleaseError::io("stage", path)(error);
            let place = cleared(release, path).map_err(write)?;
            let new = OpenOptions::new().write(true).create_new(true).mode(*mode).open(place);
            let mut file = new.map_err(write)?;
            file.write_all(text.as_bytes()).map_err(write)?;
            // Whatever the umask.
            file.set_permissions(Permissions::from_mode(*mode)).map_err(write)?;
        }
        for (path, target) in &self.links {
            let place = cleared(release, path).map_err(ReleaseError::io("stage", path))?;
            symlink(target, place).map_err(ReleaseError::io("stage", path))?;
        }
        Ok(())
    }
}

/// The place of a path in the release, where nothing is any more, in folders that are folders of the release:
/// what was shipped may have a link there, which leads anywhere.
fn cleared(release: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut place = release.to_owned();
    let mut parts = path.components().peekable();
    if parts.peek().is_none() {
        return Err(ErrorKind::InvalidInput.into());
    }
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else { return Err(ErrorKind::InvalidInput.into()) };
        place.push(name);
        let is_last = parts.peek().is_none();
        match place.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(found) if found.is_dir() && is_last => fs::remove_dir_all(&place)?,
            Ok(found) if found.is_dir() => continue,
            // Never written to as it is: it may be a file of the release before as well.
            Ok(_) => fs::remove_file(&place)?,
        }
        if !is_last {
            DirBuilder::new().mode(FOLDER_MODE).create(&place)?;
            fs::set_permissions(&place, Permissions::from_mode(FOLDER_MODE))?;
        }
    }
    Ok(place)
}
