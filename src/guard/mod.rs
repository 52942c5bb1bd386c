//! The crash guard: counts quick crashes of an instance and says when it is errored.
//!
//! systemd has no such count (`NRestarts` is not reset by a good uptime), and its start limit would
//! take the shared socket down. So each instance's unit asks here:
//!
//! - `ExecCondition=romuo-server guard before ID` - may it start? ([`before`])
//! - `romuo-server` itself, once it is ready ([`Guard::ready`]); of an app that takes the sockets
//!   itself, `ExecStartPost=romuo-server guard ready ID` behind the gate ([`ready`])
//! - `ExecStopPost=romuo-server guard after ID` - how did it end? ([`after`])
//!
//! An instance that is errored is tried again after a pause ([`Retry`]). Until that is over its
//! unit runs a stand-in in its place, which asks [`Guard::stand_in`] whether it is to be one.
//!
//! The count is in the small file `ID.guard` in the app's runtime folder, which all of these find
//! in `$RUNTIME_DIRECTORY`. Times are of the clock that runs since boot: setting the wall clock
//! does not make an uptime.

mod command;
mod state;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::command::{Outcome, after, before, ready};
pub use self::state::{ERRORED, Errored, State, Verdict};
pub use crate::clock::BootTime;
use crate::config::Retry;
use crate::unit::{InstanceId, ServiceResult};

/// Ending of the name of its file: `1.guard`.
const SUFFIX: &str = "guard";

/// The count of one instance, kept in a file.
#[derive(Debug, Clone)]
pub struct Guard {
    path: PathBuf,
}

/// Why a count could not be kept.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot keep the crash count in {path}: {source}", path = path.display())]
#[diagnostic(help("is the runtime folder there, and may the instances' user write to it?"))]
pub struct GuardError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl Guard {
    /// The guard of instance `id` in the runtime folder `dir`.
    #[must_use]
    pub fn at(dir: &Path, id: InstanceId) -> Self {
        Self { path: dir.join(format!("{id}.{SUFFIX}")) }
    }

    /// Whose guard the file at `path` is; none: it is another file.
    #[must_use]
    pub fn id_of(path: &Path) -> Option<InstanceId> {
        let is_guard = path.extension().is_some_and(|suffix| suffix == SUFFIX);
        path.file_stem().filter(|_| is_guard)?.to_str()?.parse().ok()
    }

    /// What is known of the instance. A file that is missing or that nobody can read any more is
    /// a fresh state: a lost count must not keep an instance from starting.
    #[must_use]
    pub fn state(&self) -> State {
        fs::read(&self.path)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// May the instance start? Remembers the answer: an errored instance that is not tried again by itself
    /// starts when it is asked for the next time, which only a person does.
    ///
    /// # Errors
    /// Where the state cannot be written.
    pub fn before_start(
        &self,
        now: BootTime,
        max_restarts: u32,
        retry: Retry,
    ) -> Result<Verdict, GuardError> {
        let (state, verdict) = self.state().before_start(now, max_restarts, retry);
        self.write(&state)?;
        Ok(verdict)
    }

    /// Whether what was started is to stand in for the instance; then it does from now on.
    ///
    /// # Errors
    /// Where the state cannot be written.
    pub fn stand_in(&self) -> Result<Option<Errored>, GuardError> {
        let state = self.state();
        let errored = state.stand_in();
        if errored.is_some() {
            self.write(&state.standing_in())?;
        }
        Ok(errored)
    }

    /// The stand-in is about to end, as its pause is over.
    ///
    /// # Errors
    /// Where the state cannot be written.
    pub fn pause_over(&self, now: BootTime) -> Result<(), GuardError> {
        self.write(&self.state().pause_over(now))
    }

    /// The guards of all instances of an app but `own`, as they are in the runtime folder `dir`.
    pub fn siblings(dir: &Path, own: InstanceId) -> impl Iterator<Item = (InstanceId, State)> {
        let files = fs::read_dir(dir).into_iter().flatten().flatten();
        let ids = files.filter_map(|file| Self::id_of(&file.path())).filter(move |id| *id != own);
        ids.map(|id| (id, Self::at(dir, id).state()))
    }

    /// The instance got ready.
    ///
    /// # Errors
    /// Where the state cannot be written.
    pub fn ready(&self, now: BootTime) -> Result<(), GuardError> {
        self.write(&self.state().ready(now))
    }

    /// The child of a front ended, and the front goes on.
    ///
    /// # Errors
    /// Where the state cannot be written.
    pub fn child_ended(&self, now: BootTime, min_uptime: Duration) -> Result<State, GuardError> {
        let state = self.state().child_ended(now, min_uptime);
        self.write(&state)?;
        Ok(state)
    }

    /// The instance ended, with this result.
    ///
    /// # Errors
    /// Where the state cannot be written.
    pub fn after_stop(
        &self,
        now: BootTime,
        result: &ServiceResult,
        min_uptime: Duration,
    ) -> Result<State, GuardError> {
        let state = self.state().after_stop(now, result, min_uptime);
        self.write(&state)?;
        Ok(state)
    }

    /// Replaces the file in one step. It lives in memory and not longer than the boot, so there is
    /// nothing to sync.
    fn write(&self, state: &State) -> Result<(), GuardError> {
        let new = self.path.with_extension("guard.new");
        let text = serde_json::to_vec(state).map_err(io::Error::other);
        text.and_then(|text| File::create(&new)?.write_all(&text))
            .and_then(|()| fs::rename(&new, &self.path))
            .map_err(|source| GuardError { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
