//! Which release each instance runs, as links that systemd follows when it starts one.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::ReleaseError;
use super::folders;
use super::id::ReleaseId;
use super::store::Store;
use crate::unit::InstanceId;

impl Store {
    /// From its next start on, the instance runs this release.
    ///
    /// # Errors
    /// Where there is no such release, or the link cannot be written; the pin is as it was.
    pub fn pin(&self, instance: InstanceId, release: &ReleaseId) -> Result<(), ReleaseError> {
        self.must_exist(release)?;
        let folder = self.pins_folder();
        folders::make(&folder).map_err(ReleaseError::io("make", &folder))?;
        self.point(&self.pin_path(instance), &format!("../releases/{release}"))
    }

    /// The instance is gone, and no release is kept for it. False: it had none.
    ///
    /// # Errors
    /// Where the link cannot be removed.
    pub fn unpin(&self, instance: InstanceId) -> Result<bool, ReleaseError> {
        let path = self.pin_path(instance);
        self.target(&path)?;
        folders::remove(&path).map_err(ReleaseError::io("remove", &path))
    }

    /// Which release each instance runs.
    ///
    /// # Errors
    /// Where a pin cannot be read, or is not one of romuo's: then nobody knows which releases are in use.
    pub fn pinned(&self) -> Result<BTreeMap<InstanceId, ReleaseId>, ReleaseError> {
        let folder = self.pins_folder();
        let read = |error| ReleaseError::io("read", &folder)(error);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
            result => result.map_err(read)?,
        };
        let mut pinned = BTreeMap::new();
        for entry in entries {
            let entry = entry.map_err(read)?;
            let Some(instance) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            else {
                continue;
            };
            if let Some(release) = self.target(&entry.path())? {
                pinned.insert(instance, release);
            }
        }
        Ok(pinned)
    }

    /// The link that an instance runs its release by.
    #[must_use]
    pub fn pin_path(&self, instance: InstanceId) -> PathBuf {
        self.pins_folder().join(instance.to_string())
    }

    /// The release that came out of a deploy well, the last one; none: none did yet.
    ///
    /// # Errors
    /// Where the link cannot be read, or is not one of romuo's.
    pub fn current(&self) -> Result<Option<ReleaseId>, ReleaseError> {
        self.target(&self.current_path())
    }

    /// This release came out of a deploy well.
    ///
    /// # Errors
    /// Where there is no such release, or the link cannot be written; it is as it was.
    pub fn set_current(&self, release: &ReleaseId) -> Result<(), ReleaseError> {
        self.must_exist(release)?;
        self.point(&self.current_path(), &format!("releases/{release}"))
    }

    /// The link to the current release.
    #[must_use]
    pub fn current_path(&self) -> PathBuf {
        self.folder().join("current")
    }

    fn pins_folder(&self) -> PathBuf {
        self.folder().join("instances")
    }

    pub(super) fn must_exist(&self, release: &ReleaseId) -> Result<(), ReleaseError> {
        if self.path(release).is_dir() {
            return Ok(());
        }
        Err(ReleaseError::Unknown { id: release.clone(), folder: self.releases_folder() })
    }

    fn point(&self, path: &Path, target: &str) -> Result<(), ReleaseError> {
        // What is not one of romuo's links is not replaced.
        self.target(path)?;
        folders::replace_link(path, Path::new(target)).map_err(ReleaseError::io("write", path))
    }

    /// The release that a link leads to; none: there is no link.
    fn target(&self, path: &Path) -> Result<Option<ReleaseId>, ReleaseError> {
        let other = |found: String| ReleaseError::NotALink { path: path.into(), found };
        let target = match fs::read_link(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            // It is there, and no link.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(other("a file or folder".into()));
            }
            result => result.map_err(ReleaseError::io("read", path))?,
        };
        let id = target.file_name().and_then(|name| name.to_str()?.parse::<ReleaseId>().ok());
        let folder = path.parent().unwrap_or(path).join(target.parent().unwrap_or(&target));
        let ours = |folder: &Path| {
            let real = |path: &Path| fs::canonicalize(path).ok();
            real(folder).is_some_and(|folder| Some(folder) == real(&self.releases_folder()))
        };
        match id {
            Some(id) if ours(&folder) => Ok(Some(id)),
            _ => Err(other(format!("a link to {}", target.display()))),
        }
    }
}
