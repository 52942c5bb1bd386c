//! A service manager and instances that meet their fates, in paused time.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::{Driver, HealthProbe, Patience, Releases};
use crate::health::{AppReport, ProbeError, Report, Status, SwapAnswer, SwapState};
use crate::manager::{ManagerError, ServiceManager, UnitFiles, UnitStatus, Verb};
use crate::unit::{ActiveState, AppName, InstanceId, JobResult, ServiceResult, UnitName};

/// What becomes of one instance when it is started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    /// Comes up, and answers well from the probe after so many failed ones.
    Healthy { after: u32 },
    /// Comes up and answers well, but for so many probes after the first so many.
    Silent { after: u32, times: u32 },
    /// Comes up, but never answers well.
    Sick,
    /// Comes up, but says that it is another instance.
    Impostor,
    /// Comes up, but runs the old release.
    OldRelease,
    /// Comes up and is started again by itself after its first good answer, once.
    Restarts,
    /// The start fails.
    Fails,
    /// The start is skipped by the crash guard, with a job that is "done".
    Guarded,
    /// The job does not end.
    Hangs,
    /// Someone cancels the job.
    Canceled,
    /// The manager refuses.
    Refused,
    /// The manager goes away for a while, before or after it has done the job.
    ManagerLost { done: bool, comes_back: bool },
    /// Nobody hears of the job any more, and it goes on.
    Unheard,
}

/// What becomes of a swap of one instance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum SwapFate {
    /// It is done.
    Done,
    /// It is done, but the one who asked for it was lost.
    DoneUnheard,
    /// The new program does not get healthy; the old one serves on.
    Sick,
    /// The front refuses it and asks for a restart.
    NeedsRestart,
    /// The unit went down before.
    Gone,
    /// The front does not know of it, or says nothing any more, but its unit is up.
    Mute { asked: bool },
    /// The front dies of it.
    FrontDies,
    /// Someone cancels the job.
    Canceled,
    /// The job does not end.
    Hangs,
    /// The manager goes away for a while, before or after it has done the job.
    ManagerLost { done: bool },
}

/// How many swaps a front has ended before the roll.
pub(super) const BEFORE: u64 = 7;

pub(super) const PROBES: u32 = 3;

/// What the instances are to run.
pub(super) const RELEASE: &str = "new";

/// How long a job takes, and an absence of the manager.
const JOB: Duration = Duration::from_secs(3);
const ABSENCE: Duration = Duration::from_secs(5);

/// An instance and what becomes of it.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) unit: UnitStatus,
    /// One for each start; the last counts for all further ones.
    pub(super) fates: Vec<Fate>,
    pub(super) swap: SwapFate,
    /// Its requests are answered.
    pub(super) serves: bool,
    pub(super) starts: usize,
    pub(super) swaps: u64,
    /// What it runs, and what a start is one of that nothing was offered for.
    pub(super) release: &'static str,
    pub(super) pin: &'static str,
    is_offered: bool,
    probed: u32,
    /// Since when a job goes on that nobody hears of, and whether the instance served before.
    unheard: Option<(Instant, bool)>,
}

impl Instance {
    pub(super) fn new(unit: UnitStatus, fates: Vec<Fate>, swap: SwapFate) -> Self {
        let serves = unit.is_up();
        let (starts, swaps, probed, is_offered, unheard) = (0, 0, 0, false, None);
        let (release, pin) = ("old", "old");
        Self { unit, fates, swap, serves, starts, swaps, release, pin, is_offered, probed, unheard }
    }

    /// What it is to run now: what is offered counts for one start.
    fn begins(&mut self) {
        (self.release, self.probed) = (self.pin, 0);
        if std::mem::take(&mut self.is_offered) {
            self.release = RELEASE;
        }
    }

    fn fate(&self) -> Fate {
        let at = self.starts.clamp(1, self.fates.len()) - 1;
        self.fates[at]
    }

    fn is(&mut self, active: ActiveState, result: ServiceResult) {
        if active == ActiveState::Active {
            self.unit.run = Some(format!("{}-{}", self.unit.name, self.starts));
        }
        (self.unit.active, self.unit.result) = (active, result);
    }

    /// Where a restart is that nobody hears of: between its halves the unit is inactive for a moment.
    /// Told: it is at its end.
    fn goes_on(&mut self) -> Option<bool> {
        let (since, served) = self.unheard?;
        let (active, job) = match since.elapsed().saturating_sub(ABSENCE).as_millis() {
            0..200 => (ActiveState::Deactivating, "restart"),
            200..600 => (ActiveState::Inactive, "start"),
            600..800 => (ActiveState::Activating, "start"),
            _ => {
                self.forget_job();
                self.come_up();
                return Some(served);
            }
        };
        (self.unit.active, self.unit.job) = (active, Some(job.to_owned()));
        None
    }

