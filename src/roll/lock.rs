//! The right to roll an app: one roller at a time.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// Everybody may look whether it is taken, and an instance holds it shared while it recycles itself.
const MODE: u32 = 0o644;

/// The right to roll (flock(2) on `/run/romuo/NAME.roll.lock`). It ends with the process that holds it,
/// however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it.
    #[error("another roll is under way")]
    Taken,
    /// The file cannot be made or locked.
    #[error("cannot lock {path}: {source}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Lock {
    /// Takes it, if it is free.
    ///
    /// # Errors
    /// Where it is taken, or cannot be.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let open = |source| LockError::Open { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).mode(MODE).open(path);
        let file = file.map_err(open)?;
        // Whatever the umask; only its owner can, and who is not has nothing to lock here.
        let _ = file.set_permissions(Permissions::from_mode(MODE));
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(LockError::Taken),
            Err(error) => Err(open(error.into())),
        }
    }

    /// Whether somebody has it now.
    #[must_use]
    pub fn is_taken(path: &Path) -> bool {
        let Ok(file) = File::open(path) else { return false };
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_it_and_each_can_see_that() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.roll.lock");
        assert!(!Lock::is_taken(&path));
        let lock = Lock::take(&path).unwrap();
        assert!(Lock::is_taken(&path));
        assert!(matches!(Lock::take(&path), Err(LockError::Taken)));
        drop(lock);
        assert!(!Lock::is_taken(&path));
        let nowhere = folder.path().join("none/shop.roll.lock");
        assert!(matches!(Lock::take(&nowhere), Err(LockError::Open { .. })));
    }
}
