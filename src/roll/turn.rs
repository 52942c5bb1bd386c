//! The turn of one instance: from the first look at it until it serves what is new, or does not. Pure.

use super::gate::{Bad, Gate, judge};
use super::machine::Failed;
use super::plan::{Planned, Reason, Way};
use super::protocol::{Action, Event};
use crate::health::{Report, SwapAnswer, SwapState};
use crate::manager::UnitStatus;
use crate::unit::{ActiveState, JobResult};

/// What is to become of the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// It is to serve what is new.
    Renew,
    /// It is an extra one, and is to begin to serve.
    Begin,
    /// It is a new one, and is to serve from now on.
    Join,
    /// It is an extra one, and is no longer needed.
    End,
}

/// Where the turn is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Before anything is done to it: whether it is still there to be rolled.
    Look,
    /// It is to be restarted as soon as the extra instances serve.
    Hold,
    Swap,
    Restart,
    Start,
    Stop,
    /// Its front is asked what came of the swap. None: the job was lost sight of.
    Ask(Option<JobResult>),
    /// The unit is read after the job.
    Read(Option<JobResult>),
    Probe {
        good: u32,
        failed: u32,
    },
    /// The unit is read again: whether it is the run that was asked for its health.
    Confirm,
    /// The first good one is compared with its siblings for a while.
    Watch,
    /// It is well with its new release, and is to stay with it.
    Keep,
    /// The service manager is away; afterwards the turn goes on here.
    Away(Box<Self>),
    Over(End),
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Good,
    /// Someone had stopped it: left alone.
    Stopped,
    /// Someone took the job away.
    Canceled(Failed),
    Failed(Failed),
}

/// The turn of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) planned: Planned,
    pub(super) task: Task,
    pub(super) step: Step,
    /// The first good instance is watched.
    pub(super) is_canary: bool,
    /// The action of this step is under way.
    pub(super) is_issued: bool,
    /// The run of the unit before the job, and after it.
    before: Option<String>,
    run: Option<String>,
    /// Which start of the program answered the last good probe.
    generation: Option<u32>,
    /// What was wrong before it was restarted once more.
    trouble: Option<String>,
    /// The job was asked for again, as it had been lost.
    is_repeated: bool,
}

impl Turn {
    pub(super) fn new(planned: Planned, task: Task, is_canary: bool) -> Self {
        let step = match task {
            Task::Renew => Step::Look,
            Task::Begin | Task::Join => Step::Start,
            Task::End => Step::Stop,
        };
        Self {
            planned,
            task,
            step,
            is_canary,
            is_issued: false,
            before: None,
            run: None,
            generation: None,
            trouble: None,
            is_repeated: false,
        }
    }

    /// What is to be done; none: nothing now.
    pub(super) fn action(&self) -> Option<Action> {
        let instance = self.planned.id;
        Some(match &self.step {
            Step::Look | Step::Confirm => Action::Read { instance, settling: false },
            // Without the word of a job it may be in the middle of something.
            Step::Read(job) => Action::Read { instance, settling: job.is_none() },
            Step::Swap => Action::Swap(instance),
            Step::Restart if self.trouble.is_some() => Action::PutBack(instance),
            Step::Restart => Action::Restart(instance),
            Step::Keep => Action::Keep(instance),
            Step::Start => Action::Start(instance),
            Step::Stop => Action::Stop(instance),
            Step::Ask(_) => Action::Ask(instance),
            Step::Probe { good, failed } => {
                Action::Probe { instance, good: *good, failed: *failed }
            }
            Step::Watch => Action::Watch(instance),
            Step::Away(_) => Action::Return(instance),
            Step::Hold | Step::Over(_) => return None,
        })
    }

    /// The extra instances serve.
    pub(super) fn go_on(&mut self) {
        if self.step == Step::Hold {
            self.to(Step::Restart);
        }
    }

    fn to(&mut self, step: Step) {
        self.step = step;
        self.is_issued = false;
    }

