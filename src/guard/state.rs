//! What the guard knows of an instance, and how events change it. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::BootTime;
use crate::unit::ServiceResult;

/// What is known of one instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Quick crashes in a row.
    pub crashes: u32,
    /// A start was refused because of them.
    pub errored: bool,
    /// When the running instance got ready; none: it did not, or none runs.
    pub ready_at: Option<BootTime>,
    /// The last crash was that of a front's child, which the front has told: the end of the front
    /// itself, if it follows from that, is not another one.
    #[serde(default)]
    pub counted: bool,
}

/// May the instance start?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Start,
    /// No: it crashed too often.
    Errored {
        /// This many times in a row.
        crashes: u32,
    },
}

impl State {
    /// A start is asked for. After `max_restarts` quick crashes it is refused, once: systemd does
    /// not restart by itself what a condition refused, so that the start after it is a person's,
    /// and counts from zero again.
    #[must_use]
    pub fn before_start(self, max_restarts: u32) -> (Self, Verdict) {
        let crashes = self.crashes;
        if self.errored {
            (Self::default(), Verdict::Start)
        } else if crashes > 0 && crashes >= max_restarts {
            (Self { crashes, errored: true, ..Self::default() }, Verdict::Errored { crashes })
        } else {
            (Self { crashes, errored: false, ..Self::default() }, Verdict::Start)
        }
    }

    /// Whether an instance that is down is so because it crashed. (One that is up may have crashed
    /// before.)
    #[must_use]
    pub fn has_crashed(self) -> bool {
        self.crashes > 0 || self.errored
    }

    /// The instance got ready.
    #[must_use]
    pub fn ready(self, now: BootTime) -> Self {
        Self { ready_at: Some(now), counted: false, ..self }
    }

    /// The child of a front ended. It counts as a quick crash unless it had been ready for
    /// `min_uptime`.
    #[must_use]
    pub fn child_ended(self, now: BootTime, min_uptime: Duration) -> Self {
        let before = Self { counted: false, ..self };
        let after = before.after_stop(now, &ServiceResult::ExitCode, min_uptime);
        Self { counted: true, ..after }
    }

    /// The instance ended with `result` (`$SERVICE_RESULT`, systemd.exec(5)). It counts as a quick
    /// crash unless someone stopped it or it had been ready for `min_uptime`.
    #[must_use]
    pub fn after_stop(self, now: BootTime, result: &ServiceResult, min_uptime: Duration) -> Self {
        let good_uptime = self.ready_at.is_some_and(|ready| now.since(ready) >= min_uptime);
        match result {
            // Nothing ran: the refusal itself.
            ServiceResult::ExecCondition => self,
            ServiceResult::Success => Self::default(),
            _ if self.counted => Self { counted: false, ..self },
            _ if good_uptime => Self::default(),
            _ => Self { crashes: self.crashes.saturating_add(1), ready_at: None, ..self },
        }
    }
}
