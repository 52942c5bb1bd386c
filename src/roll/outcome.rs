//! What is kept of a roll: one sentence and its details, in a file that outlives the roller.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kept;
use super::machine::{Failed, Verdict};
use super::plan::{Planned, Reason, Way};
use crate::clock::BootTime;
use crate::release::Pin;
use crate::unit::{AppName, InstanceId};

/// It holds lines of the journal, which are not for everybody.
const MODE: u32 = 0o600;

/// [`Rolled::done`] of a swap.
pub(super) const SWAPPED: &str = "swapped";

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
    /// Ids of the instances that are rolled and healthy.
    pub rolled: Vec<String>,
    /// How each of them was rolled, and why so.
    #[serde(default)]
    pub how: Vec<Rolled>,
    /// Ids of those that were left alone because someone had stopped them.
    pub stopped: Vec<String>,
    /// Ids of those that were not touched because the roll halted before.
    pub untouched: Vec<String>,
    /// Where it halted, or what failed first.
    pub halt: Option<Halted>,
    /// All that failed, of a roll that goes on after a failure.
    #[serde(default)]
    pub failed: Vec<Halted>,
    /// Someone ended it before its time.
    #[serde(default)]
    pub canceled: bool,
    /// Ids of extra instances that serve on in the place of those that failed.
    #[serde(default)]
    pub kept: Vec<String>,
    /// What all were to run: the id of a release, or `base`; none: the same as before.
    #[serde(default)]
    pub release: Option<String>,
    /// How those went back that had it, as it was not well.
    #[serde(default)]
    pub back: Option<Back>,
    /// What the app did not listen on any more, after all went well; none: there was nothing of it.
    #[serde(default)]
    pub closed: Option<Closed>,
}

/// Addresses that were closed after the last instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The addresses.
    pub listen: Vec<String>,
    /// Why one may still be open, as a sentence; none: all are closed.
    pub failed: Option<String>,
}

/// How instances went back to what they ran before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Back {
    /// What they went back to: "release 20261126T001100Z".
    pub to: String,
    /// Ids of the instances.
    pub rolled: Vec<String>,
    /// Why that failed, too, as a sentence.
    pub failed: Option<String>,
}

/// How an instance was rolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolled {
    /// Its id.
    pub instance: String,
    /// `swapped` or `restarted`.
    pub done: String,
    /// Why not by swap, where that is the way of the app: the end of a sentence after "because".
    pub why: Option<String>,
}

/// Where and why a roll halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halted {
    /// The unit that did not come up healthy.
    pub unit: String,
    /// What is wrong with it: the end of a sentence that begins with the unit.
    pub reason: String,
    /// It keeps serving what it ran before.
    #[serde(default)]
    pub serves_on: bool,
    /// It was restarted once more, and serves.
    #[serde(default)]
    pub put_back: bool,
    /// The last lines of its journal.
    pub journal: Vec<String>,
    /// What is known of those: what they mean, and what is to be done.
    #[serde(default)]
    pub hints: Vec<String>,
}

impl Outcome {
    /// What is to be kept of `verdict`.
    #[must_use]
    pub fn new(app: &AppName, verdict: &Verdict, started: BootTime, took: Duration) -> Self {
        let ids = |list: &[InstanceId]| list.iter().map(ToString::to_string).collect();
        let how: Vec<_> = verdict.rolled.iter().map(Rolled::new).collect();
        let failed: Vec<_> = verdict.failed.iter().map(|one| Halted::new(app, one)).collect();
        Self {
            app: app.to_string(),
            started_ms: started.milliseconds(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            rolled: how.iter().map(|rolled| rolled.instance.clone()).collect(),
            how,
            stopped: ids(&verdict.stopped),
            untouched: ids(&verdict.untouched),
            halt: failed.first().cloned(),
            failed,
            canceled: verdict.is_canceled,
            kept: ids(&verdict.kept),
            release: None,
            back: None,
            closed: None,
        }
    }

    /// What all were to run, as the end of a few words; nothing where it is the same.
    fn to(&self) -> String {
        let pin = self.release.clone().and_then(|release| Pin::try_from(release).ok());
        pin.map(|pin| format!(" to {pin}")).unwrap_or_default()
    }

    /// Keeps it at `path`, in place of an earlier one, for the eyes of root.
    ///
    /// # Errors
    /// Where the folder cannot be written to; the earlier one is still there then.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        kept::write(self, path, MODE)
    }

    /// What is kept at `path`; none where nothing is, or nothing that can be read.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        kept::read(path)
    }

    /// The instance where it halted.
    fn halted_at(&self) -> Option<InstanceId> {
        let app: AppName = self.app.parse().ok()?;
        app.instance_of(&self.halt.as_ref()?.unit)
    }

    /// Whether every instance that was to be rolled is rolled.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.halt.is_none() && self.untouched.is_empty()
    }

    /// Whether nothing is left to be done.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.is_done() && self.still_open().is_none()
    }

    /// Whether it failed and that is over by now, where all instances serve, the oldest of them since `oldest`: they
    /// went back, or each was started once more.
    #[must_use]
    pub fn has_passed(&self, oldest: BootTime) -> bool {
        let went_back = self.back.as_ref().is_some_and(|back| back.failed.is_none());
        let end = self.started_ms.saturating_add(self.took_ms);
        !self.is_done()
            && self.still_open().is_none()
            && (went_back || oldest.milliseconds() >= end)
    }

    /// Why an address may still be open that was to close; none: none is.
    #[must_use]
    pub fn still_open(&self) -> Option<&str> {
        self.closed.as_ref()?.failed.as_deref()
    }
}