    /// Takes what came of its action. `extra`: a restart has to wait for extra instances.
    ///
    /// # Errors
    /// The event, where it does not answer the action; the turn is as it was.
    pub(super) fn apply(&mut self, gate: &Gate, extra: bool, event: Event) -> Result<(), Event> {
        let next = match (self.step.clone(), event) {
            (Step::Over(_) | Step::Hold, event) => return Err(event),

            // The manager, whatever it was asked.
            (Step::Away(then), Event::Back) => after_absence(*then),
            (Step::Away(_), Event::Lost(reason) | Event::Trouble(reason)) => {
                self.fails(format!("could not be rolled: {reason}"))
            }
            (Step::Away(_), Event::Deadline) => {
                self.fails("could not be rolled: the service manager stays away".into())
            }
            (Step::Probe { .. } | Step::Watch | Step::Keep, event @ Event::Lost(_)) => {
                return Err(event);
            }
            (step, Event::Lost(_)) => Step::Away(Box::new(step)),
            (_, Event::Trouble(reason)) => self.fails(format!("could not be rolled: {reason}")),

            (Step::Look, Event::Status(status)) => self.looked(&status, extra),
            // It went down, or lost its reload, since the plan was made.
            (Step::Swap, Event::Job(JobResult::Invalid)) => self.restarts(Reason::Down, false),
            (Step::Swap, Event::Job(JobResult::Done)) => Step::Read(Some(JobResult::Done)),
            // A job that failed says only that; its front knows why.
            (Step::Swap, Event::Job(job)) => Step::Ask(Some(job)),
            (Step::Swap, Event::Deadline) => Step::Ask(None),
            (Step::Ask(job), Event::Swap(answer)) => self.asked(job, answer, extra),
            // Whatever became of the job, the state of the unit has the last word.
            (Step::Restart | Step::Start, Event::Job(job)) => Step::Read(Some(job)),
            (Step::Restart | Step::Start, Event::Deadline) => Step::Read(None),
            (Step::Stop, Event::Job(_) | Event::Deadline) | (Step::Keep, Event::Kept(Ok(()))) => {
                Step::Over(End::Good)
            }
            (Step::Read(job), Event::Status(status)) => self.read(job, &status, gate),
            (Step::Read(None), Event::Deadline) => self.broken("did not come up in time".into()),
            (Step::Probe { good, failed }, Event::Probe(answer)) => {
                self.probed(good, failed, answer, gate)
            }
            (Step::Probe { .. }, Event::Deadline) => {
                self.broken("is up but did not get healthy in time".into())
            }
            (Step::Confirm, Event::Status(status)) => self.confirmed(&status, gate),
            (Step::Watch, Event::Watched(Ok(()))) => self.good(gate),
            (Step::Watch, Event::Watched(Err(reason))) => self.fails(reason),
            (Step::Keep, Event::Kept(Err(reason))) => {
                self.fails(format!("is well, but could not be pinned to its release: {reason}"))
            }
            (Step::Look | Step::Ask(_) | Step::Read(_) | Step::Confirm, Event::Deadline) => {
                self.fails("could not be rolled: it was not told how it is in time".into())
            }
            (_, event) => return Err(event),
        };
        self.to(next);
        Ok(())
    }

    fn looked(&mut self, status: &UnitStatus, extra: bool) -> Step {
        if !status.loaded && status.is_up() {
            let reason = "was left alone: its unit is masked, or its file is gone";
            return self.fails(reason.into());
        }
        if !status.loaded || is_stopped(status) {
            return Step::Over(End::Stopped);
        }
        self.before.clone_from(&status.run);
        match &self.planned.way {
            Way::Swap { .. } if status.is_up() => Step::Swap,
            Way::Swap { .. } => self.restarts(Reason::Down, false),
            // One that is down costs no capacity.
            Way::Restart(_) if extra && status.is_up() => Step::Hold,
            Way::Restart(_) => Step::Restart,
        }
    }

    fn restarts(&mut self, reason: Reason, extra: bool) -> Step {
        self.planned.way = Way::Restart(reason);
        if extra { Step::Hold } else { Step::Restart }
    }

    fn asked(
        &mut self,
        job: Option<JobResult>,
        answer: Result<Box<SwapState>, String>,
        extra: bool,
    ) -> Step {
        let Way::Swap { before } = self.planned.way else { return Step::Read(job) };
        let Ok(state) = answer else { return Step::Read(job) };
        let ended = job.as_ref().map_or_else(|| "lost".to_owned(), ToString::to_string);
        let reason = |said: Option<String>| {
            said.unwrap_or_else(|| format!("its reload ended as \"{ended}\""))
        };
        match state.last {
            Some(last) if state.swaps > before => match last {
                // Only the one who asked for it was lost.
                SwapAnswer { swapped: true, .. } => Step::Read(Some(JobResult::Done)),
                SwapAnswer { restart: true, reason, .. } => {
                    self.restarts(Reason::refused(reason), extra)
                }
                SwapAnswer { reason: said, .. } => Step::Over(End::Failed(Failed {
                    serves_on: true,
                    ..self.failed(format!("was not swapped: {}", reason(said)))
                })),
            },
            _ => Step::Read(job),
        }
    }

    fn read(&mut self, job: Option<JobResult>, status: &UnitStatus, gate: &Gate) -> Step {
        let Some(job) = job else { return self.read_without_job(status, gate) };
        match job {
            JobResult::Canceled => {
                let done = self.planned.way.done();
                let reason = format!("was not {done}: someone canceled it");
                Step::Over(End::Canceled(self.failed(reason)))
            }
            JobResult::Done if status.is_up() => self.comes_up(status, gate),
            job if self.swaps() && status.is_up() => self.fails(format!(
                "was not swapped: its reload ended as \"{job}\", and its front does not say why"
            )),
            _ => self.broken(status.why_down()),
        }
    }

