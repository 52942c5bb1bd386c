//! Makes the changes of a plan: all of them or none.
//!
//! First every new file is written in full beside its place, then all are put in place by renames,
//! then the folders are synced. When one step fails, the steps before it are taken back.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::layout::{CONFIG_FOLDER, LOCK, below};
use super::plan::{Change, Plan};
use crate::lock::Holder;

/// Mode of the folders that are made on the way.
const FOLDER_MODE: u32 = 0o755;

/// The right to change what is installed below a root. It ends when this is dropped.
#[derive(Debug)]
pub struct Lock {
    root: PathBuf,
    /// Its file goes with it: an image is not to have it, and a removal leaves nothing.
    lock: crate::lock::Lock,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum LockError {
    /// Another romuoctl has it.
    #[error(
        "another romuoctl is changing what is installed in {path}{who}",
        path = folder.display(),
        who = holder.as_ref().map(|holder| format!(": {holder}")).unwrap_or_default()
    )]
    #[diagnostic(help("wait until it is done, or end it where it hangs, then try again"))]
    Taken {
        /// The folder of configurations.
        folder: PathBuf,
        /// Who it is; none: nobody can tell.
        holder: Option<Holder>,
    },
    /// The folder cannot be opened or made.
    #[error("cannot lock {path}: {source}", path = path.display())]
    #[diagnostic(help("installing needs root: try it with sudo, or another --root"))]
    Open {
        /// The folder of configurations.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a plan was not carried out. Everything is as it was before, unless `rollback` says
/// otherwise.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error(
    "cannot {doing}: {source}; {}",
    rollback.as_ref().map_or_else(
        || "nothing was changed".to_owned(),
        |error| format!("and what had been changed could not be taken back: {error}"),
    )
)]
pub struct ApplyError {
    /// The change that failed.
    pub doing: String,
    /// What the system said.
    pub source: io::Error,
    /// Why the changes before it could not be taken back; none: they were.
    pub rollback: Option<io::Error>,
}

/// Takes the lock for a root (a file in the folder of configurations, which is made where it is
/// missing). Plan and apply under one lock: then nothing changes between the two.
///
/// # Errors
/// Where another romuoctl holds it, or the folder cannot be opened.
pub fn lock(root: &Path) -> Result<Lock, LockError> {
    let folder = below(root, Path::new(CONFIG_FOLDER));
    let path = folder.join(LOCK);
    let error = |source| LockError::Open { path: folder.clone(), source };
    loop {
        make_folders(&folder, &mut Vec::new()).map_err(error)?;
        match crate::lock::Lock::take(&path) {
            Ok(Some(lock)) => {
                lock.say("installing");
                return Ok(Lock { root: root.into(), lock: lock.leaving_nothing() });
            }
            Ok(None) => {
                let holder = Holder::of(&path);
                return Err(LockError::Taken { folder, holder });
            }
            // A removal has taken the folder away between the two.
            Err(gone) if gone.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(error(source)),
        }
    }
}

/// Carries out a plan below the root of the lock.
///
/// # Errors
/// Where a step fails; the steps before it are taken back.
pub fn apply(lock: &Lock, plan: &Plan) -> Result<(), ApplyError> {
    let mut work =
        Work { root: &lock.root, undo: Vec::new(), prepared: Vec::new(), kept: Vec::new() };
    let result = work.run(plan);
    let rollback = if result.is_err() { work.roll_back().err() } else { None };
    // Where something could not be taken back, the old file is worth keeping.
    if rollback.is_none() {
        work.clear_leftovers();
    }
    if result.is_ok() {
        if plan.changes.iter().any(|change| matches!(change, Change::RemoveFolder { .. })) {
            // It lies in one of them. All that is left to do may be done twice.
            lock.lock.remove_file();
        }
        work.remove_folders(plan);
    }
    result.map_err(|(doing, source)| ApplyError { doing, source, rollback })
}

/// How to take a step back.
enum Undo {
    /// Something new was put here.
    Remove(PathBuf),
    /// A folder was made.
    RemoveFolder(PathBuf),
    /// What was there is kept under another name.
    Restore { kept: PathBuf, path: PathBuf },
    /// The permissions were others.
    Mode { path: PathBuf, mode: u32 },
}

struct Work<'a> {
    root: &'a Path,
    undo: Vec<Undo>,
    /// New files that were written beside their places.
    prepared: Vec<PathBuf>,
    /// Old files that are kept beside their places until all is done.
    kept: Vec<PathBuf>,
}

