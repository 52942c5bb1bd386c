//! The folder of an app's releases: what is there, what goes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::error::ReleaseError;
use super::folders;
use super::history::{Entry, History};
use super::id::{Commit, ReleaseId};
use super::lock::DeployLock;
use crate::unit::AppName;

/// Where the apps have their releases, below a root.
const FOLDER: &str = "var/lib/romuo";

/// The configuration of a release, in its folder: all that it takes to run it, resolved for this machine.
pub const CONFIG_FILE: &str = ".romuo.toml";

/// It may hold secrets, and systemd hands it to the instances.
pub const CONFIG_MODE: u32 = 0o600;

/// The releases of an app.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// What a deploy that was killed leaves of a release.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leftover {
    /// It was being staged.
    Partial,
    /// It was being removed.
    Gone,
}

impl Leftover {
    fn suffix(self) -> &'static str {
        match self {
            Self::Partial => ".partial",
            Self::Gone => ".gone",
        }
    }
}

impl Store {
    /// That of an app below a root; `/` is the running machine.
    #[must_use]
    pub fn new(root: &Path, app: &AppName) -> Self {
        Self::at(root.join(FOLDER).join(app.as_str()))
    }

    /// That in a folder.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder of the app: releases, pins, history.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of a release, whether it is there or not.
    #[must_use]
    pub fn path(&self, id: &ReleaseId) -> PathBuf {
        self.releases_folder().join(id.to_string())
    }

    /// The folder for what is checked out before it is staged.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// The folder for what builds and hooks print.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// The `romuo.toml` that the app was shipped from last; none: it was not shipped yet.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn home(&self) -> Result<Option<PathBuf>, ReleaseError> {
        let path = self.home_path();
        match fs::read_link(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            result => result.map(Some).map_err(ReleaseError::io("read", &path)),
        }
    }

    /// The app is shipped from this `romuo.toml`.
    ///
    /// # Errors
    /// Where that cannot be noted; it is as it was.
    pub fn set_home(&self, file: &Path) -> Result<(), ReleaseError> {
        let path = self.home_path();
        folders::replace_link(&path, file).map_err(ReleaseError::io("write", &path))
    }

    fn home_path(&self) -> PathBuf {
        self.folder.join("home.toml")
    }

    /// The history of the releases.
    #[must_use]
    pub fn history(&self) -> History {
        History::at(self.folder.join("releases.json"))
    }

    /// Takes the right to deploy, which everything that makes or removes releases needs. Makes the folders
    /// where they are missing.
    ///
    /// # Errors
    /// Where another process has it: the error says who. Where the folder cannot be written.
    pub fn lock(&self) -> Result<DeployLock, ReleaseError> {
        let releases = self.releases_folder();
        folders::make(&releases).map_err(ReleaseError::io("make", &releases))?;
        DeployLock::take(&self.folder.join("deploy.lock"))
    }

    /// The same where there is anything that was deployed.
    ///
    /// # Errors
    /// As [`Store::lock`].
    pub fn lock_if_there(&self) -> Result<Option<DeployLock>, ReleaseError> {
        self.releases_folder().exists().then(|| self.lock()).transpose()
    }

    /// The releases that are there, the oldest first.
    ///
    /// # Errors
    /// Where the folder cannot be read. One that is missing holds none.
    pub fn releases(&self) -> Result<Vec<ReleaseId>, ReleaseError> {
        let mut releases: Vec<_> =
            self.names()?.iter().filter_map(|name| name.parse().ok()).collect();
        releases.sort_unstable();
        Ok(releases)
    }

    /// The newest release; none: there is none yet.
    ///
    /// # Errors
    /// As [`releases`](Self::releases).
    pub fn newest(&self) -> Result<Option<ReleaseId>, ReleaseError> {
        Ok(self.releases()?.pop())
    }

    /// The id of the next release: later than all that are there.
    ///
    /// # Errors
    /// As [`releases`](Self::releases).
    pub fn next_id(&self, commit: Option<&Commit>) -> Result<ReleaseId, ReleaseError> {
        Ok(ReleaseId::new(Timestamp::now(), commit).after(self.newest()?.as_ref()))
    }

    /// Removes what a deploy that was killed left behind, and says how much that was.
    ///
    /// # Errors
    /// Where something cannot be removed.
    pub fn clean(&self, _lock: &DeployLock) -> Result<usize, ReleaseError> {
        let mut cleaned = 0;
        for name in self.names()? {
            let left = [Leftover::Partial, Leftover::Gone].into_iter().any(|left| {
                let id = name.strip_prefix('.').and_then(|name| name.strip_suffix(left.suffix()));
                id.is_some_and(|id| id.parse::<ReleaseId>().is_ok())
            });
            if left {
                remove_tree(&self.releases_folder().join(name))?;
                cleaned += 1;
            }
        }
        Ok(cleaned)
    }

    /// Keeps the newest `keep` releases, as many of those that came out well, those that an instance runs and
    /// the current one; removes the others, and says which these were. However many fail in a row, there is
    /// one to go back to.
    ///
    /// # Errors
    /// Where something cannot be removed, or it is not known what is in use.
    pub fn prune(
        &self,
        lock: &DeployLock,
        keep: NonZeroU32,
    ) -> Result<Vec<ReleaseId>, ReleaseError> {
        let mut used: BTreeSet<_> = self.pinned()?.into_values().collect();
        used.extend(self.current()?);
        let mut old = self.releases()?;
        let keep = keep.get() as usize;
        let served = self
            .history()
            .entries()?
            .into_iter()
            .rev()
            .filter(|entry: &Entry| entry.has_served() && old.contains(&entry.id));
        used.extend(served.take(keep).map(|entry| entry.id));
        old.truncate(old.len().saturating_sub(keep));
        old.retain(|id| !used.contains(id));
        for id in &old {
            let path = self.path(id);
            let gone = self.leftover(id, Leftover::Gone);
            fs::rename(&path, gone).map_err(ReleaseError::io("remove", &path))?;
        }
        if !old.is_empty() {
            // First no release has this name any more, then its files go.
            sync_folder(&self.releases_folder())?;
            self.clean(lock)?;
        }
        Ok(old)
    }

    pub(super) fn releases_folder(&self) -> PathBuf {
        self.folder.join("releases")
    }

    /// Where a release lies while it is not whole.
    pub(super) fn leftover(&self, id: &ReleaseId, left: Leftover) -> PathBuf {
        self.releases_folder().join(format!(".{id}{}", left.suffix()))
    }

    /// The names in the folder of releases. Those that are not text are not romuo's.
    fn names(&self) -> Result<Vec<String>, ReleaseError> {
        let folder = self.releases_folder();
        let read = |error| ReleaseError::io("read", &folder)(error);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            result => result.map_err(read)?,
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
        names.filter_map(|name| name.map_err(read).transpose()).collect()
    }
}

/// A rename is on the disk when its folder is (fsync(2)).
pub(super) fn sync_folder(path: &Path) -> Result<(), ReleaseError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(ReleaseError::io("write", path))
}

fn remove_tree(path: &Path) -> Result<(), ReleaseError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.map_err(ReleaseError::io("remove", path)),
    }
}
