//! The state machine of a roll.

use crate::health::{Report, Status, SwapAnswer, SwapState};
use crate::manager::UnitStatus;
use crate::unit::{InstanceId, JobResult};

use super::outcome::SWAPPED;
use super::plan::{Plan, Planned, Reason, Way};

/// A roll under way: what to do next ([`Roll::action`]) and what came of it ([`Roll::apply`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roll {
    plan: Plan,
    /// How many of `plan.order` are rolled.
    rolled: usize,
    /// How many probes in a row may fail before an instance counts as unhealthy; none: that it is
    /// up is enough.
    probes: Option<u32>,
    step: Step,
}

/// Where the roll is with the instance at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// As the plan says.
    Begin,
    Ask {
        job: JobResult,
    },
    Read {
        job: JobResult,
    },
    Probe {
        failed: u32,
    },
    Halted(Halt),
}

/// What the driver is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Have its front swap the program (systemd's reload) and wait for the job; answer with
    /// [`Event::Job`], with [`JobResult::Invalid`] where its unit cannot reload now.
    Swap(InstanceId),
    /// Ask its front what came of the swap; answer with [`Event::Swap`].
    Ask(InstanceId),
    /// Restart this instance and wait for the job; answer with [`Event::Job`].
    Restart(InstanceId),
    /// Read its state; answer with [`Event::Status`].
    Read(InstanceId),
    /// Ask it for its health; answer with [`Event::Probe`].
    Probe {
        /// The instance.
        instance: InstanceId,
        /// How many probes of it have failed so far: pause first where there was one.
        failed: u32,
    },
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The job is gone.
    Job(JobResult),
    /// What the front says of swaps, or why it says nothing.
    Swap(Result<Box<SwapState>, String>),
    /// The state of the instance.
    Status(Box<UnitStatus>),
    /// What the instance says of its health, or why it says nothing.
    Probe(Result<Box<Report>, String>),
    /// The service manager could not be asked.
    Trouble(String),
}

/// An event that does not answer the action at hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the roll was told {event:?}, which does not answer {action:?}")]
pub struct IllegalEvent {
    /// What was to be done; none: the roll had ended.
    pub action: Option<Action>,
    /// What came.
    pub event: Event,
}

/// Why a roll stopped half way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    /// The instance that did not come up healthy.
    pub instance: InstanceId,
    /// What is wrong with it: the end of a sentence that begins with its name.
    pub reason: String,
    /// It keeps serving what it ran before.
    pub serves_on: bool,
}

/// How a roll ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Rolled and healthy, and how they came to be.
    pub rolled: Vec<Planned>,
    /// Left alone, because someone had stopped them.
    pub stopped: Vec<InstanceId>,
    /// Not touched, because the roll halted before.
    pub untouched: Vec<InstanceId>,
    /// Where it halted, if it did.
    pub halt: Option<Halt>,
}

impl Roll {
    /// A roll that has done nothing yet. An instance may fail `probes` health probes in a row after
    /// its turn, one at the least, before it counts as unhealthy. None: it has no control socket to
    /// be asked on, and its being up is the verdict.
    #[must_use]
    pub fn new(plan: Plan, probes: Option<u32>) -> Self {
        Self { plan, rolled: 0, probes: probes.map(|count| count.max(1)), step: Step::Begin }
    }

