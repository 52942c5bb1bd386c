//! How far a roll is, in a file that outlives a roller which is killed.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::kept;
use super::machine::Roll;
use crate::clock::BootTime;
use crate::unit::InstanceId;

/// It is for everybody who asks how the app is.
const MODE: u32 = 0o644;

/// A roll under way, as kept in `/run/romuo/NAME.roll.progress.json`. Where the file is there and nobody
/// holds the lock of the roll, the roller was killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The process that rolls.
    pub pid: u32,
    /// When it began, on `CLOCK_BOOTTIME`, in milliseconds.
    pub started_ms: u64,
    /// How many instances are to be rolled.
    pub all: usize,
    /// Ids of those that are rolled.
    pub rolled: Vec<String>,
    /// Ids of those whose turn it is.
    pub under_way: Vec<String>,
    /// Ids of extra instances that are stopped at the end.
    pub extra: Vec<String>,
}

impl Progress {
    /// How far `roll` is, which this process does.
    #[must_use]
    pub fn of(roll: &Roll, started: BootTime, extra: &[InstanceId]) -> Self {
        let ids =
            |list: &mut dyn Iterator<Item = InstanceId>| list.map(|id| id.to_string()).collect();
        Self {
            pid: std::process::id(),
            started_ms: started.milliseconds(),
            all: roll.progress().1,
            rolled: ids(&mut roll.verdict().rolled.iter().map(|planned| planned.id)),
            under_way: ids(&mut roll.under_way()),
            extra: ids(&mut extra.iter().copied()),
        }
    }

    /// Keeps it at `path`, in place of an earlier one.
    ///
    /// # Errors
    /// Where the folder cannot be written to.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        kept::write(self, path, MODE)
    }

    /// What is kept at `path`; none where nothing is, or nothing that can be read.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        kept::read(path)
    }

    /// The roll is over.
    pub fn remove(path: &Path) {
        // It is not there where it could not be written either.
        let _ = fs::remove_file(path);
    }

    /// How far it is: "1 of 2".
    #[must_use]
    pub fn how_far(&self) -> String {
        format!("{} of {}", self.rolled.len(), self.all)
    }

    /// Who rolls, since when and how far: "process 4711 is rolling since 12 s, 1 of 2 instances are
    /// done".
    #[must_use]
    pub fn who(&self, now: BootTime) -> String {
        let since = now.milliseconds().saturating_sub(self.started_ms) / 1000;
        let (pid, far) = (self.pid, self.how_far());
        format!("process {pid} has been rolling for {since} s, {far} instances are done")
    }
}
