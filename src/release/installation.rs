//! Whose the releases are: what another installation of the same name has left is put aside, and not used.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::ReleaseError;
use super::folders;
use super::lock::DeployLock;
use super::store::Store;

/// The file with the identity of the installation.
const FILE: &str = "installation";

/// Mode of that file: there is nothing to hide in it.
const MODE: u32 = 0o644;

/// The folder of what earlier ones have left.
const EARLIER: &str = "earlier";

/// What of the folder of an app belongs to an installation. The state of the app itself is not romuo's.
const OURS: [&str; 8] =
    ["releases", "instances", "current", "base", "home.toml", "releases.json", "logs", "work"];

/// What stays when all of that is removed: what the app has written (`StateDirectory=`, systemd.exec(5)).
const STATE: &str = "state";

impl Store {
    /// The identity of the installation that the releases are of; none: there are none, or it is not known.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn installation(&self) -> Result<Option<String>, ReleaseError> {
        let path = self.folder().join(FILE);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            result => result
                .map(|text| Some(text.trim().to_owned()))
                .map_err(ReleaseError::io("read", &path)),
        }
    }

    /// From now on the releases are of this installation.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn belong_to(&self, _lock: &DeployLock, identity: &str) -> Result<(), ReleaseError> {
        let path = self.folder().join(FILE);
        folders::replace_file(&path, format!("{identity}\n").as_bytes(), MODE)
            .map_err(ReleaseError::io("write", &path))
    }

    /// Puts everything aside that an earlier installation has left; where that is now. None: there was no
    /// release.
    ///
    /// # Errors
    /// Where something cannot be moved; the rest was, and the next call goes on.
    pub fn set_aside(&self, _lock: &DeployLock) -> Result<Option<PathBuf>, ReleaseError> {
        let has_history = self.history().entries().map_or(true, |entries| !entries.is_empty());
        if !has_history && self.releases()?.is_empty() {
            return Ok(None);
        }
        let name = self.installation()?.unwrap_or_else(|| "unknown".into());
        let aside = unused(&self.folder().join(EARLIER), &name);
        folders::make(&aside).map_err(ReleaseError::io("make", &aside))?;
        for name in OURS {
            let path = self.folder().join(name);
            match fs::rename(&path, aside.join(name)) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => result.map_err(ReleaseError::io("move", &path))?,
            }
        }
        Ok(Some(aside))
    }

    /// Removes everything but what the app itself has written.
    ///
    /// # Errors
    /// Where something cannot be removed.
    pub fn purge(&self, lock: DeployLock) -> Result<(), ReleaseError> {
        let folder = self.folder();
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            result => result.map_err(ReleaseError::io("read", folder))?,
        };
        for entry in entries {
            let entry = entry.map_err(ReleaseError::io("read", folder))?;
            if entry.file_name() == OsStr::new(STATE) {
                continue;
            }
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let gone = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            gone.map_err(ReleaseError::io("remove", &path))?;
        }
        drop(lock);
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
            result => result.map_err(ReleaseError::io("remove", folder)),
        }
    }
}

/// A name in a folder that nothing has yet.
fn unused(folder: &Path, name: &str) -> PathBuf {
    let mut path = folder.join(name);
    let mut number = 2_u32;
    while path.symlink_metadata().is_ok() {
        path = folder.join(format!("{name}-{number}"));
        number = number.saturating_add(1);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_one_left_is_put_aside_whole_and_the_state_of_the_app_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path().join("shop"));
        let lock = store.lock().unwrap();
        assert_eq!(store.set_aside(&lock).unwrap(), None, "there is nothing yet");
        let write = |path: &str| {
            let path = store.folder().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        for name in ["first", "second"] {
            store.belong_to(&lock, name).unwrap();
            write("releases/20260101T000000Z/app.js");
            write("state/data");
            std::os::unix::fs::symlink("releases/20260101T000000Z", store.current_path()).unwrap();
            let aside = store.set_aside(&lock).unwrap().unwrap();
            assert_eq!(aside, store.folder().join("earlier").join(name));
            assert!(aside.join("current/app.js").exists(), "its links lead to it still");
            assert_eq!(store.current().unwrap(), None);
            assert_eq!(store.releases().unwrap(), []);
            assert!(store.folder().join("state/data").exists());
        }
        // The same once more gets another name.
        write("releases/20260101T000000Z/app.js");
        let aside = store.set_aside(&lock).unwrap().unwrap();
        assert!(aside.ends_with("earlier/second-2"), "{}", aside.display());

        store.purge(lock).unwrap();
        let left: Vec<_> = fs::read_dir(store.folder()).unwrap().collect();
        assert_eq!(left.len(), 1);
        fs::remove_dir_all(store.folder().join("state")).unwrap();
        store.purge(store.lock().unwrap()).unwrap();
        assert!(!store.folder().exists());
    }
}