    /// What to do next; none: the roll has ended.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        let Planned { id: instance, way } = self.plan.order.get(self.rolled)?;
        let instance = *instance;
        match (&self.step, way) {
            (Step::Begin, Way::Swap { .. }) => Some(Action::Swap(instance)),
            (Step::Begin, Way::Restart(_)) => Some(Action::Restart(instance)),
            (Step::Ask { .. }, _) => Some(Action::Ask(instance)),
            (Step::Read { .. }, _) => Some(Action::Read(instance)),
            (Step::Probe { failed }, _) => Some(Action::Probe { instance, failed: *failed }),
            (Step::Halted(_), _) => None,
        }
    }

    /// The instance at hand, and how it is rolled; none: the roll has ended.
    #[must_use]
    pub fn at_hand(&self) -> Option<&Planned> {
        self.action().and_then(|_| self.plan.order.get(self.rolled))
    }

    /// Takes what came of the action at hand.
    ///
    /// # Errors
    /// Where the event does not answer the action at hand; the roll is as it was.
    pub fn apply(&mut self, event: Event) -> Result<(), IllegalEvent> {
        let action = self.action();
        let Some(planned) = self.plan.order.get_mut(self.rolled) else {
            return Err(IllegalEvent { action, event });
        };
        let instance = planned.id;
        let halt = |reason| Step::Halted(Halt { instance, reason, serves_on: false });
        let step = match (&self.step, &planned.way, event) {
            (Step::Halted(_), _, event) => return Err(IllegalEvent { action, event }),
            (_, _, Event::Trouble(reason)) => halt(format!("could not be rolled: {reason}")),
            // It went down, or lost its reload, since the plan was made.
            (Step::Begin, Way::Swap { .. }, Event::Job(JobResult::Invalid)) => {
                planned.way = Way::Restart(Reason::Down);
                Step::Begin
            }
            // A job that failed says only that; its front knows why.
            (Step::Begin, Way::Swap { .. }, Event::Job(job)) if job != JobResult::Done => {
                Step::Ask { job }
            }
            // Whatever became of the job, the state of the unit has the last word.
            (Step::Begin, _, Event::Job(job)) => Step::Read { job },
            (Step::Ask { job }, Way::Swap { before }, Event::Swap(answer)) => {
                match Failed::of(answer, *before, job) {
                    Failed::Not => Step::Read { job: JobResult::Done },
                    Failed::Restart(reason) => {
                        planned.way = Way::Restart(reason);
                        Step::Begin
                    }
                    Failed::ServesOn(reason) => {
                        let reason = format!("was not swapped: {reason}");
                        Step::Halted(Halt { instance, reason, serves_on: true })
                    }
                    Failed::Unknown => Step::Read { job: job.clone() },
                }
            }
            (Step::Read { job: JobResult::Canceled }, way, Event::Status(_)) => {
                halt(format!("was not {}: someone canceled it", way.done()))
            }
            (Step::Read { job: JobResult::Done }, _, Event::Status(status)) if status.is_up() => {
                match self.probes {
                    Some(_) => Step::Probe { failed: 0 },
                    None => self.next(),
                }
            }
            (Step::Read { job }, Way::Swap { .. }, Event::Status(status)) if status.is_up() => {
                halt(format!(
                    "was not swapped: its reload ended as \"{job}\", and its front does not say why"
                ))
            }
            (Step::Read { .. }, _, Event::Status(status)) => halt(status.why_down()),
            (Step::Probe { failed }, _, Event::Probe(answer)) => match judge(instance, answer) {
                Ok(()) => self.next(),
                Err(_) if failed + 1 < self.probes.unwrap_or(1) => {
                    Step::Probe { failed: failed + 1 }
                }
                Err(reason) => halt(format!("is up but not healthy: {reason}")),
            },
            (_, _, event) => return Err(IllegalEvent { action, event }),
        };
        self.step = step;
        Ok(())
    }

    /// The instance at hand is rolled.
    fn next(&mut self) -> Step {
        self.rolled += 1;
        Step::Begin
    }

    /// How many instances are rolled, and how many are to be rolled in all.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.rolled, self.plan.order.len())
    }

    /// How it ended, or stands.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let (rolled, rest) = self.plan.order.split_at(self.rolled);
        let halt = match &self.step {
            Step::Halted(halt) => Some(halt.clone()),
            _ => None,
        };
        let rest = rest.iter().map(|planned| planned.id);
        Verdict {
            rolled: rolled.to_vec(),
            stopped: self.plan.stopped.clone(),
            untouched: rest.skip(usize::from(halt.is_some())).collect(),
            halt,
        }
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

/// What a swap came to whose job did not end well.
enum Failed {
    /// It did end well: only the one who asked for it was lost.
    Not,
    /// A restart does what it could not.
    Restart(Reason),
    /// The old program serves on.
    ServesOn(String),
    /// The front does not know of it, or cannot say.
    Unknown,
}

impl Failed {
    fn of(answer: Result<Box<SwapState>, String>, before: u64, job: &JobResult) -> Self {
        let Ok(state) = answer else { return Self::Unknown };
        let reason =
            |said: Option<String>| said.unwrap_or_else(|| format!("its reload ended as \"{job}\""));
        match state.last {
            Some(last) if state.swaps > before => match last {
                SwapAnswer { swapped: true, .. } => Self::Not,
                SwapAnswer { restart: true, reason, .. } => Self::Restart(Reason::refused(reason)),
                SwapAnswer { reason: said, .. } => Self::ServesOn(reason(said)),
            },
            _ => Self::Unknown,
        }
    }
}

/// Whether an answer to a probe shows a healthy instance, and the right one.
fn judge(instance: InstanceId, answer: Result<Box<Report>, String>) -> Result<(), String> {
    let report = answer?;
    match report.status {
        Status::Ok => {}
        Status::Draining => return Err("it is draining".into()),
        Status::Failing => return Err("its program is down or does not answer well".into()),
    }
    match report.instance {
        Some(id) if id == instance.to_string() => Ok(()),
        id => Err(format!("the answer came from instance {}", id.as_deref().unwrap_or("none"))),
    }
}
