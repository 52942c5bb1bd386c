//! One file: whether it is the one of the release before, and its copy.
//!
//! Size, time of the last change and mode do not tell: some package managers give every file the same
//! time, and a file is as long as before when `1.0.1` becomes `1.0.2`. So a copy carries a mark of the
//! file it was made of: its number and the time that no program can set. Where the mark is another, or
//! there is none, the bytes are compared.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps, XattrFlags, fchmod, fsetxattr,
    fstat, futimens, ioctl_ficlone, lgetxattr, openat, statat,
};
use rustix::io::Errno;

/// The bits of a mode that a release keeps: nobody but its owner writes, and nothing runs as its owner.
pub(super) const MODE: u32 = 0o755;

/// The attribute that holds the mark (xattr(7)).
const MARK: &str = "user.romuo.from";

/// Longest mark that is read, in bytes: four numbers.
const MARK_MAX: usize = 96;

/// A file that was changed so short a time ago gets no mark: the kernel counts these times in ticks, of
/// 10 ms at the most, and a second change in the same tick would not show.
const TICK: Duration = Duration::from_millis(20);

/// How much is compared at a time, in bytes: a few calls for most files, little memory.
const CHUNK: usize = 64 * 1024;

/// What the mark of a copy of this file is.
fn mark(of: &Stat) -> String {
    format!("{} {} {}.{}", of.st_dev, of.st_ino, of.st_ctime, of.st_ctime_nsec)
}

/// Whether `name` in the folder `old` of a release is a copy of the file `name` in `from` as it is now;
/// `path` is the same as `old` and `name`. `times`: one with another time of its last change is another.
pub(super) fn same(
    from: &OwnedFd,
    stat: &Stat,
    old: &OwnedFd,
    name: &CStr,
    path: &Path,
    times: bool,
) -> io::Result<bool> {
    let there = match statat(old, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        result => result?,
    };
    let is_of_time = (there.st_mtime, there.st_mtime_nsec) == (stat.st_mtime, stat.st_mtime_nsec);
    let looks = FileType::from_raw_mode(there.st_mode) == FileType::RegularFile
        && there.st_size == stat.st_size
        && (is_of_time || !times)
        && there.st_mode & 0o7777 == stat.st_mode & MODE;
    if !looks {
        return Ok(false);
    }
    let mut text = [0_u8; MARK_MAX];
    if let Ok(length) = lgetxattr(path, MARK, &mut text[..])
        && text.get(..length) == Some(mark(stat).as_bytes())
    {
        return Ok(true);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = |folder| openat(folder, name, flags, Mode::empty()).map(File::from);
    same_bytes(open(from)?, open(old)?)
}

fn same_bytes(mut one: File, mut other: File) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let length = fill(&mut one, &mut left)?;
        if fill(&mut other, &mut right)? != length || left.get(..length) != right.get(..length) {
            return Ok(false);
        }
        if length < CHUNK {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, mut buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while !buffer.is_empty() {
        let read = file.read(buffer)?;
        if read == 0 {
            break;
        }
        length += read;
        buffer = buffer.get_mut(read..).unwrap_or_default();
    }
    Ok(length)
}

/// How a copy was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    /// Its bytes are shared with the original, as some file systems can.
    pub(super) shared: bool,
    /// Somebody wrote to the original meanwhile.
    pub(super) changed: bool,
}

/// Copies an open file to the new file `name` in `to`, with its time and its mark. `may_share` is cleared
/// where the two file systems cannot share bytes.
pub(super) fn copy(
    from: &mut File,
    stat: &Stat,
    to: &OwnedFd,
    name: &CStr,
    may_share: &mut bool,
) -> io::Result<Copied> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut new = File::from(openat(to, name, flags, Mode::RUSR | Mode::WUSR)?);
    let mut shared = *may_share && stat.st_size > 0;
    if shared && ioctl_ficlone(&new, &*from).is_err() {
        (shared, *may_share) = (false, false);
    }
    if !shared {
        // With copy_file_range(2), where the kernel can.
        io::copy(from, &mut new)?;
    }
    let after = fstat(&*from)?;
    let changed = mark(stat) != mark(&after);
    if !changed && settled(stat) {
        // Where no mark can be left, the bytes are compared the next time.
        let _ = fsetxattr(&new, MARK, mark(stat).as_bytes(), XattrFlags::empty());
    }
    let omitted = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    let modified = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec.cast_signed() };
    futimens(&new, &Timestamps { last_access: omitted, last_modification: modified })?;
    fchmod(&new, Mode::from_raw_mode(stat.st_mode & MODE))?;
    Ok(Copied { shared, changed })
}

