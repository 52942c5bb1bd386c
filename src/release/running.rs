//! What an instance runs: a release that it is to try, else the one that it is pinned to, else the current
//! one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::folders;
use super::id::ReleaseId;
use super::store::Store;
use super::trial::Trials;
use crate::config::detect_version;
use crate::unit::{AppName, InstanceId};

/// Mode of the note that a trial was used: there is nothing to hide in it.
const NOTE_MODE: u32 = 0o644;

/// Whether an app with this folder runs releases: whether the folder is `/var/lib/romuo/NAME/current`, or
/// lies below it. Pure.
#[must_use]
pub fn runs_releases(app: &AppName, directory: &Path) -> bool {
    directory.starts_with(Store::new(Path::new("/"), app).current_path())
}

/// What lies in the folder that an app runs in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// The release that the folder belongs to; none: to no release.
    pub release: Option<ReleaseId>,
    /// The version that a manifest in it has; none: not known.
    pub version: Option<String>,
}

impl Contents {
    /// Those of a folder at this moment.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        Self { release: of_folder(folder), version: detect_version(folder) }
    }
}

/// The release that a folder belongs to, seen through the links that lead there; none: it belongs to no
/// release.
#[must_use]
pub fn of_folder(folder: &Path) -> Option<ReleaseId> {
    let real = folder.canonicalize().ok()?;
    let lies_in = |folder: &Path| folder.parent().is_some_and(|above| above.ends_with("releases"));
    let release = real.ancestors().find(|folder| lies_in(folder))?;
    release.file_name()?.to_str()?.parse().ok()
}

/// The links by which an instance finds what it runs.
#[derive(Debug)]
pub(super) struct Links {
    store: Store,
    trials: Trials,
    instance: InstanceId,
    /// Where the instances of the app may write (`RuntimeDirectory=`, systemd.exec(5)); without one
    /// nothing is tried, as it could not be noted.
    runtime: Option<PathBuf>,
}

impl Links {
    /// Those of an instance of an app below a root.
    pub(super) fn new(
        root: &Path,
        app: &AppName,
        instance: InstanceId,
        runtime: Option<PathBuf>,
    ) -> Self {
        let (store, trials) = (Store::new(root, app), Trials::new(root, app));
        Self { store, trials, instance, runtime }
    }

    /// Where the link to the current release lies.
    pub(super) fn current(&self) -> PathBuf {
        self.store.current_path()
    }

    /// The folder of the release that is to be tried now, and which is used up by that; none: there is none,
    /// it was tried already, or `may_try` says no.
    pub(super) fn trial(&self, may_try: impl FnOnce(&Path) -> bool) -> Option<PathBuf> {
        let runtime = self.runtime.as_deref()?;
        let link = self.trials.path(self.instance);
        let identity = identity(&link).ok()?;
        let note = runtime.join(format!("{}.tried", self.instance));
        if fs::read_to_string(&note).is_ok_and(|noted| noted == identity) {
            return None;
        }
        let folder = link.canonicalize().ok()?;
        of_folder(&folder)?;
        if !may_try(&folder) {
            return None;
        }
        // Before it is run: whatever comes of it, it is run once.
        match folders::replace_file(&note, identity.as_bytes(), NOTE_MODE) {
            Ok(()) => Some(folder),
            Err(error) => {
                let note = note.display();
                tracing::warn!("{} is not tried: cannot write {note}: {error}", folder.display());
                None
            }
        }
    }

    /// The folder that the instance is pinned to, or else the current one, as it is now: a link may lead
    /// elsewhere while the instance runs. None: there is neither.
    pub(super) fn pin(&self) -> Option<PathBuf> {
        let pin = self.store.pin_path(self.instance).canonicalize();
        pin.or_else(|_| self.current().canonicalize()).ok()
    }
}

/// What tells a link from all that were at its place before: the inode and the time of its making.
fn identity(link: &Path) -> io::Result<String> {
    let link = link.symlink_metadata()?;
    Ok(format!("{} {}.{:09}\n", link.ino(), link.ctime(), link.ctime_nsec()))
}
