//! The walk through a folder that is staged.
//!
//! Everything is opened below its folder and never through a link: the folder belongs to a user, who could
//! put a link in the way while root copies.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, fchmod, fstat, linkat, mkdirat,
    openat, readlinkat, statat, symlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::copy::{self, Copied, MODE};
use super::error::ReleaseError;
use super::rules::Rules;
use super::stage::Staged;
use super::warning::{Warning, leads_out};

/// Bits that a folder of a release has whatever its original has: its owner fills and removes it.
const FOLDER_LEAST: u32 = 0o700;

/// The most threads that walk at once. What they wait for is the kernel, which has locks of its own for a file
/// system: more gain little.
const THREADS_MAX: usize = 4;

/// So many folders a thread at the least make it worth to begin one.
const FOLDERS_LEAST: usize = 4;

/// Where Node has its packages: most of what an app consists of.
const PACKAGES: &str = "node_modules";

/// The same folder three times.
pub(super) struct Place<'a> {
    pub(super) from: OwnedFd,
    /// In the newest release, if it is there.
    pub(super) old: Option<OwnedFd>,
    /// In the new release.
    pub(super) to: &'a OwnedFd,
}

/// A walk under way.
pub(super) struct Walk<'a> {
    folder: &'a Path,
    rules: &'a Rules,
    /// The newest release.
    base: PathBuf,
    /// Where the walk is, relative to the folder.
    path: PathBuf,
    may_share: bool,
    /// How many threads may walk below here.
    threads: usize,
    /// Root stages, and others have to read it.
    for_others: bool,
    /// What is copied stays whose it is, in the place of becoming root's.
    keeps_owners: bool,
    unreadable: Vec<PathBuf>,
    staged: Staged,
}

impl<'a> Walk<'a> {
    /// Of a folder; `base` is the newest release.
    pub(super) fn new(folder: &'a Path, rules: &'a Rules, base: PathBuf) -> Self {
        Self {
            folder,
            rules,
            base,
            path: PathBuf::new(),
            may_share: true,
            threads: thread::available_parallelism().map_or(1, |all| all.get().min(THREADS_MAX)),
            for_others: geteuid().is_root(),
            keeps_owners: false,
            unreadable: Vec::new(),
            staged: Staged::default(),
        }
    }

    /// Each copy belongs to whom the original does. Nobody else may reach it before all of it is done.
    pub(super) fn keeping_owners(mut self) -> Self {
        self.keeps_owners = geteuid().is_root();
        self
    }

    /// Stages everything in one folder: first what is no folder itself.
    pub(super) fn folder(&mut self, place: &Place<'_>) -> Result<(), ReleaseError> {
        let mut folders = Vec::new();
        for name in self.names(&place.from)? {
            let stat = self.at(&name, |walk| walk.entry(place, &name))?;
            folders.extend(stat.map(|stat| (name, stat)));
        }
        if self.threads > 1 && folders.len() >= FOLDERS_LEAST * self.threads {
            return self.together(place, &folders);
        }
        for (name, stat) in &folders {
            self.at(name, |walk| walk.subfolder(place, name, stat))?;
        }
        Ok(())
    }

    /// Stages subfolders, each thread as many of them.
    fn together(
        &mut self,
        place: &Place<'_>,
        folders: &[(CString, Stat)],
    ) -> Result<(), ReleaseError> {
        let share = folders.len().div_ceil(self.threads);
        let part = |folders: &[(CString, Stat)]| {
            let mut walk = self.part();
            for (name, stat) in folders {
                walk.at(name, |walk| walk.subfolder(place, name, stat))?;
            }
            Ok(walk)
        };
        let walks: Vec<Result<Self, ReleaseError>> = thread::scope(|scope| {
            let begin = |folders| scope.spawn(move || part(folders));
            let running: Vec<_> = folders.chunks(share).map(begin).collect();
            let ended = || self.writing(io::Error::other("a thread of it ended"));
            running.into_iter().map(|it| it.join().unwrap_or_else(|_| Err(ended()))).collect()
        });
        for walk in walks {
            self.join(walk?);
        }
        Ok(())
    }

    /// A walk of one thread that goes on from here, and has staged nothing yet.
    fn part(&self) -> Self {
        Self {
            base: self.base.clone(),
            path: self.path.clone(),
            threads: 1,
            unreadable: Vec::new(),
            staged: Staged::default(),
            ..*self
        }
    }

    /// Takes over what another one has staged.
    fn join(&mut self, other: Self) {
        let Staged { linked, shared, copied, bytes, warnings } = other.staged;
        self.staged.linked += linked;
        self.staged.shared += shared;
        self.staged.copied += copied;
        self.staged.bytes += bytes;
        self.staged.warnings.extend(warnings);
        self.unreadable.extend(other.unreadable);
    }

    /// Does something with an entry of the folder where the walk is.
    fn at<T>(&mut self, name: &CStr, what: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(OsStr::from_bytes(name.to_bytes()));
        let done = what(self);
        self.path.pop();
        done
    }

