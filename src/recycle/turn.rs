//! One at a time: the turn of the instances of an app, in a file of their runtime folder.
//!
//! The file outlives the instance that has the turn: its successor gives it back when it is ready. One
//! that does not come up loses it after the time that a stop and a start may take.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use serde::{Deserialize, Serialize};

use crate::clock::BootTime;
use crate::config::Limits;
use crate::unit::InstanceId;

/// The file, in the runtime folder.
const NAME: &str = "turn";

/// Only the instances' user uses it, and root.
const MODE: u32 = 0o600;

/// Most that is read of it, in bytes: it holds an id and a time.
const SIZE_MAX: u64 = 256;

/// How much longer than it is allowed a stop and a start may take: systemd's own margins.
const MARGIN: Duration = Duration::from_secs(10);

/// Longest time that an instance reads and writes the file: many times what that takes.
const A_LOOK: Duration = Duration::from_secs(1);

/// Pause between two attempts at the file.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The turns of an app.
#[derive(Debug, Clone)]
pub struct Turns {
    path: PathBuf,
    /// How long one may last.
    longest: Duration,
}

/// Whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The instance.
    pub instance: String,
    /// Since when.
    pub since: BootTime,
}

/// The turn of this instance. Dropped, it is given back.
#[derive(Debug)]
pub struct Held {
    turns: Turns,
    id: InstanceId,
    kept: bool,
}

impl Turns {
    /// Those in the runtime folder `dir`, of an app with these limits.
    #[must_use]
    pub fn at(dir: &Path, limits: &Limits) -> Self {
        let longest = limits.stop_timeout + limits.restart_delay + limits.start_timeout + MARGIN;
        Self { path: dir.join(NAME), longest }
    }

    /// How long a turn may last.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// Takes the turn for `id`; none: another instance has it, or is looking at this moment.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn take(&self, id: InstanceId, now: BootTime) -> io::Result<Option<Held>> {
        let mut file = self.open()?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        let result = read(&mut file).and_then(|turn| {
            let is_free = |turn: &Turn| turn.instance == id.to_string() || self.is_over(turn, now);
            if turn.is_some_and(|turn| !is_free(&turn)) {
                return Ok(None);
            }
            let turn = Turn { instance: id.to_string(), since: now };
            write(&mut file, &serde_json::to_vec(&turn)?)?;
            Ok(Some(Held { turns: self.clone(), id, kept: false }))
        });
        unlock(&file);
        result
    }

    /// Gives back the turn of `id`, if it has it.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn give_back(&self, id: InstanceId) -> io::Result<()> {
        let mut file = self.open()?;
        // For as long as another instance looks; whatever else has it must not keep one from getting ready.
        let until = Instant::now() + A_LOOK;
        while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            if Instant::now() >= until {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let result = read(&mut file).and_then(|turn| match turn {
            Some(turn) if turn.instance == id.to_string() => write(&mut file, b""),
            _ => Ok(()),
        });
        unlock(&file);
        result
    }

    /// Whose turn it is; none: nobody's, or of one who had it for too long. For root too, who does not
    /// trust what lies in a folder of the app: the file is neither followed nor waited for.
    #[must_use]
    pub fn holder(&self, now: BootTime) -> Option<Turn> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
        let flags = i32::try_from(flags).ok()?;
        let mut file = OpenOptions::new().read(true).custom_flags(flags).open(&self.path).ok()?;
        read(&mut file).ok()?.filter(|turn| !self.is_over(turn, now))
    }

    /// Whether it has lasted too long. It may have begun a moment after the clock was read here; one
    /// that is to begin much later is nonsense.
    fn is_over(&self, turn: &Turn, now: BootTime) -> bool {
        now.since(turn.since) > self.longest || turn.since.since(now) > self.longest
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(MODE).open(&self.path)
    }
}

impl Held {
    /// Keeps the turn beyond the end of this process: the successor gives it back.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.kept {
            // Where it cannot be given back it is over after a while.
            let _ = self.turns.give_back(self.id);
        }
    }
}

/// Outright: a process that is being started at this moment may hold a copy of the file (flock(2)).
fn unlock(file: &File) {
    // It cannot fail on a file that is locked.
    let _ = flock(file, FlockOperation::Unlock);
}

/// None: nobody's. What nobody can read is nobody's either: a broken file must not stop anything.
fn read(file: &mut File) -> io::Result<Option<Turn>> {
    let mut text = Vec::new();
    file.take(SIZE_MAX).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text).ok())
}

