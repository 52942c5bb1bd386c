//! The lock of a roll, and of whoever else changes the instances: as long as it lasts, no instance of
//! the app is recycled.
//!
//! Three files beside the runtime folder of the app, where only root makes any:
//!
//! - `NAME.roll.lock` is the lock, which only root can open.
//! - `NAME.roll.sock` says to everybody whether somebody has it: a socket of whoever has it, from which
//!   nothing is read. A socket whose process has ended refuses to be connected to (unix(7)), and a
//!   connection of datagrams takes no place in a queue: who asks is answered by the kernel, at once, and
//!   holds up nobody.
//! - `NAME.roll.said` is what it is held for, where that is not a roll.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::lock::{Holder, Lock};

/// Added to the name of the app's runtime folder: the lock.
const LOCK: &str = ".roll.lock";

/// The socket of who has it.
const SIGN: &str = ".roll.sock";

/// What it is held for.
const SAID: &str = ".roll.said";

/// Everybody may ask: to connect takes the right to write (unix(7)).
const SIGN_MODE: u32 = 0o666;

/// Everybody may read what it is held for.
const SAID_MODE: u32 = 0o644;

/// Mode of the folder, where systemd has not made it yet: as its `RuntimeDirectoryMode=`.
const FOLDER_MODE: u32 = 0o755;

/// The most that is read of what is said in it, in bytes: one sentence.
const SAID_MAX: u64 = 1 << 10;

/// The right to roll. It ends when this is dropped.
#[derive(Debug)]
pub struct RollLock {
    sign: PathBuf,
    said: PathBuf,
    _socket: UnixDatagram,
    /// Last, so that it is let go of when all else is gone.
    _lock: Lock,
}

impl RollLock {
    /// Takes it, for the app with the runtime folder `dir`; none: somebody else has it.
    ///
    /// # Errors
    /// Where the files cannot be made.
    pub fn take(dir: &Path) -> io::Result<Option<Self>> {
        let path = path(dir, LOCK);
        make_folder(&path)?;
        let Some(lock) = Lock::take(&path)? else { return Ok(None) };
        lock.say("changing the instances");
        // What the one before said of itself, where it was killed.
        let said = self::path(dir, SAID);
        remove(&said)?;
        let sign = self::path(dir, SIGN);
        let socket = put_up(&sign)?;
        Ok(Some(Self { sign, said, _socket: socket, _lock: lock }))
    }

    /// Says what it is held for, where that is not a roll: the end of a sentence that begins with the
    /// app.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn say(&self, what: &str) -> io::Result<()> {
        let new = self.said.with_extension("said.new");
        fs::write(&new, what)?;
        // The umask of a unit is strict.
        fs::set_permissions(&new, Permissions::from_mode(SAID_MODE))?;
        fs::rename(&new, &self.said)
    }

    /// What is said of it; none: it is held for a roll, or by nobody.
    #[must_use]
    pub fn said(dir: &Path) -> Option<String> {
        let mut text = String::new();
        let file = fs::File::open(path(dir, SAID)).ok()?;
        file.take(SAID_MAX).read_to_string(&mut text).ok()?;
        (!text.is_empty() && Self::is_taken(dir)).then_some(text)
    }

    /// Whether a roll of that app is under way. It may be asked by everybody.
    #[must_use]
    pub fn is_taken(dir: &Path) -> bool {
        UnixDatagram::unbound().and_then(|asking| asking.connect(path(dir, SIGN))).is_ok()
    }

    /// Who has it; none: nobody, or it is not for this user to know.
    #[must_use]
    pub fn holder(dir: &Path) -> Option<Holder> {
        Holder::of(&path(dir, LOCK))
    }
}

impl Drop for RollLock {
    /// Removes the sign outright: closing the socket is not enough while a process that another thread is
    /// starting at this moment holds a copy of it.
    fn drop(&mut self) {
        // Left behind they are those of nobody, and the next one replaces them.
        let _ = remove(&self.sign);
        let _ = remove(&self.said);
    }
}

/// Makes the socket, under another name until everybody may connect to it.
fn put_up(sign: &Path) -> io::Result<UnixDatagram> {
    let new = sign.with_extension("sock.new");
    remove(&new)?;
    let socket = UnixDatagram::bind(&new)?;
    fs::set_permissions(&new, Permissions::from_mode(SIGN_MODE))?;
    fs::rename(&new, sign)?;
    Ok(socket)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Before the first start after a boot there is no folder yet.
fn make_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    // The umask took its part of the mode above.
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))
}

/// By its text: the folder of a dynamic user is a link to another place.
fn path(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    dir.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_seen_as_long_as_it_lasts_and_one_has_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("shop");
        assert!(!RollLock::is_taken(&dir), "never a roll");
        let lock = RollLock::take(&dir).unwrap().unwrap();
        assert!(RollLock::is_taken(&dir));
        assert!(RollLock::take(&dir).unwrap().is_none());
        let holder = RollLock::holder(&dir).unwrap();
        assert_eq!(holder.pid, std::process::id());
        let mode =
            |name: &str| root.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("shop.roll.lock"), mode("shop.roll.sock")), (0o600, SIGN_MODE));
        drop(lock);
        assert!(!RollLock::is_taken(&dir));
        assert!(RollLock::take(&dir).unwrap().is_some(), "a look leaves nothing behind");
    }

    #[test]
    fn who_looks_holds_up_nobody_however_many_they_are() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("shop");
        let lock = RollLock::take(&dir).unwrap().unwrap();
        let looks: Vec<_> = (0..100)
            .map(|_| {
                let asking = UnixDatagram::unbound().unwrap();
                asking.connect(path(&dir, SIGN)).unwrap();
                asking.set_nonblocking(true).unwrap();
                // Until its queue is full.
                while asking.send(&[0; 1024]).is_ok() {}
                asking
            })
            .collect();
        assert!(RollLock::is_taken(&dir));
        drop(lock);
        assert!(!RollLock::is_taken(&dir));
        let _next = RollLock::take(&dir).unwrap().unwrap();
        drop(looks);
    }

    #[test]
    fn the_sign_of_one_who_was_killed_says_nothing() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("shop");
        drop(UnixDatagram::bind(path(&dir, SIGN)).unwrap());
        fs::write(path(&dir, SAID), "is being scaled").unwrap();
        assert!(!RollLock::is_taken(&dir));
        assert_eq!(RollLock::said(&dir), None);
        let _lock = RollLock::take(&dir).unwrap().unwrap();
        assert!(RollLock::is_taken(&dir));
        assert_eq!(RollLock::said(&dir), None, "it was another one");
    }

    #[test]
    fn what_is_said_lasts_as_long_as_the_lock() {
        let root = tempfile::tempdir().unwrap();
        // Nothing of the app was ever started.
        let dir = root.path().join("romuo/shop");
        let lock = RollLock::take(&dir).unwrap().unwrap();
        assert_eq!(RollLock::said(&dir), None, "it is a roll");
        lock.say("is being scaled").unwrap();
        assert_eq!(RollLock::said(&dir).as_deref(), Some("is being scaled"));
        drop(lock);
        assert_eq!(RollLock::said(&dir), None, "nobody has it");
        let _roll = RollLock::take(&dir).unwrap().unwrap();
        assert_eq!(RollLock::said(&dir), None, "it was another one");
    }
}
