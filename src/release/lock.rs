//! The lock of a deploy: one at a time for an app.
//!
//! The kernel lets go of it when the deployer ends, however that comes. What stands in the file is only
//! for the message to the next one.

use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::error::ReleaseError;
use super::who;
use crate::clock::BootTime;
use crate::config::format_duration;

/// Everybody may see who deploys.
const MODE: u32 = 0o644;

/// Longest text that is read of it, in bytes: a user name and two numbers.
const TEXT_MAX: u64 = 4096;

/// Who deploys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The login name of who started it.
    pub user: String,
    /// Since when.
    pub since: BootTime,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, user, since } = self;
        let seconds = Duration::from_secs(BootTime::now().since(*since).as_secs());
        write!(f, "{user} has been deploying for {} (process {pid})", format_duration(seconds))
    }
}

/// The right to deploy an app. It ends when this is dropped.
#[derive(Debug)]
pub struct DeployLock(File);

impl DeployLock {
    pub(super) fn take(path: &Path) -> Result<Self, ReleaseError> {
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(ReleaseError::io("lock", path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(ReleaseError::Taken { holder: read(&mut file) });
            }
            result => result.map_err(ReleaseError::io("lock", path))?,
        }
        let mut lock = Self(file);
        // On a full disk there is no message, and still a lock: it takes a deploy to make space.
        let _ = lock.write();
        Ok(lock)
    }

    fn write(&mut self) -> io::Result<()> {
        let holder = Holder { pid: std::process::id(), user: who::login(), since: BootTime::now() };
        self.0.set_len(0)?;
        self.0.set_permissions(Permissions::from_mode(MODE))?;
        self.0.write_all(&serde_json::to_vec(&holder)?)
    }
}

impl Drop for DeployLock {
    /// Lets go of it outright: closing the file is not enough while a process that another thread is
    /// starting at this moment holds a copy of it (flock(2)).
    fn drop(&mut self) {
        // The next one must not be told of this one. Neither can fail on a file that is open and locked.
        let _ = self.0.set_len(0);
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = Vec::new();
    file.take(TEXT_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_and_the_next_one_is_told_who() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deploy.lock");
        let lock = DeployLock::take(&path).unwrap();
        let Err(ReleaseError::Taken { holder: Some(holder) }) = DeployLock::take(&path) else {
            panic!("it is taken");
        };
        assert_eq!((holder.pid, &holder.user), (std::process::id(), &who::login()));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, MODE);
        drop(lock);
        assert_eq!(path.metadata().unwrap().len(), 0);
        DeployLock::take(&path).unwrap();
    }

    #[test]
    fn a_killed_deployer_leaves_nothing_that_would_stop_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deploy.lock");
        std::fs::write(&path, "{\"pid\":1,\"user\":\"a much longer name\",\"since\":0}").unwrap();
        let _lock = DeployLock::take(&path).unwrap();
        let error = DeployLock::take(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
    }

    #[test]
    fn it_is_said_who_deploys_and_since_when() {
        let holder = Holder { pid: 4711, user: "alice".into(), since: BootTime::ZERO };
        let text = ReleaseError::Taken { holder: Some(holder) }.to_string();
        let (start, end) = ("alice has been deploying for ", " (process 4711)");
        assert!(text.starts_with(start) && text.ends_with(end), "{text}");
    }
}
