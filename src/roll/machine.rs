//! The state machine of a roll.

use crate::health::{Report, Status};
use crate::manager::UnitStatus;
use crate::unit::{InstanceId, JobResult};

use super::Plan;

/// A roll under way: what to do next ([`Roll::action`]) and what came of it ([`Roll::apply`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roll {
    plan: Plan,
    /// How many of `plan.order` are rolled.
    rolled: usize,
    /// How many probes in a row may fail before an instance counts as unhealthy.
    probes: u32,
    step: Step,
}

/// Where the roll is with the instance at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Restart,
    Read { job: JobResult },
    Probe { failed: u32 },
    Halted(Halt),
}

/// What the driver is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
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
    /// The restart job is gone.
    Job(JobResult),
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
}

/// How a roll ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Restarted and healthy.
    pub rolled: Vec<InstanceId>,
    /// Left alone, because someone had stopped them.
    pub stopped: Vec<InstanceId>,
    /// Not touched, because the roll halted before.
    pub untouched: Vec<InstanceId>,
    /// Where it halted, if it did.
    pub halt: Option<Halt>,
}

impl Roll {
    /// A roll that has done nothing yet. An instance may fail `probes` health probes in a row after
    /// its restart, one at the least, before it counts as unhealthy.
    #[must_use]
    pub fn new(plan: Plan, probes: u32) -> Self {
        Self { plan, rolled: 0, probes: probes.max(1), step: Step::Restart }
    }

    /// What to do next; none: the roll has ended.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        let instance = self.plan.order.get(self.rolled).copied()?;
        match self.step {
            Step::Restart => Some(Action::Restart(instance)),
            Step::Read { .. } => Some(Action::Read(instance)),
            Step::Probe { failed } => Some(Action::Probe { instance, failed }),
            Step::Halted(_) => None,
        }
    }

    /// Takes what came of the action at hand.
    ///
    /// # Errors
    /// Where the event does not answer the action at hand; the roll is as it was.
    pub fn apply(&mut self, event: Event) -> Result<(), IllegalEvent> {
        let action = self.action();
        let Some(instance) = self.plan.order.get(self.rolled).copied() else {
            return Err(IllegalEvent { action, event });
        };
        let halt = |reason| Step::Halted(Halt { instance, reason });
        self.step = match (&self.step, event) {
            (Step::Halted(_), event) => return Err(IllegalEvent { action, event }),
            (_, Event::Trouble(reason)) => halt(format!("could not be rolled: {reason}")),
            // Whatever became of the job, the state of the unit has the last word.
            (Step::Restart, Event::Job(job)) => Step::Read { job },
            (Step::Read { job: JobResult::Canceled }, Event::Status(_)) => {
                halt("was not restarted: someone canceled it".into())
            }
            (Step::Read { job: JobResult::Done }, Event::Status(status)) if status.is_up() => {
                Step::Probe { failed: 0 }
            }
            (Step::Read { .. }, Event::Status(status)) => halt(status.why_down()),
            (Step::Probe { failed }, Event::Probe(answer)) => match judge(instance, answer) {
                Ok(()) => {
                    self.rolled += 1;
                    Step::Restart
                }
                Err(_) if failed + 1 < self.probes => Step::Probe { failed: failed + 1 },
                Err(reason) => halt(format!("is up but not healthy: {reason}")),
            },
            (_, event) => return Err(IllegalEvent { action, event }),
        };
        Ok(())
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
        Verdict {
            rolled: rolled.to_vec(),
            stopped: self.plan.stopped.clone(),
            untouched: rest.iter().copied().skip(usize::from(halt.is_some())).collect(),
            halt,
        }
    }
}

/// Whether an answer to a probe shows a healthy instance, and the right one.
fn judge(instance: InstanceId, answer: Result<Box<Report>, String>) -> Result<(), String> {
    let report = answer?;
    if report.status != Status::Ok {
        return Err("it is draining".into());
    }
    match report.instance {
        Some(id) if id == instance.to_string() => Ok(()),
        id => Err(format!("the answer came from instance {}", id.as_deref().unwrap_or("none"))),
    }
}