    fn forget_job(&mut self) {
        (self.unheard, self.unit.job) = (None, None);
    }

    /// What the start that has just been begun comes to.
    fn come_up(&mut self) -> JobResult {
        self.begins();
        self.serves = false;
        match self.fate() {
            Fate::Fails => {
                self.is(ActiveState::Activating, ServiceResult::ExitCode);
                JobResult::Failed
            }
            Fate::Guarded => {
                self.is(ActiveState::Inactive, ServiceResult::ExecCondition);
                JobResult::Done
            }
            fate => {
                self.is(ActiveState::Active, ServiceResult::Success);
                self.serves = match fate {
                    Fate::Healthy { after } => after < PROBES,
                    fate => !matches!(fate, Fate::Sick | Fate::Impostor),
                };
                if fate == Fate::OldRelease {
                    self.release = "old";
                }
                JobResult::Done
            }
        }
    }
}

/// What someone does at its time, whatever the roll does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Deed {
    /// Crashes an instance; it comes back after a while.
    Crash(u16),
    /// Stops an instance by hand.
    Stop(u16),
    /// Restarts the manager.
    Reexec,
}

/// The machine, which writes down how low its capacity was.
#[derive(Debug)]
pub(super) struct World {
    pub(super) app: AppName,
    pub(super) instances: RefCell<BTreeMap<InstanceId, Instance>>,
    /// The extra ones.
    pub(super) extra: Vec<InstanceId>,
    away_until: Cell<Option<Instant>>,
    /// Of those that served at the begin: down because of the roll.
    pub(super) hurt: RefCell<BTreeSet<InstanceId>>,
    /// The most of them at one time, less the extra ones that served then.
    pub(super) most_hurt: Cell<usize>,
    pub(super) log: RefCell<Vec<(Verb, InstanceId)>>,
}

impl World {
    pub(super) fn new(instances: BTreeMap<InstanceId, Instance>, extra: Vec<InstanceId>) -> Self {
        Self {
            app: AppName::default(),
            instances: RefCell::new(instances),
            extra,
            away_until: Cell::new(None),
            hurt: RefCell::default(),
            most_hurt: Cell::new(0),
            log: RefCell::default(),
        }
    }

