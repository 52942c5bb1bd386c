//! Does what the state machine says.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, sleep_until};

use super::canary::{self, Sample};
use super::machine::{Roll, Verdict};
use super::protocol::{Action, Event, IllegalEvent};
use crate::health::{self, ProbeError, Report, SwapState};
use crate::manager::{ManagerError, ServiceManager, Verb};
use crate::unit::{AppName, InstanceId, JobResult};

/// Pause before another probe of an instance that is up but did not answer well: long enough that a
/// few of them outlast a hiccup, short against the time a restart takes.
const PROBE_PAUSE: Duration = Duration::from_millis(200);

/// Pause between two good probes: a crash right after the first request shows within it.
const GOOD_PAUSE: Duration = Duration::from_millis(20);

/// Pause before the state of a unit is read that may be in the middle of something.
const SETTLE_PAUSE: Duration = Duration::from_millis(100);

/// How often a watched instance and its siblings are asked for their figures.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// How many times in a row a watched instance may not answer.
const MUTE: u32 = 3;

/// Asks one instance for its health.
#[expect(async_fn_in_trait, reason = "used with concrete types only; no caller needs Send bounds")]
pub trait HealthProbe {
    /// Asks the instance itself, never the shared socket: a sibling could answer there.
    ///
    /// # Errors
    /// Where it does not answer with a health report.
    async fn probe(&self, instance: InstanceId) -> Result<Report, ProbeError>;

    /// Asks its front whether it can swap, and what came of the last swap.
    ///
    /// # Errors
    /// Where no front answers.
    async fn may_swap(&self, instance: InstanceId) -> Result<SwapState, ProbeError>;
}

/// The control sockets of an app's instances.
#[derive(Debug, Clone)]
pub struct ControlSockets {
    /// The folder they are in: `/run/romuo/NAME`.
    pub folder: PathBuf,
    /// How long one answer may take.
    pub timeout: Duration,
}

impl HealthProbe for ControlSockets {
    async fn probe(&self, instance: InstanceId) -> Result<Report, ProbeError> {
        health::probe(&self.path(instance), self.timeout).await
    }

    async fn may_swap(&self, instance: InstanceId) -> Result<SwapState, ProbeError> {
        health::may_swap(&self.path(instance), self.timeout).await
    }
}

impl ControlSockets {
    fn path(&self, instance: InstanceId) -> PathBuf {
        health::control_socket(&self.folder, instance)
    }
}

/// What an instance runs from its next start on, where that is more than the same anew.
pub trait Releases: std::fmt::Debug {
    /// The next start of this instance, and no other, is one of the new release.
    ///
    /// # Errors
    /// Why that could not be noted, as a sentence. The next start is one of what it ran.
    fn offer(&self, instance: InstanceId) -> Result<(), String>;

    /// Each start is one of what it ran before.
    ///
    /// # Errors
    /// Why that could not be noted, as a sentence.
    fn withdraw(&self, instance: InstanceId) -> Result<(), String>;

    /// Each start is one of the new release.
    ///
    /// # Errors
    /// Why that could not be noted, as a sentence.
    fn keep(&self, instance: InstanceId) -> Result<(), String>;
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// A job, until the unit is up.
    pub job: Duration,
    /// From there until it is healthy.
    pub health: Duration,
    /// An absence of the service manager, and an answer of it.
    pub manager: Duration,
    /// How long the first good instance is watched.
    pub watch: Duration,
}

/// What a driver works with.
#[derive(Debug)]
pub struct Driver<'a, M, H> {
    /// The app.
    pub app: &'a AppName,
    /// Who does the jobs.
    pub manager: &'a M,
    /// Who is asked for the health of instances.
    pub health: &'a H,
    /// What they run.
    pub releases: &'a dyn Releases,
    /// How long things may take.
    pub patience: Patience,
}

