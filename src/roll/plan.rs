//! Which instances a roll goes through, in which order, and how each gets to run what is new.

use std::fmt;

use super::outcome::SWAPPED;
use super::turn::is_stopped;
use crate::health::{Report, Status, SwapState};
use crate::manager::UnitStatus;
use crate::unit::InstanceId;

/// The instances of a roll.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// To be rolled, in this order.
    pub order: Vec<Planned>,
    /// Stopped by hand: left alone.
    pub stopped: Vec<InstanceId>,
}

/// An instance that is to be rolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its id.
    pub id: InstanceId,
    /// How.
    pub way: Way,
    /// Whether it serves before the roll.
    pub serves: bool,
}

/// How an instance gets to run what is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Its front starts the new program beside the old one and moves the requests over.
    Swap {
        /// How many swaps its front had ended before: see [`SwapState::swaps`].
        before: u64,
    },
    /// systemd restarts it.
    Restart(Reason),
}

/// Why an instance is restarted. As text it goes on after "because".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is the way of the whole app: nothing is to be explained.
    Method,
    /// Its unit is not up.
    Down,
    /// Its program is down or not healthy, so that a swap would save nothing.
    Failing,
    /// The unit or a drop-in is newer than the instance.
    Unit,
    /// So it is, and systemd has not read it yet.
    StaleUnit,
    /// The clock was set since it began to start, or the machine slept: the times of files say nothing.
    Clock,
    /// Its unit knows no reload.
    NoReload,
    /// The installed configuration is newer than the instance.
    Configuration,
    /// The program of the front is newer than the instance.
    Server,
    /// The front does not tell whether it can swap.
    Silent(String),
    /// The front says that it takes a restart.
    Refused(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("reload.method is \"restart\""),
            Self::Down => f.write_str("its unit was not up"),
            Self::Failing => f.write_str("its program was not healthy"),
            Self::Unit => f.write_str("its unit changed"),
            Self::StaleUnit => {
                f.write_str("its unit changed on disk, which takes `systemctl daemon-reload` too")
            }
            Self::Clock => f.write_str(
                "the clock was set since it started, so that what is newer cannot be told",
            ),
            Self::NoReload => f.write_str("its unit knows no reload"),
            Self::Configuration => f.write_str("its configuration changed"),
            Self::Server => f.write_str("its romuo-server changed"),
            Self::Silent(error) => write!(f, "its front could not be asked for a swap: {error}"),
            Self::Refused(reason) => f.write_str(reason),
        }
    }
}

/// What is known of an instance before a roll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: InstanceId,
    /// Its unit.
    pub unit: UnitStatus,
    /// What its front says; none: it is not asked, since a swap is not the way of the app.
    pub front: Option<Front>,
}

/// What a front says before a roll, and what its files say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Front {
    /// What of its files is newer than it: [`super::changed`].
    pub changed: Option<Reason>,
    /// Its health; none: it did not say.
    pub report: Option<Box<Report>>,
    /// Whether it can swap, or why it does not say.
    pub swap: Result<SwapState, String>,
}

impl Plan {
    /// Plans a roll. Instances that do not serve go first: rolling them costs no capacity, and where
    /// the new release is broken they show it before a serving one is touched.
    #[must_use]
    pub fn new(mut candidates: Vec<Candidate>) -> Self {
        candidates.sort_by_key(|candidate| (candidate.serves(), candidate.id));
        let (stopped, order): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|candidate| is_stopped(&candidate.unit));
        let planned = |candidate: Candidate| Planned {
            id: candidate.id,
            serves: candidate.serves(),
            way: candidate.way(),
        };
        Self {
            order: order.into_iter().map(planned).collect(),
            stopped: stopped.into_iter().map(|candidate| candidate.id).collect(),
        }
    }

    /// Puts those last that an earlier roll, which did not come to its end, has rolled already.
    pub fn begin_after(&mut self, rolled: &[InstanceId]) {
        self.order.sort_by_key(|planned| planned.serves && rolled.contains(&planned.id));
    }

    /// Whether a swap is the way of any instance.
    #[must_use]
    pub fn swaps(&self) -> bool {
        self.order.iter().any(|planned| matches!(planned.way, Way::Swap { .. }))
    }
}

impl Candidate {
    fn serves(&self) -> bool {
        self.unit.is_up() && !self.front.as_ref().is_some_and(Front::is_failing)
    }

    fn way(self) -> Way {
        let restart = match self.front {
            None => Reason::Method,
            Some(_) if !self.unit.is_up() => Reason::Down,
            Some(Front { changed: Some(reason), .. }) => reason,
            Some(_) if !self.unit.files.can_reload => Reason::NoReload,
            Some(front) if front.is_failing() => Reason::Failing,
            Some(Front { swap, .. }) => match swap {
                Err(error) => Reason::Silent(error),
                Ok(SwapState { possible: false, restart: true, reason, .. }) => {
                    Reason::refused(reason)
                }
                Ok(state) => return Way::Swap { before: state.swaps },
            },
        };
        Way::Restart(restart)
    }
}

impl Front {
    /// One that is not there to be asked: its unit is down.
    #[must_use]
    pub fn silent() -> Self {
        Self { changed: None, report: None, swap: Err("it is down".into()) }
    }

    fn is_failing(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.status == Status::Failing)
    }
}

impl Reason {
    pub(super) fn refused(reason: Option<String>) -> Self {
        Self::Refused(reason.unwrap_or_else(|| "its front cannot swap now".into()))
    }
}

impl Way {
    /// What it has done to an instance, as a participle.
    #[must_use]
    pub fn done(&self) -> &'static str {
        match self {
            Self::Swap { .. } => SWAPPED,
            Self::Restart(_) => "restarted",
        }
    }
}
