//! What the roller is asked to bring the instances to: a small file that outlives whoever asked.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::ReleaseError;
use super::folders;
use super::id::ReleaseId;
use super::pins::Pin;
use crate::clock::BootTime;
use crate::unit::AppName;

/// Where it lies, below a root: it is about this boot, after which all run their pins.
const FOLDER: &str = "run/romuo";

/// Its reasons may be lines of the app.
const MODE: u32 = 0o600;

/// Why the instances are brought to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// A new release is shipped.
    Deploy,
    /// One from before is brought back.
    Rollback,
    /// Nothing new: some of them run something else than the others.
    Mend,
}

/// What is asked for. A roller that is killed leaves it there, and the next one goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What all instances are to run.
    pub to: Pin,
    /// What they go back to where that does not come out well.
    pub back: Pin,
    /// Why.
    pub purpose: Purpose,
    /// The release that is judged in the history by what comes of it; none: none is.
    pub about: Option<ReleaseId>,
    /// When it was begun, for the history.
    pub since: BootTime,
    /// It did not come out well, for this reason: they are going back.
    pub failed: Option<String>,
}

impl Request {
    /// Where that of an app lies below a root.
    #[must_use]
    pub fn path(root: &Path, app: &AppName) -> PathBuf {
        root.join(FOLDER).join(format!("{app}.deploy.json"))
    }

    /// What is asked for; none: nothing.
    ///
    /// # Errors
    /// Where it cannot be read or understood.
    pub fn read(path: &Path) -> Result<Option<Self>, ReleaseError> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            result => result.map_err(ReleaseError::io("read", path))?,
        };
        let request = serde_json::from_slice(&text).map_err(|error| {
            let error = std::io::Error::new(ErrorKind::InvalidData, error);
            ReleaseError::io("understand", path)(error)
        })?;
        Ok(Some(request))
    }

    /// Asks for it.
    ///
    /// # Errors
    /// Where it cannot be written; what was asked for before still is.
    pub fn write(&self, path: &Path) -> Result<(), ReleaseError> {
        let write = |error| ReleaseError::io("write", path)(error);
        let text = serde_json::to_vec(self).map_err(|error| write(error.into()))?;
        let folder = path.parent().unwrap_or(path);
        folders::make(folder).map_err(ReleaseError::io("make", folder))?;
        folders::replace_file(path, &text, MODE).map_err(write)
    }

    /// It is done.
    ///
    /// # Errors
    /// Where it cannot be removed. It may be missing.
    pub fn remove(path: &Path) -> Result<(), ReleaseError> {
        folders::remove(path).map(|_| ()).map_err(ReleaseError::io("remove", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_is_read() {
        let root = tempfile::tempdir().unwrap();
        let path = Request::path(root.path(), &"shop".parse().unwrap());
        assert_eq!(Request::read(&path).unwrap(), None);
        Request::remove(&path).unwrap();
        let mut request = Request {
            to: Pin::Release("20261126T001100Z-abc1234".parse().unwrap()),
            back: Pin::Base,
            purpose: Purpose::Deploy,
            about: None,
            since: BootTime::ZERO,
            failed: None,
        };
        request.write(&path).unwrap();
        assert_eq!(Request::read(&path).unwrap(), Some(request.clone()));
        request.failed = Some("it threw".into());
        request.write(&path).unwrap();
        assert_eq!(Request::read(&path).unwrap(), Some(request));
        fs::write(&path, "{").unwrap();
        let error = Request::read(&path).unwrap_err().to_string();
        assert!(error.contains("cannot understand"), "{error}");
        Request::remove(&path).unwrap();
        assert_eq!(Request::read(&path).unwrap(), None);
    }
}
