//! What an instance is to try: a release that its next start runs, once.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::ReleaseError;
use super::folders;
use super::id::ReleaseId;
use super::store::Store;
use crate::unit::{AppName, InstanceId};

/// Where the folders of trials are, below a root. It is empty after a boot: then all run their pins.
const FOLDER: &str = "run/romuo";

/// The trials of an app: links in a folder of root's, beside that of the instances.
#[derive(Debug, Clone)]
pub struct Trials {
    folder: PathBuf,
}

impl Trials {
    /// Those of an app below a root; `/` is the running machine.
    #[must_use]
    pub fn new(root: &Path, app: &AppName) -> Self {
        Self { folder: root.join(FOLDER).join(format!("{app}.trial")) }
    }

    /// The next start of the instance runs this release, and the one after that its pin again. A trial
    /// that is offered twice counts for two starts.
    ///
    /// # Errors
    /// Where there is no such release, or the link cannot be written; what was offered before still is.
    pub fn offer(
        &self,
        store: &Store,
        instance: InstanceId,
        release: &ReleaseId,
    ) -> Result<(), ReleaseError> {
        store.must_exist(release)?;
        folders::make(&self.folder).map_err(ReleaseError::io("make", &self.folder))?;
        let path = self.path(instance);
        folders::replace_link(&path, &store.path(release)).map_err(ReleaseError::io("write", path))
    }

    /// The instance is offered nothing any more.
    ///
    /// # Errors
    /// Where the link cannot be removed. It may be missing.
    pub fn withdraw(&self, instance: InstanceId) -> Result<(), ReleaseError> {
        let path = self.path(instance);
        folders::remove(&path).map(|_| ()).map_err(ReleaseError::io("remove", &path))
    }

    /// No instance is offered anything any more.
    ///
    /// # Errors
    /// Where something cannot be removed. The folder may be missing.
    pub fn clear(&self) -> Result<(), ReleaseError> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map_err(ReleaseError::io("remove", &self.folder)),
        }
    }

    /// What is offered, whether it was tried already or not.
    ///
    /// # Errors
    /// Where it cannot be read, or is not one of romuo's.
    pub fn offered(&self) -> Result<BTreeMap<InstanceId, ReleaseId>, ReleaseError> {
        let mut offered = BTreeMap::new();
        for (instance, path) in folders::numbered(&self.folder)? {
            let target = match fs::read_link(&path) {
                // Withdrawn just now.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    return Err(ReleaseError::NotALink { path, found: "a file or folder".into() });
                }
                result => result.map_err(ReleaseError::io("read", &path))?,
            };
            let id = target.file_name().and_then(|name| name.to_str()?.parse().ok());
            let Some(id) = id else {
                let found = format!("a link to {}", target.display());
                return Err(ReleaseError::NotALink { path, found });
            };
            offered.insert(instance, id);
        }
        Ok(offered)
    }

    /// The link by which an instance is offered a release.
    #[must_use]
    pub fn path(&self, instance: InstanceId) -> PathBuf {
        self.folder.join(instance.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_trial_is_a_link_that_is_another_one_each_time() {
        let root = tempfile::tempdir().unwrap();
        let app: AppName = "shop".parse().unwrap();
        let (store, trials) = (Store::new(root.path(), &app), Trials::new(root.path(), &app));
        let [old, new] =
            ["20261126T001100Z-abc1234", "20261126T002200Z"].map(|id| id.parse().unwrap());
        let [one, two] = ["1", "2"].map(|id| id.parse::<InstanceId>().unwrap());
        // Nothing is there yet.
        trials.withdraw(one).unwrap();
        trials.clear().unwrap();
        assert!(trials.offered().unwrap().is_empty());
        let unknown = trials.offer(&store, one, &old);
        assert!(matches!(unknown, Err(ReleaseError::Unknown { .. })), "{unknown:?}");

        for id in [&old, &new] {
            fs::create_dir_all(store.path(id)).unwrap();
        }
        let identity = || {
            let link = trials.path(one).symlink_metadata().unwrap();
            (link.ino(), link.ctime(), link.ctime_nsec())
        };
        trials.offer(&store, one, &old).unwrap();
        let before = identity();
        trials.offer(&store, one, &old).unwrap();
        assert_ne!(identity(), before);
        trials.offer(&store, two, &new).unwrap();
        let offered = BTreeMap::from([(one, old.clone()), (two, new.clone())]);
        assert_eq!(trials.offered().unwrap(), offered);
        let folder = root.path().join("run/romuo/shop.trial");
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(fs::read_link(folder.join("2")).unwrap(), store.path(&new));

        trials.withdraw(one).unwrap();
        assert_eq!(trials.offered().unwrap(), BTreeMap::from([(two, new)]));
        symlink("/srv/shop", folder.join("3")).unwrap();
        assert!(matches!(trials.offered(), Err(ReleaseError::NotALink { .. })));
        trials.clear().unwrap();
        assert!(trials.offered().unwrap().is_empty() && !folder.exists());
    }
}
