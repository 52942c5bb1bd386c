//! The state of a unit, read in one go.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::guard::ERRORED;
use crate::unit::{ActiveState, ServiceResult, UnitName};

/// What is known of a unit. Figures are none where systemd has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitStatus {
    /// Its name.
    pub name: UnitName,
    /// Whether a unit file was found and could be read (`LoadState=loaded`).
    pub loaded: bool,
    /// Whether it is up.
    pub active: ActiveState,
    /// The finer state, such as `running` or `auto-restart`.
    pub sub: String,
    /// What is queued to be done with it or under way, such as `stop`; none: nothing.
    pub job: Option<String>,
    /// How the last run of a service ended.
    pub result: ServiceResult,
    /// Exit code or signal of the last main process, by `result`.
    pub exit_status: i32,
    /// Whether that process ended by itself, with a code (`CLD_EXITED`, waitid(2)).
    pub exited: bool,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
    /// Which run of the unit it is (`InvocationID=`, systemd.exec(5)): each start makes a new one;
    /// [`ServiceManager::status`](super::ServiceManager::status) alone tells it.
    pub run: Option<String>,
    /// The main process.
    pub main_pid: Option<u32>,
    /// Memory of the cgroup, in bytes.
    pub memory: Option<u64>,
    /// Limit of that memory, in bytes.
    pub memory_max: Option<u64>,
    /// CPU time used since the start.
    pub cpu: Option<Duration>,
    /// When its main process was started, on `CLOCK_MONOTONIC`.
    pub started: Option<Duration>,
    /// What it said of itself with `STATUS=` (`sd_notify(3)`).
    pub status_text: String,
    /// Addresses of a socket unit.
    pub listen: Vec<String>,
    /// The program that `ExecStart=` names, of a service.
    pub program: Option<PathBuf>,
    /// Whether it has no network but a loopback of its own (`PrivateNetwork=`); none: not known.
    pub private_network: Option<bool>,
    /// What its files say; [`ServiceManager::status`](super::ServiceManager::status) alone tells it.
    pub files: UnitFiles,
}

/// What a unit was made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitFiles {
    /// When it last began to start: what it read of files, it read then or later.
    pub read: Option<SystemTime>,
    /// The same moment on `CLOCK_MONOTONIC`, which nobody sets.
    pub read_since_boot: Option<Duration>,
    /// Its unit file.
    pub fragment: Option<PathBuf>,
    /// Its drop-ins.
    pub drop_ins: Vec<PathBuf>,
    /// They changed since systemd read them (`systemctl daemon-reload`).
    pub stale: bool,
    /// Whether it is up and has an `ExecReload=`.
    pub can_reload: bool,
}

impl UnitStatus {
    /// A unit of which nothing is known but its name: not loaded, inactive.
    #[must_use]
    pub fn unknown(name: UnitName) -> Self {
        Self {
            name,
            loaded: false,
            active: ActiveState::Inactive,
            sub: "dead".into(),
            job: None,
            result: ServiceResult::Success,
            exit_status: 0,
            exited: false,
            restarts: 0,
            run: None,
            main_pid: None,
            memory: None,
            memory_max: None,
            cpu: None,
            started: None,
            status_text: String::new(),
            listen: Vec::new(),
            program: None,
            private_network: None,
            files: UnitFiles::default(),
        }
    }

    /// Whether it is up: active, or active and reloading. An errored instance is not, though its stand-in, which
    /// is what systemd sees, is.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.is_active() && self.standing_in().is_none()
    }

    fn is_active(&self) -> bool {
        matches!(self.active, ActiveState::Active | ActiveState::Reloading)
    }

    /// Why something stands in for the instance, and until when, as the end of a sentence that begins with its
    /// name; none: nothing does.
    #[must_use]
    pub fn standing_in(&self) -> Option<&str> {
        self.status_text.strip_prefix(ERRORED).filter(|_| self.is_active())
    }

    /// Whether the crash guard or systemd gave it up, for now or for ever.
    #[must_use]
    pub fn is_errored(&self) -> bool {
        self.active == ActiveState::Failed
            || self.standing_in().is_some()
            || (self.active == ActiveState::Inactive && self.result == ServiceResult::ExecCondition)
    }

    /// Whether it is down for a moment only: between the two halves of a restart a unit is inactive, and
    /// a job to start it is queued.
    #[must_use]
    pub fn is_about_to_start(&self) -> bool {
        matches!(self.job.as_deref(), Some("start" | "restart"))
    }

    /// Why it is down, as the end of a sentence that begins with its name.
    #[must_use]
    pub fn why_down(&self) -> String {
        if let Some(why) = self.standing_in() {
            return why.to_owned();
        }
        match &self.result {
            ServiceResult::Success if !self.loaded => "has no unit file".into(),
            ServiceResult::Success => format!("is {}", self.active),
            // The main process is not the one that failed: it went with a command beside it.
            ServiceResult::ExitCode if !self.exited || self.exit_status == 0 => {
                "did not pass its start".into()
            }
            ServiceResult::ExitCode => format!("exited with code {}", self.exit_status),
            ServiceResult::Signal => format!("was killed by signal {}", self.exit_status),
            ServiceResult::CoreDump => format!("crashed with signal {}", self.exit_status),
            ServiceResult::Watchdog => "missed its watchdog and was killed".into(),
            ServiceResult::OomKill => "ran out of memory and was killed".into(),
            ServiceResult::Timeout => "did not get ready in time".into(),
            ServiceResult::ExecCondition => "crashed too often and was given up".into(),
            other => format!("failed ({other})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_something_stands_in_for_is_errored_and_not_up() {
        let mut unit = UnitStatus::unknown(UnitName::loaded("shop@1.service"));
        (unit.loaded, unit.active) = (true, ActiveState::Active);
        unit.status_text = "serving 127.0.0.1:3000: errored: no".into();
        assert!(unit.is_up() && !unit.is_errored());
        unit.status_text =
            "errored: crashed 3 times in a row, each time too soon; next try in 42s".into();
        assert!(!unit.is_up() && unit.is_errored());
        assert_eq!(
            unit.why_down(),
            "crashed 3 times in a row, each time too soon; next try in 42s"
        );
        // systemd keeps the line of the last run.
        unit.active = ActiveState::Inactive;
        assert!(!unit.is_errored());
        assert_eq!(unit.why_down(), "is inactive");
    }
}
