//! A service manager and fronts that meet their fates.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use super::super::HealthProbe;
use crate::health::{Memory, ProbeError, Report, Status, SwapAnswer, SwapState};
use crate::manager::{ManagerError, ServiceManager, UnitStatus, Verb};
use crate::unit::{ActiveState, AppName, InstanceId, JobResult, ServiceResult, UnitName};

/// What becomes of one instance when it is restarted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    /// Comes up, and answers well from the probe after so many failed ones.
    Healthy { after: u32 },
    /// Comes up, but says that it is another instance.
    Impostor,
    /// Comes up, but answers that it is draining.
    Draining,
    /// The start fails.
    Fails,
    /// The start is skipped by the crash guard, with a job that is "done".
    Guarded,
    /// Someone cancels the job.
    Canceled,
    /// The manager goes away.
    ManagerLost,
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
    /// The manager goes away.
    ManagerLost,
}

impl SwapFate {
    pub(super) fn is_good(self) -> bool {
        matches!(self, Self::Done | Self::DoneUnheard)
    }

    pub(super) fn restarts(self) -> bool {
        matches!(self, Self::NeedsRestart | Self::Gone)
    }
}

/// How many swaps a front has ended before the roll.
pub(super) const BEFORE: u64 = 7;

pub(super) const PROBES: u32 = 3;

impl Fate {
    pub(super) fn is_good(self) -> bool {
        matches!(self, Self::Healthy { after } if after < PROBES)
    }
}

/// A service manager whose instances meet their fates, and that writes down what is asked of it.
pub(super) struct Simulated {
    pub(super) app: AppName,
    pub(super) fates: BTreeMap<InstanceId, Fate>,
    pub(super) swap_fates: BTreeMap<InstanceId, SwapFate>,
    pub(super) units: RefCell<BTreeMap<InstanceId, UnitStatus>>,
    pub(super) probed: RefCell<BTreeMap<InstanceId, u32>>,
    pub(super) restarts: RefCell<Vec<InstanceId>>,
    pub(super) swaps: RefCell<Vec<InstanceId>>,
}

impl Simulated {
    fn id(&self, unit: &UnitName) -> InstanceId {
        self.app.instance_of(unit.as_str()).unwrap()
    }

    fn reload(&self, id: InstanceId) -> Result<JobResult, ManagerError> {
        self.swaps.borrow_mut().push(id);
        let mut units = self.units.borrow_mut();
        let unit = units.get_mut(&id).unwrap();
        assert!(unit.is_up(), "only who is up is asked for a swap");
        Ok(match self.swap_fates[&id] {
            SwapFate::Done => JobResult::Done,
            SwapFate::FrontDies => {
                (unit.active, unit.result) = (ActiveState::Activating, ServiceResult::Signal);
                JobResult::Failed
            }
            SwapFate::Gone => return Err(ManagerError::NotActive { unit: self.app.instance(id) }),
            SwapFate::Canceled => JobResult::Canceled,
            SwapFate::ManagerLost => {
                return Err(ManagerError::Unreachable { reason: "connection reset".into() });
            }
            _ => JobResult::Failed,
        })
    }
}

impl ServiceManager for Simulated {
    async fn list(&self, _: &[&str]) -> Result<Vec<UnitStatus>, ManagerError> {
        Ok(self.units.borrow().values().cloned().collect())
    }

    async fn status(&self, unit: &UnitName) -> Result<UnitStatus, ManagerError> {
        Ok(self.units.borrow()[&self.id(unit)].clone())
    }

    async fn run(&self, verb: Verb, unit: &UnitName) -> Result<JobResult, ManagerError> {
        let id = self.id(unit);
        if verb == Verb::Reload {
            return self.reload(id);
        }
        assert_eq!(verb, Verb::Restart, "a roll only reloads and restarts");
        self.restarts.borrow_mut().push(id);
        let mut units = self.units.borrow_mut();
        let status = units.get_mut(&id).unwrap();
        let (job, active, result) = match self.fates[&id] {
            Fate::Healthy { .. } | Fate::Impostor | Fate::Draining => {
                (JobResult::Done, ActiveState::Active, ServiceResult::Success)
            }
            Fate::Fails => (JobResult::Failed, ActiveState::Activating, ServiceResult::ExitCode),
            Fate::Guarded => (JobResult::Done, ActiveState::Inactive, ServiceResult::ExecCondition),
            Fate::Canceled => (JobResult::Canceled, ActiveState::Active, ServiceResult::Success),
            Fate::ManagerLost => {
                return Err(ManagerError::Unreachable { reason: "connection reset".into() });
            }
        };
        (status.active, status.result) = (active, result);
        Ok(job)
    }
}

impl HealthProbe for Simulated {
    async fn probe(&self, instance: InstanceId) -> Result<Report, ProbeError> {
        let mut probed = self.probed.borrow_mut();
        let count = probed.entry(instance).or_default();
        *count += 1;
        let report = |id: String, status| Report {
            status,
            timestamp: String::new(),
            uptime: "0s".into(),
            memory: Memory { used: 1, total: 2, heap_total: 1 },
            requests: 0,
            taken_over: 0,
            version: "1".into(),
            rust_version: "1".into(),
            env: "test".into(),
            instance: Some(id),
            release: None,
            app: None,
        };
        if self.swap_fates[&instance].is_good() && !self.restarts.borrow().contains(&instance) {
            assert!(self.swaps.borrow().contains(&instance), "probed before its turn");
        }
        match self.fates[&instance] {
            Fate::Healthy { after } if *count > after => {
                Ok(report(instance.to_string(), Status::Ok))
            }
            Fate::Impostor => Ok(report("999".into(), Status::Ok)),
            Fate::Draining => Ok(report(instance.to_string(), Status::Draining)),
            _ => Err(ProbeError::Malformed("not yet".into())),
        }
    }

    async fn may_swap(&self, instance: InstanceId) -> Result<SwapState, ProbeError> {
        let answer = |swapped, restart| SwapAnswer {
            swapped,
            restart,
            reason: (!swapped).then(|| "the front says why".into()),
            ..SwapAnswer::default()
        };
        let last = match self.swap_fates[&instance] {
            SwapFate::Done | SwapFate::DoneUnheard => answer(true, false),
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