    /// Who drives a roll of it.
    pub(super) fn driver(&self) -> Driver<'_, Self, Self> {
        let seconds = Duration::from_secs;
        let (job, health, manager) = (seconds(20), seconds(20), seconds(30));
        let patience = Patience { job, health, manager, watch: seconds(5) };
        Driver { app: &self.app, manager: self, health: self, releases: self, patience }
    }

    fn id(&self, unit: &UnitName) -> InstanceId {
        self.app.instance_of(unit.as_str()).unwrap()
    }

    fn with<T>(&self, id: InstanceId, what: impl FnOnce(&mut Instance) -> T) -> T {
        what(self.instances.borrow_mut().get_mut(&id).unwrap())
    }

    /// The roll has taken an instance from its clients, or it serves again.
    fn touch(&self, id: InstanceId, served: bool) {
        let is_up = self.instances.borrow()[&id].serves;
        if is_up {
            self.hurt.borrow_mut().remove(&id);
        } else if served && !self.extra.contains(&id) {
            self.hurt.borrow_mut().insert(id);
        }
        let hurt = self.hurt.borrow().len();
        let instances = self.instances.borrow();
        let extra = self.extra.iter().filter(|id| instances[id].serves).count();
        self.most_hurt.set(self.most_hurt.get().max(hurt.saturating_sub(extra)));
    }

    fn here(&self) -> Result<(), ManagerError> {
        match self.away_until.get() {
            Some(until) if Instant::now() < until => {
                Err(ManagerError::Unreachable { reason: "connection reset".into() })
            }
            _ => Ok(()),
        }
    }

    fn goes_away(&self, comes_back: bool) -> ManagerError {
        let far = if comes_back { ABSENCE } else { Duration::from_secs(1 << 30) };
        self.away_until.set(Some(Instant::now() + far));
        ManagerError::Unreachable { reason: "connection reset".into() }
    }

    /// Does what someone else does.
    pub(super) async fn does(&self, deed: Deed) {
        let id = |number: u16| -> Option<InstanceId> {
            let id = number.to_string().parse().ok()?;
            // Without an extra one that somebody takes away there is less than the roll can know of.
            let is_one = self.instances.borrow().contains_key(&id) && !self.extra.contains(&id);
            is_one.then_some(id)
        };
        match deed {
            Deed::Reexec => {
                self.goes_away(true);
            }
            Deed::Stop(number) => {
                let Some(id) = id(number) else { return };
                self.with(id, |one| {
                    one.forget_job();
                    one.is(ActiveState::Inactive, ServiceResult::Success);
                    one.serves = false;
                });
                // Whatever the roll did to it before, it is not the roll that keeps it down.
                self.hurt.borrow_mut().remove(&id);
            }
            Deed::Crash(number) => {
                let Some(id) = id(number) else { return };
                let was_up = self.with(id, |one| {
                    let was_up = one.unit.is_up() && one.serves;
                    if was_up {
                        one.is(ActiveState::Activating, ServiceResult::Signal);
                        one.serves = false;
                    }
                    was_up
                });
                sleep(JOB).await;
                self.with(id, |one| {
                    // A job that has taken it in hand since says what becomes of it.
                    let has_job = one.unit.result != ServiceResult::Signal;
                    if was_up && !has_job && one.unit.active == ActiveState::Activating {
                        one.is(ActiveState::Active, ServiceResult::Success);
                        one.unit.run = Some(format!("{}-again", one.unit.name));
                        one.serves = true;
                        one.begins();
                    }
                });
            }
        }
    }

    async fn start(&self, id: InstanceId) -> Result<JobResult, ManagerError> {
        let fate = self.with(id, |one| {
            one.starts += 1;
            one.fate()
        });
        match fate {
            Fate::Refused => {
                return Err(ManagerError::Failed { what: "restart".into(), reason: "no".into() });
            }
            Fate::Canceled => {
                sleep(JOB).await;
                return Ok(JobResult::Canceled);
            }
            Fate::ManagerLost { done: false, comes_back } => return Err(self.goes_away(comes_back)),
            _ => {}
        }
        let served = self.with(id, |one| {
            one.forget_job();
            one.is(ActiveState::Deactivating, ServiceResult::Success);
            std::mem::take(&mut one.serves)
        });
        self.touch(id, served);
        sleep(JOB / 2).await;
        if fate == Fate::Unheard {
            self.with(id, |one| one.unheard = Some((Instant::now(), served)));
            return Err(self.goes_away(true));
        }
        self.with(id, |one| one.unit.active = ActiveState::Activating);
        sleep(JOB / 2).await;
        match fate {
            Fate::Hangs => return pending().await,
            Fate::ManagerLost { comes_back, .. } => {
                self.with(id, Instance::come_up);
                self.touch(id, served);
                return Err(self.goes_away(comes_back));
            }
            _ => {}
        }
        let job = self.with(id, Instance::come_up);
        self.touch(id, served);
        Ok(job)
    }

    async fn reload(&self, id: InstanceId) -> Result<JobResult, ManagerError> {
        let not_active = || ManagerError::NotActive { unit: self.app.instance(id) };
        let swap =
            self.with(id, |one| one.unit.is_up().then_some(one.swap)).ok_or_else(not_active)?;
        sleep(JOB).await;
        let done = |one: &mut Instance| {
            one.swaps += 1;
            one.begins();
        };
        Ok(match swap {
            SwapFate::Done => {
                self.with(id, done);
                JobResult::Done
            }
            SwapFate::DoneUnheard => {
                self.with(id, done);
                JobResult::Failed
            }
            // A crash, as any other: not the roll's doing.
            SwapFate::FrontDies => {
                self.with(id, |one| {
                    one.is(ActiveState::Activating, ServiceResult::Signal);
                    one.serves = false;
                });
                JobResult::Failed
            }
            SwapFate::Gone => {
                self.with(id, |one| {
                    one.is(ActiveState::Failed, ServiceResult::Signal);
                    one.serves = false;
                });
                return Err(not_active());
            }
            SwapFate::Canceled => JobResult::Canceled,
            SwapFate::Hangs => return pending().await,
            SwapFate::ManagerLost { done: is_done } => {
                if is_done {
                    self.with(id, done);
                }
                return Err(self.goes_away(true));
            }
            SwapFate::Sick | SwapFate::NeedsRestart | SwapFate::Mute { .. } => JobResult::Failed,
        })
    }
}

impl ServiceManager for World {
    async fn list(&self, patterns: &[&str]) -> Result<Vec<UnitStatus>, ManagerError> {
        self.names(patterns).await
    }

