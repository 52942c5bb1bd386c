//! Staging: a folder becomes a release.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Gid, Mode, Uid, fchmod, fchown, fstat, mkdirat, syncfs};
use rustix::process::geteuid;

use super::additions::Additions;
use super::error::ReleaseError;
use super::folders;
use super::id::ReleaseId;
use super::lock::DeployLock;
use super::rules::Rules;
use super::store::{Leftover, Store, sync_folder};
use super::walk::{Place, Walk, open_folder};
use super::warning::Warning;

/// What was staged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Staged {
    /// Files that did not change: links to those of the release before.
    pub linked: usize,
    /// Files that share their bytes with the originals, as some file systems can.
    pub shared: usize,
    /// Files that were copied.
    pub copied: usize,
    /// The bytes of these, shared ones too.
    pub bytes: u64,
    /// What is worth knowing, sorted.
    pub warnings: Vec<Warning>,
}

impl Store {
    /// Makes a release of a folder: what did not change since the newest release is linked to it, the
    /// rest is copied, and the additions are put in. The release is there when it is complete and on the disk, not before.
    ///
    /// # Errors
    /// Where something cannot be read or written. Every other release is as it was, and there is no part
    /// of this one; what a crash leaves of it the next run removes.
    pub fn stage(
        &self,
        lock: &DeployLock,
        folder: &Path,
        rules: &Rules,
        id: &ReleaseId,
        additions: &Additions,
    ) -> Result<Staged, ReleaseError> {
        self.clean(lock)?;
        let from = self.source(folder, rules)?;
        let path = self.path(id);
        if path.symlink_metadata().is_ok() {
            return Err(ReleaseError::Exists { id: id.clone() });
        }
        let base = self.newest()?.map(|newest| self.path(&newest));
        let partial = self.leftover(id, Leftover::Partial);
        let result = fill(folder, from, base, &partial, rules, additions).and_then(|staged| {
            fs::rename(&partial, &path).map_err(ReleaseError::io("make", &path))?;
            sync_folder(&self.releases_folder())?;
            Ok(staged)
        });
        if result.is_err() {
            // What cannot be removed now, the next run removes.
            let _ = fs::remove_dir_all(&partial);
        }
        result
    }

    /// Copies a folder into `to`, which must not be there yet, so that a build can do in the copy what it likes:
    /// each file stays whose it is. Where that fails, a part of it may be there.
    ///
    /// # Errors
    /// Where something cannot be read or written.
    pub fn copy(
        &self,
        folder: &Path,
        rules: &Rules,
        to: &Path,
        additions: &Additions,
    ) -> Result<(), ReleaseError> {
        let write = |_: &Path| ReleaseError::io("write", to);
        let from = self.source(folder, rules)?;
        let found = fstat(&from).map_err(ReleaseError::io("read", folder))?;
        // Nobody else gets in before it is done.
        mkdirat(CWD, to, Mode::RWXU).map_err(write(to))?;
        let top = open_folder(CWD, to).map_err(write(to))?;
        let mut walk = Walk::new(folder, rules, PathBuf::new()).keeping_owners();
        walk.folder(&Place { from, old: None, to: &top })?;
        additions.add(to)?;
        if geteuid().is_root() {
            let (uid, gid) = (Uid::from_raw(found.st_uid), Gid::from_raw(found.st_gid));
            fchown(&top, Some(uid), Some(gid)).map_err(write(to))?;
        }
        Ok(())
    }

    /// Opens what is to be staged.
    fn source(&self, folder: &Path, rules: &Rules) -> Result<OwnedFd, ReleaseError> {
        if !folder.is_dir() {
            return Err(ReleaseError::NoFolder(folder.into()));
        }
        let real = fs::canonicalize(folder).map_err(ReleaseError::io("read", folder))?;
        let store = self.releases_folder();
        let store = fs::canonicalize(&store).map_err(ReleaseError::io("read", &store))?;
        if store.starts_with(&real) {
            return Err(ReleaseError::Inside { folder: folder.into(), store });
        }
        let opened = open_folder(CWD, &real).map_err(ReleaseError::io("read", folder))?;
        // From here on it is this folder, whatever lies in its place.
        let found = fstat(&opened).map_err(ReleaseError::io("read", folder))?.st_uid;
        match rules.user() {
            Some(user) if user != found => {
                Err(ReleaseError::NotTheirs { folder: folder.into(), user, found })
            }
            _ => Ok(opened),
        }
    }
}

/// Copies everything, and brings it to the disk.
fn fill(
    folder: &Path,
    from: OwnedFd,
    base: Option<PathBuf>,
    partial: &Path,
    rules: &Rules,
    additions: &Additions,
) -> Result<Staged, ReleaseError> {
    let write = |_: &Path| ReleaseError::io("write", partial);
    mkdirat(CWD, partial, Mode::RWXU).map_err(write(partial))?;
    let to = open_folder(CWD, partial).map_err(write(partial))?;
    let old = match &base {
        None => None,
        Some(base) => Some(open_folder(CWD, base).map_err(ReleaseError::io("read", base))?),
    };
    let mut walk = Walk::new(folder, rules, base.unwrap_or_default());
    walk.folder(&Place { from, old, to: &to })?;
    additions.add(partial)?;
    // The folder itself is romuo's, whatever the original is: the instances have to get into it.
    fchmod(&to, Mode::from_raw_mode(folders::FOLDER_MODE)).map_err(write(partial))?;
    syncfs(&to).map_err(write(partial))?;
    Ok(walk.done())
}