    /// The names in a folder, sorted, so that each is staged in the same order.
    fn names(&self, folder: &OwnedFd) -> Result<Vec<CString>, ReleaseError> {
        let read = |error: Errno| self.reading(error);
        let mut names = Vec::new();
        for entry in Dir::read_from(folder).map_err(read)? {
            let entry = entry.map_err(read)?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Stages an entry; a folder is left for later.
    fn entry(&mut self, place: &Place<'_>, name: &CStr) -> Result<Option<Stat>, ReleaseError> {
        let stat = match statat(&place.from, name, AtFlags::SYMLINK_NOFOLLOW) {
            // It was there a moment ago.
            Err(Errno::NOENT) => {
                self.warn(Warning::Changed(self.path.clone()));
                return Ok(None);
            }
            result => result.map_err(|error| self.reading(error))?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if self.rules.skip(&self.path, kind == FileType::Directory) {
            return Ok(None);
        }
        match kind {
            FileType::Directory => return Ok(Some(stat)),
            FileType::RegularFile => self.file(place, name, &stat)?,
            FileType::Symlink => self.link(place, name, &stat)?,
            other => self.special(other),
        }
        Ok(None)
    }

    fn subfolder(
        &mut self,
        place: &Place<'_>,
        name: &CStr,
        stat: &Stat,
    ) -> Result<(), ReleaseError> {
        self.note_mode(stat, 0o005);
        let from = open_folder(&place.from, name).map_err(|error| self.reading(error))?;
        // In the newest release it may be missing, or no folder.
        let old = place.old.as_ref().and_then(|old| open_folder(old, name).ok());
        mkdirat(place.to, name, Mode::RWXU).map_err(|error| self.writing(error))?;
        let to = open_folder(place.to, name).map_err(|error| self.writing(error))?;
        self.folder(&Place { from, old, to: &to })?;
        self.give(place, name, stat)?;
        let mode = Mode::from_raw_mode(stat.st_mode & MODE | FOLDER_LEAST);
        fchmod(&to, mode).map_err(|error| self.writing(error))
    }

    fn file(&mut self, place: &Place<'_>, name: &CStr, stat: &Stat) -> Result<(), ReleaseError> {
        self.note_mode(stat, 0o004);
        if let Some(old) = &place.old
            && copy::same(&place.from, stat, old, name, &self.base.join(&self.path), self.times())
                .map_err(|error| self.reading(error))?
        {
            match linkat(old, name, place.to, name, AtFlags::empty()) {
                Ok(()) => {
                    self.staged.linked += 1;
                    return Ok(());
                }
                // A file can have only so many links: its copy begins anew.
                Err(Errno::MLINK) => {}
                Err(error) => return Err(self.writing(error)),
            }
        }
        self.copy(place, name)
    }

    /// Whether the time of a file's last change is a part of it. Python and others tell by it whether what
    /// they have compiled still fits. For packages of Node it is that of their installation, which is
    /// another in each checkout, and which nobody asks for.
    fn times(&self) -> bool {
        !self.path.iter().any(|name| name == PACKAGES)
    }

    fn copy(&mut self, place: &Place<'_>, name: &CStr) -> Result<(), ReleaseError> {
        // It may be something else by now: a link is refused, and a pipe does not block.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let from = openat(&place.from, name, flags, Mode::empty());
        let from = from.map_err(|error| self.reading(error))?;
        let stat = fstat(&from).map_err(|error| self.reading(error))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::RegularFile {
            self.special(kind);
            return Ok(());
        }
        let Copied { shared, changed } =
            copy::copy(&mut File::from(from), &stat, place.to, name, &mut self.may_share)
                .map_err(|error| self.writing(error))?;
        self.give(place, name, &stat)?;
        if changed {
            self.warn(Warning::Changed(self.path.clone()));
        }
        *if shared { &mut self.staged.shared } else { &mut self.staged.copied } += 1;
        self.staged.bytes += u64::try_from(stat.st_size).unwrap_or_default();
        Ok(())
    }

    fn link(&mut self, place: &Place<'_>, name: &CStr, stat: &Stat) -> Result<(), ReleaseError> {
        let target = readlinkat(&place.from, name, Vec::new());
        let target = target.map_err(|error| self.reading(error))?;
        symlinkat(&target, place.to, name).map_err(|error| self.writing(error))?;
        self.give(place, name, stat)?;
        let target = Path::new(OsStr::from_bytes(target.to_bytes()));
        if leads_out(&self.path, target) {
            self.warn(Warning::LeadsOut { path: self.path.clone(), target: target.into() });
        }
        Ok(())
    }

    /// Gives a copy to whom the original belongs. That takes bits of the mode away which no copy has.
    fn give(&self, place: &Place<'_>, name: &CStr, stat: &Stat) -> Result<(), ReleaseError> {
        if !self.keeps_owners {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        chownat(place.to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| self.writing(error))
    }

    fn special(&mut self, kind: FileType) {
        let kind = match kind {
            FileType::Socket => "a socket",
            FileType::Fifo => "a named pipe",
            _ => "a device",
        };
        self.warn(Warning::Special { path: self.path.clone(), kind });
    }

    /// Others need these bits to use it.
    fn note_mode(&mut self, stat: &Stat, others: u32) {
        if self.for_others && stat.st_mode & others != others {
            self.unreadable.push(self.path.clone());
        }
    }

    fn warn(&mut self, warning: Warning) {
        self.staged.warnings.push(warning);
    }

    fn reading(&self, error: impl Into<io::Error>) -> ReleaseError {
        ReleaseError::io("read", self.folder.join(&self.path))(error)
    }

    fn writing(&self, error: impl Into<io::Error>) -> ReleaseError {
        ReleaseError::io("stage", self.folder.join(&self.path))(error)
    }

    /// What came of it.
    pub(super) fn done(mut self) -> Staged {
        let more = self.unreadable.len().saturating_sub(1);
        if let Some(path) = self.unreadable.into_iter().next() {
            self.staged.warnings.push(Warning::Unreadable { path, more });
        }
        self.staged.warnings.sort();
        self.staged
    }
}

/// Opens a folder, and not a link to one.
pub(super) fn open_folder(
    at: impl AsFd,
    name: impl rustix::path::Arg,
) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}