impl Halted {
    fn new(app: &AppName, failed: &Failed) -> Self {
        Self {
            unit: app.instance(failed.instance).to_string(),
            reason: failed.reason.clone(),
            serves_on: failed.serves_on,
            put_back: failed.is_put_back,
            journal: Vec::new(),
            hints: Vec::new(),
        }
    }
}

impl Rolled {
    fn new(planned: &Planned) -> Self {
        Self {
            instance: planned.id.to_string(),
            done: planned.way.done().into(),
            why: match &planned.way {
                Way::Swap { .. } | Way::Restart(Reason::Method) => None,
                Way::Restart(reason) => Some(reason.to_string()),
            },
        }
    }
}

/// Says how instances were rolled, those with the same way and reason together: "swapped 1, 3;
/// restarted 2, because its unit changed". Nothing where a swap was never the way.
fn ways(how: &[Rolled]) -> Option<String> {
    let mut groups: Vec<(&str, Option<&str>, Vec<&str>)> = Vec::new();
    for Rolled { instance, done, why } in how {
        match groups.iter_mut().find(|(d, w, _)| d == done && *w == why.as_deref()) {
            Some((.., ids)) => ids.push(instance),
            None => groups.push((done, why.as_deref(), vec![instance])),
        }
    }
    let explained = groups.iter().any(|(done, why, _)| *done == SWAPPED || why.is_some());
    let group = |(done, why, ids): &(&str, Option<&str>, Vec<&str>)| {
        let because = match why.map(|why| (why.strip_prefix("its "), why)) {
            None => String::new(),
            Some((Some(rest), _)) if ids.len() > 1 => format!(", because their {rest}"),
            Some((_, why)) => format!(", because {why}"),
        };
        format!("{done} {}{because}", ids.join(", "))
    };
    explained.then(|| groups.iter().map(group).collect::<Vec<_>>().join("; "))
}

impl fmt::Display for Outcome {
    /// The outcome in one sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { app, rolled, untouched, stopped, .. } = self;
        let all = rolled.len() + untouched.len() + self.failed.len();
        #[expect(clippy::cast_precision_loss, reason = "seconds for a person, rounded anyway")]
        let seconds = self.took_ms as f64 / 1000.0;
        match &self.halt {
            None if self.canceled => {
                let to = self.to();
                write!(f, "the roll of {app}{to} was canceled at {} of {all}", rolled.len())?;
                write_untouched(f, untouched)?;
            }
            None => {
                let to = self.to();
                let rolled = rolled.len();
                write!(f, "rolled {rolled} of {all} instances of {app}{to} in {seconds:.1} s")?;
                if let Some(ways) = ways(&self.how) {
                    write!(f, ": {ways}")?;
                }
            }
            Some(Halted { unit, reason, serves_on, put_back, .. }) => {
                write!(f, "the roll of {app}{} halted: {unit} {reason}", self.to())?;
                let id = self.halted_at();
                if let (true, Some(id)) = (serves_on, id) {
                    write!(f, "; instance {id} keeps serving what it ran")?;
                }
                if let (true, Some(id)) = (put_back, id) {
                    write!(f, "; instance {id} was restarted once more, and serves")?;
                }
                for other in self.failed.iter().skip(1) {
                    write!(f, "; {} {}", other.unit, other.reason)?;
                }
                match self.kept.as_slice() {
                    [] => {}
                    [one] => write!(f, "; the extra instance {one} serves on")?,
                    many => write!(f, "; the extra instances {} serve on", many.join(", "))?,
                }
                write_untouched(f, untouched)?;
                if !rolled.is_empty() {
                    write!(f, "; rolled before: {}", rolled.join(", "))?;
                }
            }
        }
        if !stopped.is_empty() {
            write!(f, "; left stopped: {}", stopped.join(", "))?;
        }
        match &self.closed {
            None => {}
            Some(Closed { listen, failed: None }) => write!(f, "; closed {}", listen.join(", "))?,
            Some(Closed { listen, failed: Some(error) }) => {
                write!(f, "; but {} may still be open: {error}", listen.join(", "))?;
            }
        }
        match &self.back {
            None => Ok(()),
            Some(Back { to, failed: Some(error), .. }) => {
                write!(f, "; and the way back to {to} failed too: {error}")
            }
            Some(Back { to, .. }) => write!(f, "; all instances run {to} again"),
        }
    }
}

fn write_untouched(f: &mut fmt::Formatter<'_>, untouched: &[String]) -> fmt::Result {
    match untouched {
        [] => Ok(()),
        [one] => write!(f, "; instance {one} was not touched"),
        many => write!(f, "; instances {} were not touched", many.join(", ")),
    }
}
