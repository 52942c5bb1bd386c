//! Locks that nobody can hold but who may write them.
//!
//! flock(2) asks for no more than a file that is open, for reading or for writing. So a lock that others
//! may read is a lock that others may keep for ever. A [`Lock`] is a file of mode 0600 in a folder where
//! only its owner makes files; what others may know of it is said in another file.
//!
//! The kernel lets go of a lock when its holder ends, however that comes. What stands in the file is only
//! for the message to the next one.

mod holder;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};

pub use self::holder::Holder;

/// Mode of the file: who cannot open it cannot hold it.
const MODE: u32 = 0o600;

/// The bits of a mode with which others could open the file.
const OTHERS: u32 = 0o077;

/// Pause between two looks whether it is free: flock(2) itself waits without an end, or not at all.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How long a lock is waited for that others have only while they write a link or a small file: a
/// thousand times as long as that takes on a slow disk.
pub const A_MOMENT: Duration = Duration::from_secs(10);

/// A lock that this process has. It ends when this is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    leaves_nothing: bool,
}

impl Lock {
    /// Takes the lock `path`, a file that is made where it is missing; none: somebody else has it.
    ///
    /// # Errors
    /// Where the file cannot be opened or made.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        loop {
            let file = open(path)?;
            if !is_private(&file)? {
                if !replace(path, &file)? {
                    return Ok(None);
                }
                continue;
            }
            if !is_locked(&file)? {
                return Ok(None);
            }
            // Who had it may have removed the file: then this is not it any more.
            if is_still(path, &file)? {
                return Ok(Some(Self { file, path: path.into(), leaves_nothing: false }));
            }
        }
    }

    /// Waits for the lock `path`, as long as `patience`.
    ///
    /// # Errors
    /// As [`take`](Self::take), or where it is still taken then: the error says by whom.
    pub fn wait(path: &Path, patience: Duration) -> io::Result<Self> {
        let begun = Instant::now();
        loop {
            if let Some(lock) = Self::take(path)? {
                return Ok(lock);
            }
            if begun.elapsed() >= patience {
                return Err(io::Error::new(io::ErrorKind::TimedOut, still_taken(path)));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The same lock, whose file goes with it: for folders in which nothing is to be left.
    #[must_use]
    pub fn leaving_nothing(mut self) -> Self {
        self.leaves_nothing = true;
        self
    }

    /// Says what it is held for: "deploying". On a full disk there is no such note, and still a lock.
    pub fn say(&self, doing: &str) {
        let note = |mut file: &File| {
            file.set_len(0)?;
            file.write_all(&serde_json::to_vec(&Holder::me(doing))?)
        };
        // It is only for a message.
        let _ = note(&self.file);
    }

    /// Removes the file. As long as this lives it is still the lock of those who had opened it.
    pub fn remove_file(&self) {
        // It may be gone already.
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Lock {
    /// Lets go of it outright: closing the file is not enough while a process that another thread is
    /// starting at this moment holds a copy of it (flock(2)).
    fn drop(&mut self) {
        // The next one must not be told of this one. None of these can fail on a file that is locked.
        let _ = self.file.set_len(0);
        if self.leaves_nothing && is_still(&self.path, &self.file).unwrap_or(false) {
            self.remove_file();
        }
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// The sentence for a lock that was waited for in vain.
fn still_taken(path: &Path) -> String {
    let holder = Holder::of(path).map_or("somebody else has it".into(), |it| it.to_string());
    format!("it is locked ({holder}), and was not let go of in time")
}

fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).map_err(io::Error::other)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(MODE).custom_flags(flags);
    options.open(path)
}

fn is_private(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & OTHERS == 0)
}

/// Whether this process has it now.
fn is_locked(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        result => result.map(|()| true).map_err(io::Error::from),
    }
}

/// Whether that path still names the file.
fn is_still(path: &Path, file: &File) -> io::Result<bool> {
    let opened = file.metadata()?;
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        there => there.map(|there| (there.dev(), there.ino()) == (opened.dev(), opened.ino())),
    }
}

/// Puts a new file in the place of one that others could open, as older versions made them: another mode
/// would not take it from who has it open. False: it is being replaced, or a romuoctl of such a version
/// has it. Only one at a time gets through, as only one has the new file; who comes late finds that the
/// old one is gone.
fn replace(path: &Path, old: &File) -> io::Result<bool> {
    if Holder::seen(old).is_some_and(|holder| holder.is_of_our_user()) {
        return Ok(false);
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let file = open(&new)?;
    if !is_locked(&file)? {
        return Ok(false);
    }
    if is_still(&new, &file)? {
        if is_still(path, old)? {
            file.set_permissions(Permissions::from_mode(MODE))?;
            fs::rename(&new, path)?;
        } else {
            fs::remove_file(&new)?;
        }
    }
    flock(&file, FlockOperation::Unlock)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn one_has_it_and_nobody_else_can_open_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let lock = Lock::take(&path).unwrap().unwrap();
        assert_eq!(mode(&path), MODE);
        assert!(Lock::take(&path).unwrap().is_none());
        drop(lock);
        assert!(Lock::take(&path).unwrap().is_some());
    }

    #[test]
    fn who_holds_the_file_of_an_older_version_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        // Of a stranger, as the machine sees it: it has no entry of ours.
        let stranger = File::open(&path).unwrap();
        let _lock = Lock::take(&path).unwrap().unwrap();
        flock(&stranger, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert_eq!(mode(&path), MODE);
        assert!(!dir.path().join("a.lock.new").exists());
        assert!(Lock::take(&path).unwrap().is_none(), "it is the new one that counts");
    }

    #[test]
    fn an_older_romuoctl_that_has_it_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let older = File::open(&path).unwrap();
        flock(&older, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert!(Lock::take(&path).unwrap().is_none());
        assert_eq!(mode(&path), 0o644);
        drop(older);
        assert!(Lock::take(&path).unwrap().is_some());
        assert_eq!(mode(&path), MODE);
    }

    #[test]
    fn a_wait_has_an_end_and_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let lock = Lock::take(&path).unwrap().unwrap();
        lock.say("deploying");
        let error = Lock::wait(&path, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let said = error.to_string();
        let process = format!("(process {})", std::process::id());
        for part in ["has been deploying for", &process] {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert!(Lock::take(&path).is_err());
        assert!(!dir.path().join("elsewhere").exists());
    }

    #[test]
    fn of_many_one_has_it_at_a_time_also_where_the_file_comes_and_goes() {
        /// How many want it, and how often.
        const MANY: (usize, usize) = (6, 60);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let (inside, start) = (AtomicUsize::new(0), Barrier::new(MANY.0));
        std::thread::scope(|scope| {
            for number in 0..MANY.0 {
                let (path, inside, start) = (&path, &inside, &start);
                scope.spawn(move || {
                    start.wait();
                    for _ in 0..MANY.1 {
                        let lock = Lock::wait(path, Duration::from_secs(60)).unwrap();
                        let lock = if number % 2 == 0 { lock.leaving_nothing() } else { lock };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
    }
}