impl Work<'_> {
    fn run(&mut self, plan: &Plan) -> Result<(), (String, io::Error)> {
        let said = |change: &Change| {
            let change = change.to_string();
            move |error| (change, error)
        };
        for change in &plan.changes {
            self.prepare(change).map_err(said(change))?;
        }
        for change in &plan.changes {
            self.commit(change).map_err(said(change))?;
        }
        for change in &plan.changes {
            self.sync_folder(change).map_err(said(change))?;
        }
        Ok(())
    }

    /// Writes what is new beside its place.
    fn prepare(&mut self, change: &Change) -> io::Result<()> {
        let path = below(self.root, change.path());
        let new = beside(&path, "new");
        match change {
            Change::Create { text, mode, .. } | Change::Update { text, mode, .. } => {
                self.make_parent(&path)?;
                clear(&new)?;
                self.prepared.push(new.clone());
                let mut file =
                    OpenOptions::new().write(true).create_new(true).mode(*mode).open(&new)?;
                file.write_all(text.as_bytes())?;
                // The umask took its part of the mode above.
                file.set_permissions(Permissions::from_mode(*mode))?;
                file.sync_all()
            }
            Change::Link { target, .. } => {
                self.make_parent(&path)?;
                clear(&new)?;
                self.prepared.push(new.clone());
                symlink(target, &new)
            }
            _ => Ok(()),
        }
    }

    /// Puts it in place, in one step that leaves the old or the new.
    fn commit(&mut self, change: &Change) -> io::Result<()> {
        let path = below(self.root, change.path());
        let (new, kept) = (beside(&path, "new"), beside(&path, "old"));
        match change {
            Change::Create { .. } | Change::Link { .. } => {
                // Unlike a rename, a hard link never replaces what came there meanwhile.
                fs::hard_link(&new, &path)?;
                self.undo.push(Undo::Remove(path));
            }
            Change::Update { .. } => {
                clear(&kept)?;
                fs::hard_link(&path, &kept)?;
                self.kept.push(kept.clone());
                fs::rename(&new, &path)?;
                self.undo.push(Undo::Restore { kept, path });
            }
            Change::Mode { from, to, .. } => {
                fs::set_permissions(&path, Permissions::from_mode(*to))?;
                self.undo.push(Undo::Mode { path, mode: *from });
            }
            Change::Unlink { .. } | Change::Remove { .. } => {
                fs::rename(&path, &kept)?;
                self.kept.push(kept.clone());
                self.undo.push(Undo::Restore { kept, path });
            }
            // When all else is done: see `remove_folders`.
            Change::RemoveFolder { .. } => {}
        }
        Ok(())
    }

    /// Removes what lies under names of our own. Left behind it would do no harm: systemd reads no
    /// hidden files, and the next run clears it.
    fn clear_leftovers(&self) {
        for path in self.prepared.iter().chain(&self.kept) {
            let _ = fs::remove_file(path);
        }
    }

    /// Removes the folders that are empty now. One that is not is someone else's by now.
    fn remove_folders(&self, plan: &Plan) {
        for change in &plan.changes {
            if let Change::RemoveFolder { path } = change {
                let _ = fs::remove_dir(below(self.root, path));
            }
        }
    }

    fn make_parent(&mut self, path: &Path) -> io::Result<()> {
        let mut made = Vec::new();
        let result = make_folders(path.parent().unwrap_or(path), &mut made);
        self.undo.extend(made.into_iter().map(Undo::RemoveFolder));
        result
    }

    /// A rename is on the disk when its folder is (fsync(2)).
    fn sync_folder(&self, change: &Change) -> io::Result<()> {
        let path = below(self.root, change.path());
        File::open(path.parent().unwrap_or(&path))?.sync_all()
    }

    /// Takes back all steps, the last one first; goes on after a failure and reports the first.
    fn roll_back(&mut self) -> io::Result<()> {
        // A folder that was made can only go when nothing is left in it.
        for path in &self.prepared {
            let _ = fs::remove_file(path);
        }
        let mut result = Ok(());
        while let Some(step) = self.undo.pop() {
            let step = match step {
                Undo::Remove(path) => fs::remove_file(path),
                Undo::RemoveFolder(path) => fs::remove_dir(path),
                Undo::Restore { kept, path } => fs::rename(kept, path),
                Undo::Mode { path, mode } => {
                    fs::set_permissions(path, Permissions::from_mode(mode))
                }
            };
            result = result.and(step);
        }
        result
    }
}

/// The name beside `path` under which a new or an old version of it lies for a moment. Hidden, so
/// that systemd does not read it; the same each time, so that the next run clears what a power cut
/// left.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.romuo-{what}"))
}

fn clear(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Makes a folder and those above it; `made` gets the new ones, outermost first.
fn make_folders(path: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_folders(parent, made)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        result => result?,
    }
    made.push(path.into());
    // The umask took its part of the mode above.
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}
