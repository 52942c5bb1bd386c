//! The lock of a roll: as long as it lasts, no instance of the app is recycled.
//!
//! It is a file beside the runtime folder of the app, which only root writes and everybody may look
//! at. The kernel lets go of it when the roller ends, however that comes.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Added to the name of the app's runtime folder.
const SUFFIX: &str = ".roll.lock";

/// The instances' user has to read it, to ask who has it locked.
const MODE: u32 = 0o644;

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
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(path(dir))?;
        // The roll's unit has a strict umask.
        file.set_permissions(Permissions::from_mode(MODE))?;
        Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok().then(|| Self(file)))
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
}
