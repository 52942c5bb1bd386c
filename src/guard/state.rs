//! What the guard knows of an instance, and how events change it. Pure.
//!
//! ```text
//!                 crash too soon,              limits.max_restarts of them
//!                 not yet too often            ┌──────────────────────────► errored ◄─────┐
//! counting ──────────────────────────► counting                   pause over │            │ it ends too soon
//!    ▲                                                                       ▼            │
//!    └──── ended after a good uptime, or stopped by somebody ───────────── one try ───────┘ twice the pause
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::BootTime;
use crate::config::{Retry, format_duration};
use crate::unit::ServiceResult;

/// How long after its end an instance that was not given up may be expected back, at the most: between the two
/// halves of a restart it is down, which takes a tenth of a second, and more on a busy machine.
const COMING_BACK: Duration = Duration::from_secs(5);

/// What the line begins with that a stand-in has in `systemctl status` (`STATUS=`, sd_notify(3)). Who asks systemd
/// for the unit knows by it that the instance is not up.
pub const ERRORED: &str = "errored: ";

/// What is known of one instance.
///
/// The file outlives an update of romuo: what older versions did not write has a default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "older versions read those of the file that they know"
)]
pub struct State {
    /// Quick crashes in a row.
    pub crashes: u32,
    /// It is given up because of them, for now or for ever.
    pub errored: bool,
    /// When the running instance got ready; none: it did not, or none runs.
    pub ready_at: Option<BootTime>,
    /// The last crash was that of a front's child, which the front has told: the end of the front
    /// itself, if it follows from that, is not another one.
    #[serde(default)]
    pub counted: bool,
    /// Pauses in a row after which it was, or is to be, tried again; one more each time it is errored.
    #[serde(default)]
    pub pauses: u32,
    /// Of an errored one, when it is to be tried again; none: not by itself.
    #[serde(default)]
    pub retry_at: Option<BootTime>,
    /// Of an errored one: a stand-in runs in its place, and ends when the pause is over.
    #[serde(default)]
    pub stands_in: bool,
    /// Of an errored one: the pause is over, and the next start is the try.
    #[serde(default)]
    pub is_due: bool,
    /// A start was let through of which no end has been told.
    #[serde(default)]
    pub started: bool,
    /// When it ended last.
    #[serde(default)]
    pub ended_at: Option<BootTime>,
}

/// May the instance start?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Start,
    /// Not yet: it crashed too often, and something stands in for it.
    StandIn(Errored),
    /// No: it crashed too often.
    Errored {
        /// This many times in a row.
        crashes: u32,
    },
}

/// An instance that is errored for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errored {
    /// It crashed this many times in a row.
    pub crashes: u32,
    /// When it is tried again.
    pub retry_at: BootTime,
}

impl Errored {
    /// Why the instance does not serve and until when, as the end of a sentence that begins with its name.
    #[must_use]
    pub fn sentence(self, now: BootTime) -> String {
        let pause = format_duration(whole_seconds(self.retry_at.since(now)));
        format!("crashed {} times in a row, each time too soon; next try in {pause}", self.crashes)
    }
}

/// Rounded up, for people.
pub(super) fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX))
}

impl State {
    /// A start is asked for.
    ///
    /// After `max_restarts` quick crashes the instance is errored. With a pause it is let start as its own
    /// stand-in until that is over, and then for one try. Without one it is refused, once: systemd does
    /// not restart by itself what a condition refused, so that the start after it is a person's,
    /// and counts from zero again.
    #[must_use]
    pub fn before_start(self, now: BootTime, max_restarts: u32, retry: Retry) -> (Self, Verdict) {
        let crashes = self.crashes;
        let fresh = Self { started: true, ..Self::default() };
        match (self.stand_in(), retry) {
            _ if self.errored && self.is_due => (self.tries(), Verdict::Start),
            // Its stand-in was killed: it is no crash of the instance, and the pause goes on.
            (Some(until), Retry::After(_)) if self.stands_in => {
                if now >= until.retry_at {
                    (self.tries(), Verdict::Start)
                } else {
                    (Self { stands_in: false, ..self }, Verdict::StandIn(until))
                }
            }
            // What was started in its place never said that it stands in: it is no program of romuo, such as that
            // of a drop-in, or it cannot. To try that again and again would be no pause.
            (Some(_), Retry::After(_)) => {
                (Self { retry_at: None, ..self }, Verdict::Errored { crashes })
            }
            _ if self.errored => (fresh, Verdict::Start),
            _ if crashes == 0 || crashes < max_restarts => {
                (Self { crashes, pauses: self.pauses, ..fresh }, Verdict::Start)
            }
            (_, Retry::Off) => {
                (Self { crashes, errored: true, ..Self::default() }, Verdict::Errored { crashes })
            }
            (_, Retry::After(first)) => {
                let until = Errored { crashes, retry_at: now.after(pause(first, self.pauses)) };
                let errored = Self {
                    crashes,
                    errored: true,
                    pauses: self.pauses.saturating_add(1),
                    retry_at: Some(until.retry_at),
                    ..Self::default()
                };
                (errored, Verdict::StandIn(until))
            }
        }
    }

