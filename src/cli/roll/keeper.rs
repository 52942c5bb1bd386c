//! Keeps how far a roll is, and what it came to.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::super::context::Context;
use super::whole::Whole;
use crate::clock::BootTime;
use crate::roll::{Outcome, Progress, Roll as Machine};
use crate::unit::{AppName, InstanceId};

/// Keeps how far the roll is, for whoever asks and for the one after it.
pub(super) struct Keeper {
    path: PathBuf,
    started: BootTime,
    extra: Vec<InstanceId>,
    last: Option<Progress>,
    is_told: bool,
}

impl Keeper {
    pub(super) fn new(path: PathBuf, started: BootTime, whole: &Whole) -> Self {
        let extra = whole.extra.iter().chain(&whole.left).copied().collect();
        Self { path, started, extra, last: None, is_told: false }
    }

    pub(super) fn note(&mut self, machine: &Machine) {
        let now = Progress::of(machine, self.started, &self.extra);
        if self.last.as_ref() == Some(&now) {
            return;
        }
        // A full disk is no reason to leave a roll half done.
        if let Err(error) = now.write(&self.path)
            && !self.is_told
        {
            self.is_told = true;
            warn(&self.path, "how far the roll is", &error);
        }
        self.last = Some(now);
    }
}

/// Keeps the outcome for those who ask later. Where it cannot be kept the roll is none the worse.
pub(super) fn keep(context: &Context, app: &AppName, outcome: &Outcome) {
    let path = context.outcome_path(app);
    if let Err(error) = outcome.write(&path) {
        warn(&path, "what the roll came to", &error);
    }
}

fn warn(path: &Path, what: &str, error: &std::io::Error) {
    let path = path.display();
    let _ = writeln!(std::io::stderr(), "{what} could not be kept in {path}: {error}");
}
