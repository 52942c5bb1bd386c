//! What is kept of a roll: one sentence and its details, in a file that outlives the roller.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::machine::Verdict;
use crate::unit::AppName;

/// The most that is read of an outcome, in bytes: it holds some ids and a few journal lines.
const FILE_MAX: u64 = 1 << 20;

/// A finished roll, as kept in `/run/romuo/NAME.roll.json`.
///
/// That file lies beside the app's own folder and not in it: the folder belongs to the user of the
/// instances, and what root reads and writes there could be swapped under its hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The app.
    pub app: String,
    /// When it began, on `CLOCK_BOOTTIME`, in milliseconds.
    pub started_ms: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Ids of the instances that were restarted and are healthy.
    pub rolled: Vec<String>,
    /// Ids of those that were left alone because someone had stopped them.
    pub stopped: Vec<String>,
    /// Ids of those that were not touched because the roll halted before.
    pub untouched: Vec<String>,
    /// Where it halted.
    pub halt: Option<Halted>,
}

/// Where and why a roll halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halted {
    /// The unit that did not come up healthy.
    pub unit: String,
    /// What is wrong with it: the end of a sentence that begins with the unit.
    pub reason: String,
    /// The last lines of its journal.
    pub journal: Vec<String>,
}

impl Outcome {
    /// What is to be kept of `verdict`.
    #[must_use]
    pub fn new(app: &AppName, verdict: &Verdict, started_ms: u64, took_ms: u64) -> Self {
        let ids = |list: &[_]| list.iter().map(ToString::to_string).collect();
        Self {
            app: app.to_string(),
            started_ms,
            took_ms,
            rolled: ids(&verdict.rolled),
            stopped: ids(&verdict.stopped),
            untouched: ids(&verdict.untouched),
            halt: verdict.halt.as_ref().map(|halt| Halted {
                unit: app.instance(halt.instance).to_string(),
                reason: halt.reason.clone(),
                journal: Vec::new(),
            }),
        }
    }

    /// Keeps it at `path`, in place of an earlier one, for the eyes of root.
    ///
    /// # Errors
    /// Where the folder cannot be written to; the earlier one is still there then.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mut file = NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut file, self)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }

    /// What is kept at `path`; none where nothing is, or nothing that can be read.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        let mut text = Vec::new();
        File::open(path).ok()?.take(FILE_MAX).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Whether every instance that was to be rolled is rolled.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.halt.is_none()
    }
}

impl fmt::Display for Outcome {
    /// The outcome in one sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { app, rolled, untouched, stopped, .. } = self;
        let all = rolled.len() + untouched.len() + usize::from(self.halt.is_some());
        #[expect(clippy::cast_precision_loss, reason = "seconds for a person, rounded anyway")]
        let seconds = self.took_ms as f64 / 1000.0;
        match &self.halt {
            None => {
                write!(f, "rolled {} of {all} instances of {app} in {seconds:.1} s", rolled.len())?;
            }
            Some(Halted { unit, reason, .. }) => {
                write!(f, "the roll of {app} halted: {unit} {reason}")?;
                match untouched.as_slice() {
                    [] => {}
                    [one] => write!(f, "; instance {one} was not touched")?,
                    many => write!(f, "; instances {} were not touched", many.join(", "))?,
                }
                if !rolled.is_empty() {
                    write!(f, "; rolled before: {}", rolled.join(", "))?;
                }
            }
        }
        if stopped.is_empty() {
            Ok(())
        } else {
            write!(f, "; left stopped: {}", stopped.join(", "))
        }
    }
}