    /// The one try after a pause: the crashes stay counted, so that the next quick one is one too many.
    fn tries(self) -> Self {
        let Self { crashes, pauses, .. } = self;
        Self { crashes, pauses, started: true, ..Self::default() }
    }

    /// Of an instance that is errored for now: whose start is that of its stand-in.
    #[must_use]
    pub fn stand_in(self) -> Option<Errored> {
        let retry_at = self.retry_at.filter(|_| self.errored && !self.is_due)?;
        Some(Errored { crashes: self.crashes, retry_at })
    }

    /// The stand-in has begun.
    #[must_use]
    pub fn standing_in(self) -> Self {
        Self { stands_in: self.stand_in().is_some(), ..self }
    }

    /// The stand-in is about to end, as its pause is over.
    #[must_use]
    pub fn pause_over(self, now: BootTime) -> Self {
        let is_over = self.stand_in().is_some_and(|until| now >= until.retry_at);
        Self { is_due: self.is_due || is_over, ..self }
    }

    /// Whether an instance that is down is so because it crashed. (One that is up may have crashed
    /// before.)
    #[must_use]
    pub fn has_crashed(self) -> bool {
        self.crashes > 0 || self.errored
    }

    /// Whether clients had better wait for this instance than be turned away: it serves, or is on its way up and
    /// has not just shown again and again that it does not get there.
    #[must_use]
    pub fn may_serve(self, now: BootTime) -> bool {
        let comes_back = self.ended_at.is_some_and(|ended| now.since(ended) < COMING_BACK);
        let is_on_its_way = self.pauses == 0 && (self.started || comes_back);
        !self.errored && (self.ready_at.is_some() || is_on_its_way)
    }

    /// The instance got ready. A stand-in never does.
    #[must_use]
    pub fn ready(self, now: BootTime) -> Self {
        if self.errored { self } else { Self { ready_at: Some(now), counted: false, ..self } }
    }

    /// The child of a front ended. It counts as a quick crash unless it had been ready for
    /// `min_uptime`.
    #[must_use]
    pub fn child_ended(self, now: BootTime, min_uptime: Duration) -> Self {
        let before = Self { counted: false, ..self };
        let after = before.after_stop(now, &ServiceResult::ExitCode, min_uptime);
        // The front goes on.
        Self { counted: true, started: self.started, ended_at: self.ended_at, ..after }
    }

    /// The instance ended with `result` (`$SERVICE_RESULT`, systemd.exec(5)). It counts as a quick
    /// crash unless someone stopped it or it had been ready for `min_uptime`.
    #[must_use]
    pub fn after_stop(self, now: BootTime, result: &ServiceResult, min_uptime: Duration) -> Self {
        let good_uptime = self.ready_at.is_some_and(|ready| now.since(ready) >= min_uptime);
        let ended = Self { started: false, ended_at: Some(now), ..self };
        let fresh = Self { ended_at: Some(now), ..Self::default() };
        match result {
            // Nothing ran: the refusal itself.
            ServiceResult::ExecCondition => self,
            // A stand-in whose pause is over ends by itself, and well.
            _ if self.errored && self.is_due => ended,
            ServiceResult::Success => fresh,
            _ if self.errored => ended,
            _ if self.counted => Self { counted: false, ..ended },
            _ if good_uptime => fresh,
            _ => Self { crashes: self.crashes.saturating_add(1), ready_at: None, ..ended },
        }
    }
}

/// The pause after so many others in a row: twice as long each time, up to an hour.
fn pause(first: Duration, before: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(before)).min(Retry::LONGEST)
}