impl<M: ServiceManager, H: HealthProbe> Driver<'_, M, H> {
    /// Drives a roll to its end. When `cancel` is ready no more instances are begun. `told` hears of
    /// each action before it is done, and of each change without one.
    ///
    /// # Errors
    /// Only where the machine and this driver disagree, which is a defect of romuo.
    pub async fn drive(
        &self,
        mut roll: Roll,
        cancel: impl Future<Output = ()>,
        mut told: impl FnMut(&Roll, Option<Action>),
    ) -> Result<Verdict, IllegalEvent> {
        let mut cancel = pin!(cancel);
        let mut is_canceled = false;
        let mut until = BTreeMap::new();
        let mut under_way = FuturesUnordered::new();
        loop {
            for action in roll.actions() {
                told(&roll, Some(action));
                let instance = action.instance();
                let deadline = self.deadline(action, until.get(&instance).copied());
                // Back from an absence, the manager may still be at the job.
                let is_away = matches!(action, Action::Return(_));
                let job = if is_away { self.patience.job } else { Duration::ZERO };
                until.insert(instance, deadline + job);
                let siblings = roll.siblings();
                under_way
                    .push(async move { (instance, self.within(deadline, action, siblings).await) });
            }
            let ended = tokio::select! {
                biased;
                () = &mut cancel, if !is_canceled => {
                    is_canceled = true;
                    roll.cancel();
                    None
                }
                ended = under_way.next() => match ended {
                    Some(ended) => Some(ended),
                    None => return Ok(roll.verdict()),
                },
            };
            if let Some((instance, event)) = ended {
                roll.apply(instance, event)?;
            }
            told(&roll, None);
        }
    }

    /// Until when an action may take, whose instance has had time until `running`.
    fn deadline(&self, action: Action, running: Option<Instant>) -> Instant {
        let from_now = |time| Instant::now() + time;
        match action {
            Action::Swap(_)
            | Action::Restart(_)
            | Action::PutBack(_)
            | Action::Start(_)
            | Action::Stop(_) => from_now(self.patience.job),
            Action::Probe { good: 0, failed: 0, .. } => from_now(self.patience.health),
            Action::Return(_) => from_now(self.patience.manager),
            // It ends by itself.
            Action::Watch(_) => from_now(self.patience.watch + self.patience.health),
            Action::Ask(_) | Action::Keep(_) | Action::Read { .. } | Action::Probe { .. } => {
                let least = from_now(self.patience.manager);
                running.map_or(least, |running| match action {
                    Action::Read { settling: true, .. } | Action::Probe { .. } => running,
                    _ => running.max(least),
                })
            }
        }
    }

    async fn within(&self, deadline: Instant, action: Action, siblings: Vec<InstanceId>) -> Event {
        tokio::select! {
            biased;
            event = self.act(action, siblings) => event,
            () = sleep_until(deadline) => Event::Deadline,
        }
    }

    async fn act(&self, action: Action, siblings: Vec<InstanceId>) -> Event {
        match action {
            Action::Swap(id) => match self.releases.offer(id) {
                Err(reason) => Event::Trouble(reason),
                Ok(()) => match self.run(Verb::Reload, id).await {
                    Err(ManagerError::NotActive { .. }) => Event::Job(JobResult::Invalid),
                    ran => job(ran),
                },
            },
            Action::Restart(id) => match self.releases.offer(id) {
                Err(reason) => Event::Trouble(reason),
                Ok(()) => job(self.run(Verb::Restart, id).await),
            },
            Action::PutBack(id) => match self.releases.withdraw(id) {
                Err(reason) => Event::Trouble(reason),
                Ok(()) => job(self.run(Verb::Restart, id).await),
            },
            Action::Keep(id) => Event::Kept(self.releases.keep(id)),
            Action::Start(id) => job(self.run(Verb::Start, id).await),
            Action::Stop(id) => job(self.run(Verb::Stop, id).await),
            Action::Ask(id) => {
                let answer = self.health.may_swap(id).await;
                Event::Swap(answer.map(Box::new).map_err(|error| error.to_string()))
            }
            Action::Read { instance, settling } => {
                if settling {
                    sleep(SETTLE_PAUSE).await;
                }
                match self.manager.status(&self.app.instance(instance)).await {
                    Ok(status) => Event::Status(Box::new(status)),
                    Err(error) => trouble(error),
                }
            }
            Action::Probe { instance, good, failed } => {
                if failed > 0 {
                    sleep(PROBE_PAUSE).await;
                } else if good > 0 {
                    sleep(GOOD_PAUSE).await;
                }
                let answer = self.health.probe(instance).await;
                Event::Probe(answer.map(Box::new).map_err(|error| error.to_string()))
            }
            Action::Watch(instance) => Event::Watched(self.watch(instance, &siblings).await),
            Action::Return(_) => match self.manager.back().await {
                Ok(()) => Event::Back,
                Err(error) => Event::Trouble(error.to_string()),
            },
        }
    }

    async fn run(&self, verb: Verb, instance: InstanceId) -> Result<JobResult, ManagerError> {
        self.manager.run(verb, &self.app.instance(instance)).await
    }

    /// Compares an instance with its siblings for a while; ends as soon as it is worse.
    async fn watch(&self, instance: InstanceId, siblings: &[InstanceId]) -> Result<(), String> {
        let end = Instant::now() + self.patience.watch;
        let sample = async |id: InstanceId| self.health.probe(id).await.map(|it| Sample::of(&it));
        let all = async || join_all(siblings.iter().map(|id| sample(*id))).await;
        let (mut begun, mut mute) = (None, 0);
        loop {
            let (ours, now) = (sample(instance).await, all().await);
            match (ours, &begun) {
                (Err(error), _) => {
                    mute += 1;
                    if mute >= MUTE {
                        return Err(format!("does not answer while it is watched: {error}"));
                    }
                }
                (Ok(ours), None) => (begun, mute) = (Some((ours, now)), 0),
                (Ok(ours), Some((before, theirs))) => {
                    mute = 0;
                    let both = |(before, now): (&Result<Sample, _>, &Result<Sample, _>)| {
                        Some((*before.as_ref().ok()?, *now.as_ref().ok()?))
                    };
                    let siblings: Vec<_> = theirs.iter().zip(&now).filter_map(both).collect();
                    canary::compare((*before, ours), &siblings)?;
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            // The last word is an answer, not the want of one.
            let pause = match mute {
                0 if left.is_zero() => return Ok(()),
                0 => left.min(WATCH_EVERY),
                _ => WATCH_EVERY,
            };
            sleep(pause).await;
        }
    }
}

fn job(ran: Result<JobResult, ManagerError>) -> Event {
    ran.map_or_else(trouble, Event::Job)
}

fn trouble(error: ManagerError) -> Event {
    match error {
        ManagerError::Unreachable { reason } => Event::Lost(reason),
        error => Event::Trouble(error.to_string()),
    }
}