    async fn names(&self, _: &[&str]) -> Result<Vec<UnitStatus>, ManagerError> {
        self.here()?;
        Ok(self.instances.borrow().values().map(|one| one.unit.clone()).collect())
    }

    async fn status(&self, unit: &UnitName) -> Result<UnitStatus, ManagerError> {
        self.here()?;
        let id = self.id(unit);
        if let Some(served) = self.with(id, Instance::goes_on) {
            self.touch(id, served);
        }
        Ok(self.instances.borrow()[&id].unit.clone())
    }

    async fn run(&self, verb: Verb, unit: &UnitName) -> Result<JobResult, ManagerError> {
        let id = self.id(unit);
        self.here()?;
        self.log.borrow_mut().push((verb, id));
        match verb {
            Verb::Reload => self.reload(id).await,
            Verb::Restart | Verb::Start => self.start(id).await,
            Verb::Stop => {
                self.with(id, |one| {
                    one.serves = false;
                    one.is(ActiveState::Inactive, ServiceResult::Success);
                });
                Ok(JobResult::Done)
            }
        }
    }

    async fn back(&self) -> Result<(), ManagerError> {
        while self.here().is_err() {
            sleep(ABSENCE / 10).await;
        }
        Ok(())
    }
}

impl Releases for World {
    fn offer(&self, instance: InstanceId) -> Result<(), String> {
        self.with(instance, |one| one.is_offered = true);
        Ok(())
    }

    fn withdraw(&self, instance: InstanceId) -> Result<(), String> {
        self.with(instance, |one| one.is_offered = false);
        Ok(())
    }

    fn keep(&self, instance: InstanceId) -> Result<(), String> {
        self.with(instance, |one| one.pin = RELEASE);
        Ok(())
    }
}

impl HealthProbe for World {
    async fn probe(&self, instance: InstanceId) -> Result<Report, ProbeError> {
        let one = self.with(instance, |one| {
            one.probed += 1;
            one.clone()
        });
        let is_renewed = one.starts > 0;
        let fate = if is_renewed { one.fate() } else { Fate::Healthy { after: 0 } };
        let good = match fate {
            Fate::Healthy { after } => one.probed > after,
            Fate::Silent { after, times } => !(after + 1..=after + times).contains(&one.probed),
            Fate::Sick => false,
            _ => one.serves,
        };
        if !one.unit.is_up() || !(good || fate == Fate::Impostor) {
            return Err(ProbeError::Timeout(Duration::from_secs(1)));
        }
        if fate == Fate::Restarts && one.starts == 1 && one.probed == 1 {
            self.with(instance, |one| one.unit.run = Some("by itself".into()));
        }
        let id = if fate == Fate::Impostor { "999".into() } else { instance.to_string() };
        Ok(Report {
            status: Status::Ok,
            instance: Some(id),
            release: Some(one.release.into()),
            ..report()
        })
    }

    async fn may_swap(&self, instance: InstanceId) -> Result<SwapState, ProbeError> {
        let one = self.instances.borrow()[&instance].clone();
        let answer = |swapped, restart| SwapAnswer {
            swapped,
            restart,
            reason: (!swapped).then(|| "the front says why".into()),
            ..SwapAnswer::default()
        };
        let last = match one.swap {
            _ if one.swaps > 0 => answer(true, false),
            SwapFate::Sick => answer(false, false),
            SwapFate::NeedsRestart => answer(false, true),
            // Its last swap was another one's, long ago.
            SwapFate::Mute { asked: true } => {
                let last = Some(answer(true, false));
                return Ok(SwapState { swaps: BEFORE, last, ..SwapState::default() });
            }
            _ => return Err(ProbeError::Timeout(Duration::from_secs(1))),
        };
        Ok(SwapState { swaps: BEFORE + 1, last: Some(last), ..SwapState::default() })
    }
}

/// An instance that is well, and no one's.
pub(super) fn report() -> Report {
    Report {
        app: Some(AppReport { pid: None, restarts: 0, generation: 1, healthy: true }),
        ..Report::default()
    }
}

/// A unit as systemd tells it.
pub(super) fn unit(
    app: &AppName,
    id: InstanceId,
    active: ActiveState,
    result: ServiceResult,
) -> UnitStatus {
    let unknown = UnitStatus::unknown(app.instance(id));
    let files = UnitFiles { can_reload: true, ..UnitFiles::default() };
    let run = (active == ActiveState::Active).then(|| "before".to_owned());
    UnitStatus { loaded: true, active, result, files, run, ..unknown }
}