/// Whether the last change of a file is so long ago that another one would show.
fn settled(stat: &Stat) -> bool {
    let seconds = u64::try_from(stat.st_ctime).unwrap_or_default();
    let nanoseconds = u32::try_from(stat.st_ctime_nsec).unwrap_or_default();
    let changed = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    SystemTime::now().duration_since(changed).is_ok_and(|age| age > TICK)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use rustix::fs::{CWD, lsetxattr, openat};

    use super::*;

    const NAME: &CStr = c"file";

    /// Two folders, and the file `NAME` in the first one.
    struct Two(tempfile::TempDir);

    impl Two {
        fn new(text: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("from")).unwrap();
            fs::create_dir(dir.path().join("to")).unwrap();
            fs::write(dir.path().join("from/file"), text).unwrap();
            Self(dir)
        }

        fn path(&self, path: &str) -> std::path::PathBuf {
            self.0.path().join(path)
        }

        fn folder(&self, name: &str) -> OwnedFd {
            openat(CWD, self.path(name), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
        }

        fn stat(&self) -> Stat {
            statat(CWD, self.path("from/file"), AtFlags::empty()).unwrap()
        }

        fn copy(&self, stat: &Stat) -> Copied {
            let mut from = File::open(self.path("from/file")).unwrap();
            copy(&mut from, stat, &self.folder("to"), NAME, &mut true).unwrap()
        }

        /// Before its time has settled there is no mark.
        fn settle(&self) {
            while !settled(&self.stat()) {
                std::thread::yield_now();
            }
        }

        fn same(&self) -> bool {
            let (from, to) = (self.folder("from"), self.folder("to"));
            same(&from, &self.stat(), &to, NAME, &self.path("to/file"), true).unwrap()
        }

        /// Changes the bytes of the copy, and nothing else that is looked at.
        fn forge(&self, text: &str) {
            let mut file = fs::OpenOptions::new().write(true).open(self.path("to/file")).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.set_modified(self.path("from/file").metadata().unwrap().modified().unwrap())
                .unwrap();
        }
    }

    #[test]
    fn a_file_that_is_written_to_while_it_is_copied_is_told() {
        let two = Two::new("one");
        let before = two.stat();
        fs::write(two.path("from/file"), "three").unwrap();
        assert!(two.copy(&before).changed);
        fs::remove_file(two.path("to/file")).unwrap();
        assert!(!two.copy(&two.stat()).changed);
    }

    #[test]
    fn without_a_mark_the_bytes_tell() {
        // Longer than what is compared at a time.
        let text = "x".repeat(CHUNK + 1);
        let two = Two::new(&text);
        two.copy(&two.stat());
        // Of another file. (Where there are no such attributes there is no mark either.)
        let _ = lsetxattr(two.path("to/file"), MARK, b"1 2 3.4", XattrFlags::empty());
        assert!(two.same());
        two.forge(&format!("{}y", "x".repeat(CHUNK)));
        assert!(!two.same());
    }

    #[test]
    fn a_file_that_was_written_to_and_given_its_old_time_is_another() {
        let two = Two::new("one");
        two.settle();
        two.copy(&two.stat());
        let modified = two.path("from/file").metadata().unwrap().modified().unwrap();
        fs::write(two.path("from/file"), "two").unwrap();
        File::open(two.path("from/file")).unwrap().set_modified(modified).unwrap();
        assert!(!two.same());
    }

    #[test]
    fn with_its_mark_a_copy_is_not_read() {
        let two = Two::new("one");
        two.settle();
        two.copy(&two.stat());
        if lgetxattr(two.path("to/file"), MARK, &mut [0_u8; MARK_MAX][..]).is_err() {
            eprintln!("this file system has no attributes");
            return;
        }
        two.forge("two");
        assert!(two.same());
    }
}
