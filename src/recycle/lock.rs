//! The lock of a roll, and of whoever else changes the instances: as long as it lasts, no instance of
//! the app is recycled.
//!
//! It is a file beside the runtime folder of the app, which only root writes and everybody may look
//! at. The kernel lets go of it when the roller ends, however that comes.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Added to the name of the app's runtime folder.
const SUFFIX: &str = ".roll.lock";

/// The instances' user has to read it, to ask who has it locked.
const MODE: u32 = 0o644;

/// Mode of the folder, where systemd has not made it yet: as its `RuntimeDirectoryMode=`.
const FOLDER_MODE: u32 = 0o755;

/// The most that is read of what is said in it, in bytes: one sentence.
const SAID_MAX: u64 = 1 << 10;

/// The right to roll. It ends when this is dropped.
#[derive(Debug)]
pub struct RollLock(File);

impl RollLock {
    /// Takes it, for the app with the runtime folder `dir`; none: somebody else has it, or is looking at
    /// this moment.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub fn take(dir: &Path) -> io::Result<Option<Self>> {
        let path = path(dir);
        make_folder(&path)?;
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(path)?;
        // The roll's unit has a strict umask.
        file.set_permissions(Permissions::from_mode(MODE))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        // What the one before said of itself.
        file.set_len(0)?;
        Ok(Some(Self(file)))
    }

    /// Says what it is held for, where that is not a roll: the end of a sentence that begins with the
    /// app.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn say(&self, what: &str) -> io::Result<()> {
        (&self.0).write_all(what.as_bytes())
    }

    /// What is said of it; none: it is held for a roll, or by nobody.
    #[must_use]
    pub fn said(dir: &Path) -> Option<String> {
        let mut text = String::new();
        File::open(path(dir)).ok()?.take(SAID_MAX).read_to_string(&mut text).ok()?;
        (!text.is_empty() && Self::is_taken(dir)).then_some(text)
    }

    /// Whether a roll of that app is under way. Where the lock cannot be looked at there was none yet.
    #[must_use]
    pub fn is_taken(dir: &Path) -> bool {
        let Ok(file) = File::open(path(dir)) else { return false };
        let looked = flock(&file, FlockOperation::NonBlockingLockShared);
        // What was locked for the look is let go of at once.
        looked.map(|()| drop(Self(file))) == Err(rustix::io::Errno::WOULDBLOCK)
    }
}

impl Drop for RollLock {
    /// Lets go of it outright: closing the file is not enough while a process that another thread is
    /// starting at this moment holds a copy of it (flock(2)).
    fn drop(&mut self) {
        // It cannot fail on a file that is locked.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Before the first start after a boot there is no folder yet.
fn make_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    // The umask took its part of the mode above.
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))
}

/// By its text: the folder of a dynamic user is a link to another place.
fn path(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(SUFFIX);
    dir.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_seen_as_long_as_it_lasts_and_one_has_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("shop");
        assert!(!RollLock::is_taken(&dir), "never a roll");
        let lock = RollLock::take(&dir).unwrap().unwrap();
        assert!(RollLock::is_taken(&dir));
        assert!(RollLock::take(&dir).unwrap().is_none());
        let mode = root.path().join("shop.roll.lock").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        drop(lock);
        assert!(!RollLock::is_taken(&dir));
        assert!(RollLock::take(&dir).unwrap().is_some(), "a look leaves nothing behind");
    }

    #[test]
    fn what_is_said_lasts_as_long_as_the_lock() {
        let root = tempfile::tempdir().unwrap();
        // Nothing of the app was ever started.
        let dir = root.path().join("romuo/shop");
        let lock = RollLock::take(&dir).unwrap().unwrap();
        assert_eq!(RollLock::said(&dir), None, "it is a roll");
        lock.say("is being scaled").unwrap();
        assert_eq!(RollLock::said(&dir).as_deref(), Some("is being scaled"));
        drop(lock);
        assert_eq!(RollLock::said(&dir), None, "nobody has it");
        let _roll = RollLock::take(&dir).unwrap().unwrap();
        assert_eq!(RollLock::said(&dir), None, "it was another one");
    }
}
