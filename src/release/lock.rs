//! The lock of a deploy: one at a time for an app.

use std::path::Path;

use super::error::ReleaseError;
use crate::lock::{Holder, Lock};

/// The right to deploy an app. It ends when this is dropped.
#[derive(Debug)]
pub struct DeployLock(#[expect(dead_code, reason = "it is held, and let go of")] Lock);

impl DeployLock {
    pub(super) fn take(path: &Path) -> Result<Self, ReleaseError> {
        let taken = Lock::take(path).map_err(ReleaseError::io("lock", path))?;
        let lock = taken.ok_or_else(|| ReleaseError::Taken { holder: Holder::of(path) })?;
        lock.say("deploying");
        Ok(Self(lock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::login;

    #[test]
    fn one_has_it_and_the_next_one_is_told_who() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deploy.lock");
        let lock = DeployLock::take(&path).unwrap();
        let Err(ReleaseError::Taken { holder: Some(holder) }) = DeployLock::take(&path) else {
            panic!("it is taken");
        };
        assert_eq!((holder.pid, &holder.user), (std::process::id(), &login()));
        drop(lock);
        assert_eq!(path.metadata().unwrap().len(), 0);
        DeployLock::take(&path).unwrap();
    }

    #[test]
    fn a_killed_deployer_leaves_nothing_that_would_stop_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deploy.lock");
        // As an older version wrote it, too.
        std::fs::write(&path, "{\"pid\":1,\"user\":\"a much longer name\",\"since\":0}").unwrap();
        let _lock = DeployLock::take(&path).unwrap();
        let error = DeployLock::take(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
    }
}