fn write(file: &mut File, text: &[u8]) -> io::Result<()> {
    file.rewind()?;
    file.set_len(0)?;
    file.write_all(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn turns(dir: &Path) -> Turns {
        let settings = crate::config::Settings::new("shop".parse().unwrap(), "/".into());
        Turns::at(dir, &settings.limits)
    }

    fn id(number: u16) -> InstanceId {
        number.to_string().parse().unwrap()
    }

    fn at(seconds: u64) -> BootTime {
        BootTime::after_boot(Duration::from_secs(seconds))
    }

    fn whose(turns: &Turns, seconds: u64) -> Option<String> {
        turns.holder(at(seconds)).map(|turn| turn.instance)
    }

    #[test]
    fn one_has_it_until_it_gives_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let turns = turns(dir.path());
        assert_eq!(whose(&turns, 1), None);
        let held = turns.take(id(1), at(1)).unwrap().unwrap();
        assert_eq!(whose(&turns, 2).as_deref(), Some("1"));
        assert!(turns.take(id(2), at(2)).unwrap().is_none());
        turns.give_back(id(2)).unwrap();
        assert_eq!(whose(&turns, 2).as_deref(), Some("1"), "it was not the turn of 2");
        drop(held);
        assert_eq!(whose(&turns, 2), None);
        assert!(turns.take(id(2), at(2)).unwrap().is_some());
    }

    #[test]
    fn a_turn_that_is_kept_outlives_its_process_until_the_successor_is_ready() {
        let dir = tempfile::tempdir().unwrap();
        let turns = turns(dir.path());
        turns.take(id(1), at(1)).unwrap().unwrap().keep();
        assert!(turns.take(id(2), at(2)).unwrap().is_none());
        turns.give_back(id(1)).unwrap();
        assert!(turns.take(id(2), at(2)).unwrap().is_some());
    }

    #[test]
    fn a_successor_that_does_not_come_loses_it() {
        let dir = tempfile::tempdir().unwrap();
        let turns = turns(dir.path());
        turns.take(id(1), at(100)).unwrap().unwrap().keep();
        let over = 100 + turns.longest().as_secs() + 1;
        assert!(turns.take(id(2), at(over - 2)).unwrap().is_none());
        assert_eq!(whose(&turns, over), None);
        let held = turns.take(id(2), at(over)).unwrap().unwrap();
        // It comes after all: the turn is no longer its own.
        turns.give_back(id(1)).unwrap();
        assert_eq!(whose(&turns, over).as_deref(), Some("2"));
        drop(held);
    }

    #[test]
    fn a_turn_of_the_future_and_a_broken_file_hold_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let turns = turns(dir.path());
        turns.take(id(1), at(500)).unwrap().unwrap().keep();
        assert_eq!(whose(&turns, 100), None);
        for text in ["{", "\u{0}", "{\"instance\":7}", &"x".repeat(10_000)] {
            std::fs::write(dir.path().join(NAME), text).unwrap();
            assert_eq!(whose(&turns, 1), None);
            assert!(turns.take(id(2), at(1)).unwrap().is_some());
        }
    }

    #[test]
    fn whoever_looks_as_root_neither_follows_a_link_nor_waits() {
        let dir = tempfile::tempdir().unwrap();
        let (turns, elsewhere) = (turns(dir.path()), dir.path().join("elsewhere"));
        std::fs::write(&elsewhere, r#"{"instance":"1","since":1000000}"#).unwrap();
        std::os::unix::fs::symlink(&elsewhere, dir.path().join(NAME)).unwrap();
        assert_eq!(whose(&turns, 2), None);
        std::fs::remove_file(dir.path().join(NAME)).unwrap();
        let fifo = rustix::fs::FileType::Fifo;
        let path = dir.path().join(NAME);
        rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, 0o600.into(), 0).unwrap();
        assert_eq!(whose(&turns, 2), None);
    }

    #[test]
    fn of_many_that_want_it_at_once_one_has_it() {
        /// How many instances want it.
        const MANY: u16 = 8;
        let dir = tempfile::tempdir().unwrap();
        let turns = turns(dir.path());
        // One that is over, which all of them may take.
        turns.take(id(99), at(1)).unwrap().unwrap().keep();
        let (inside, start) = (AtomicUsize::new(0), Barrier::new(MANY.into()));
        std::thread::scope(|scope| {
            for number in 1..=MANY {
                let (turns, inside, start) = (&turns, &inside, &start);
                scope.spawn(move || {
                    start.wait();
                    for round in 0..200 {
                        // None of them read the clock at the same moment.
                        let now = at(1000 + (round + u64::from(number)) % 9);
                        let Some(held) = turns.take(id(number), now).unwrap() else {
                            continue;
                        };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(held);
                    }
                });
            }
        });
        assert_eq!(whose(&turns, 1000), None);
    }
}
