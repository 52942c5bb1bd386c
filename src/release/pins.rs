//! Which release each instance runs, as links that systemd follows when it starts one.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::ReleaseError;
use super::folders;
use super::id::ReleaseId;
use super::store::{CONFIG_FILE, CONFIG_MODE, Store};
use crate::unit::InstanceId;

/// The name of the folder of [`Pin::Base`].
const BASE: &str = "base";

/// What an instance runs. As text: the id of the release, or `base`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pin {
    /// A release.
    Release(ReleaseId),
    /// What the app was before its first release: the folder that its configuration named then.
    Base,
}

impl Pin {
    /// The release; none: it is none.
    #[must_use]
    pub fn release(&self) -> Option<&ReleaseId> {
        match self {
            Self::Release(id) => Some(id),
            Self::Base => None,
        }
    }
}

impl TryFrom<String> for Pin {
    type Error = <ReleaseId as FromStr>::Err;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == BASE { Ok(Self::Base) } else { text.parse().map(Self::Release) }
    }
}

impl From<Pin> for String {
    fn from(pin: Pin) -> Self {
        pin.release().map_or_else(|| BASE.to_owned(), ToString::to_string)
    }
}

impl From<&Pin> for Pin {
    fn from(pin: &Self) -> Self {
        pin.clone()
    }
}

impl From<&ReleaseId> for Pin {
    fn from(id: &ReleaseId) -> Self {
        Self::Release(id.clone())
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(id) => write!(f, "release {id}"),
            Self::Base => f.write_str("what was there before the first release"),
        }
    }
}

impl Store {
    /// From its next start on, the instance runs this.
    ///
    /// # Errors
    /// Where there is no such release, or the link cannot be written; the pin is as it was.
    pub fn pin(&self, instance: InstanceId, pin: impl Into<Pin>) -> Result<(), ReleaseError> {
        let folder = self.pins_folder();
        folders::make(&folder).map_err(ReleaseError::io("make", &folder))?;
        let target = match pin.into() {
            Pin::Release(release) => {
                self.must_exist(&release)?;
                format!("../releases/{release}")
            }
            Pin::Base => format!("../{BASE}"),
        };
        self.point(&self.pin_path(instance), &target)
    }

    /// Keeps the configuration of the app from before its first release, so that instances can go back
    /// to that.
    ///
    /// # Errors
    /// Where it cannot be written; the one before is as it was.
    pub fn set_base(&self, configuration: &str) -> Result<(), ReleaseError> {
        let folder = self.base_folder();
        folders::make(&folder).map_err(ReleaseError::io("make", &folder))?;
        let path = folder.join(CONFIG_FILE);
        folders::replace_file(&path, configuration.as_bytes(), CONFIG_MODE)
            .map_err(ReleaseError::io("write", &path))
    }

    /// The file with the configuration that belongs to what an instance runs.
    #[must_use]
    pub fn config_path(&self, pin: &Pin) -> PathBuf {
        match pin {
            Pin::Release(id) => self.path(id),
            Pin::Base => self.base_folder(),
        }
        .join(CONFIG_FILE)
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

    /// Which release each instance is pinned to; those that run none are left out.
    ///
    /// # Errors
    /// As [`pins`](Self::pins).
    pub fn pinned(&self) -> Result<BTreeMap<InstanceId, ReleaseId>, ReleaseError> {
        let release = |(instance, pin): (_, Pin)| Some((instance, pin.release()?.clone()));
        Ok(self.pins()?.into_iter().filter_map(release).collect())
    }

    /// What each instance is pinned to.
    ///
    /// # Errors
    /// Where a pin cannot be read, or is not one of romuo's: then nobody knows which releases are in use.
    pub fn pins(&self) -> Result<BTreeMap<InstanceId, Pin>, ReleaseError> {
        let mut pins = BTreeMap::new();
        for (instance, path) in folders::numbered(&self.pins_folder())? {
            if let Some(pin) = self.target(&path)? {
                pins.insert(instance, pin);
            }
        }
        Ok(pins)
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
        Ok(self.target(&self.current_path())?.and_then(|pin| pin.release().cloned()))
    }

    /// This came out of a deploy well.
    ///
    /// # Errors
    /// Where there is no such release, or the link cannot be written; it is as it was.
    pub fn set_current(&self, pin: impl Into<Pin>) -> Result<(), ReleaseError> {
        let path = self.current_path();
        match pin.into() {
            Pin::Release(release) => {
                self.must_exist(&release)?;
                self.point(&path, &format!("releases/{release}"))
            }
            Pin::Base => {
                self.target(&path)?;
                folders::remove(&path).map(|_| ()).map_err(ReleaseError::io("remove", &path))
            }
        }
    }

    /// What an instance is pinned to; none: nothing.
    ///
    /// # Errors
    /// Where the link cannot be read, or is not one of romuo's.
    pub fn pin_of(&self, instance: InstanceId) -> Result<Option<Pin>, ReleaseError> {
        self.target(&self.pin_path(instance))
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

    fn base_folder(&self) -> PathBuf {
        self.folder().join(BASE)
    }

    /// What a link leads to; none: there is no link.
    fn target(&self, path: &Path) -> Result<Option<Pin>, ReleaseError> {
        let other = |found: String| ReleaseError::NotALink { path: path.into(), found };
        let target = match fs::read_link(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            // It is there, and no link.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(other("a file or folder".into()));
            }
            result => result.map_err(ReleaseError::io("read", path))?,
        };
        if target == Path::new("..").join(BASE) {
            return Ok(Some(Pin::Base));
        }
        let id = target.file_name().and_then(|name| name.to_str()?.parse::<ReleaseId>().ok());
        let folder = path.parent().unwrap_or(path).join(target.parent().unwrap_or(&target));
        let ours = |folder: &Path| {
            let real = |path: &Path| fs::canonicalize(path).ok();
            real(folder).is_some_and(|folder| Some(folder) == real(&self.releases_folder()))
        };
        match id {
            Some(id) if ours(&folder) => Ok(Some(Pin::Release(id))),
            _ => Err(other(format!("a link to {}", target.display()))),
        }
    }
}