    /// What became of a job that was lost sight of shows in the unit.
    fn read_without_job(&mut self, status: &UnitStatus, gate: &Gate) -> Step {
        let is_new = self.before.is_none() || status.run != self.before;
        match status.active {
            // Its front is still at it, whoever was lost meanwhile.
            ActiveState::Reloading if self.swaps() => Step::Ask(None),
            // The reload may have ended between the front's answer and this look at the unit.
            _ if status.is_up() && self.swaps() && !self.is_repeated => {
                self.is_repeated = true;
                Step::Ask(None)
            }
            _ if status.is_up() && self.swaps() => {
                self.fails("was not swapped in time, and its front does not say why".into())
            }
            _ if status.is_up() && is_new => self.comes_up(status, gate),
            // The job was lost before it began.
            _ if status.is_up() && !self.is_repeated => {
                self.is_repeated = true;
                Step::Restart
            }
            _ if status.is_up() => self.fails("was not restarted in time".into()),
            ActiveState::Activating | ActiveState::Deactivating => Step::Read(None),
            _ if status.is_about_to_start() => Step::Read(None),
            _ => self.broken(status.why_down()),
        }
    }

    fn swaps(&self) -> bool {
        matches!(self.planned.way, Way::Swap { .. })
    }

    fn comes_up(&mut self, status: &UnitStatus, gate: &Gate) -> Step {
        self.run.clone_from(&status.run);
        self.generation = None;
        match gate.good {
            Some(_) => Step::Probe { good: 0, failed: 0 },
            None => self.good(gate),
        }
    }

    /// Only one that is to run a new release is asked for it: not an extra one, nor one that is put back.
    fn expected<'a>(&self, gate: &'a Gate) -> Option<&'a str> {
        let is_renewed = self.task == Task::Renew && self.trouble.is_none();
        gate.release.as_deref().filter(|_| is_renewed)
    }

    fn probed(
        &mut self,
        good: u32,
        failed: u32,
        answer: Result<Box<Report>, String>,
        gate: &Gate,
    ) -> Step {
        match judge(self.planned.id, self.expected(gate), answer) {
            Ok(generation) => {
                // One that was started again in between has to show again that it is well.
                let is_same = good == 0 || generation == self.generation;
                self.generation = generation;
                let good = if is_same { good + 1 } else { 1 };
                if good >= gate.good.unwrap_or(1) {
                    Step::Confirm
                } else {
                    Step::Probe { good, failed: 0 }
                }
            }
            Err(_) if failed + 1 < gate.failures.max(1) => {
                Step::Probe { good: 0, failed: failed + 1 }
            }
            Err(Bad::Unwell(reason)) => self.broken(format!("is up but not healthy: {reason}")),
            // Another restart would bring the same.
            Err(Bad::Other(runs)) => Step::Over(End::Failed(Failed {
                serves_on: true,
                ..self.failed(format!("is up but runs {runs}"))
            })),
        }
    }

    fn confirmed(&mut self, status: &UnitStatus, gate: &Gate) -> Step {
        if !status.is_up() {
            return self.broken(format!("was healthy for a moment only: it {}", status.why_down()));
        }
        if status.run != self.run {
            // systemd has put it back already.
            return self.fails("was restarted by itself while it was asked for its health".into());
        }
        if self.is_canary && self.trouble.is_none() { Step::Watch } else { self.good(gate) }
    }

    /// It serves what is new.
    fn good(&mut self, gate: &Gate) -> Step {
        let is_new = self.expected(gate).is_some();
        match self.trouble.take() {
            None if is_new => Step::Keep,
            None => Step::Over(End::Good),
            Some(reason) => {
                Step::Over(End::Failed(Failed { is_put_back: true, ..self.failed(reason) }))
            }
        }
    }

    /// It does not serve: it is put back by being restarted once more.
    fn broken(&mut self, reason: String) -> Step {
        if self.trouble.is_some() || self.task != Task::Renew {
            return self.fails(reason);
        }
        self.trouble = Some(reason);
        if self.swaps() {
            self.planned.way = Way::Restart(Reason::Down);
        }
        if self.run.is_some() {
            self.before = self.run.take();
        }
        self.is_repeated = false;
        Step::Restart
    }

    /// Nothing more is done to it.
    fn fails(&mut self, reason: String) -> Step {
        let reason = self.trouble.take().unwrap_or(reason);
        Step::Over(End::Failed(Failed {
            // Before its job nothing had been done to it.
            serves_on: self.planned.serves && self.step == Step::Look,
            ..self.failed(reason)
        }))
    }

    fn failed(&self, reason: String) -> Failed {
        Failed {
            instance: self.planned.id,
            reason,
            serves_on: false,
            is_put_back: false,
            served: self.planned.serves,
        }
    }
}

/// Where a turn goes on when the manager is back: a job may have been done, or not.
fn after_absence(then: Step) -> Step {
    match then {
        Step::Swap => Step::Ask(None),
        Step::Restart | Step::Start => Step::Read(None),
        step => step,
    }
}

/// Whether someone stopped it.
pub(super) fn is_stopped(status: &UnitStatus) -> bool {
    match status.active {
        _ if status.is_about_to_start() => false,
        ActiveState::Inactive => !status.is_errored(),
        ActiveState::Deactivating => true,
        _ => false,
    }
}
