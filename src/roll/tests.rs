//! The roll against a simulated service manager, in paused time.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::health::{Memory, ProbeError, Report, Status};
use crate::manager::{ManagerError, ServiceManager, UnitStatus, Verb};
use crate::unit::{ActiveState, AppName, InstanceId, JobResult, ServiceResult, UnitName};

/// What becomes of one instance when it is restarted.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
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

const PROBES: u32 = 3;

impl Fate {
    fn is_good(self) -> bool {
        matches!(self, Self::Healthy { after } if after < PROBES)
    }
}

/// A service manager whose instances meet their fates, and that writes down what is asked of it.
struct Simulated {
    app: AppName,
    fates: BTreeMap<InstanceId, Fate>,
    units: RefCell<BTreeMap<InstanceId, UnitStatus>>,
    probed: RefCell<BTreeMap<InstanceId, u32>>,
    restarts: RefCell<Vec<InstanceId>>,
}

impl Simulated {
    fn id(&self, unit: &UnitName) -> InstanceId {
        self.app.instance_of(unit.as_str()).unwrap()
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
        assert_eq!(verb, Verb::Restart, "a roll only restarts");
        let id = self.id(unit);
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
            version: "1".into(),
            rust_version: "1".into(),
            env: "test".into(),
            instance: Some(id),
            release: None,
            app: None,
        };
        match self.fates[&instance] {
            Fate::Healthy { after } if *count > after => {
                Ok(report(instance.to_string(), Status::Ok))
            }
            Fate::Impostor => Ok(report("999".into(), Status::Ok)),
            Fate::Draining => Ok(report(instance.to_string(), Status::Draining)),
            _ => Err(ProbeError::Malformed("not yet".into())),
        }
    }
}

fn status(app: &AppName, id: InstanceId, active: ActiveState, result: ServiceResult) -> UnitStatus {
    let unknown = UnitStatus::unknown(app.instance(id));
    UnitStatus { loaded: true, active, result, ..unknown }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => (0..PROBES + 2).prop_map(|after| Fate::Healthy { after }),
        1 => Just(Fate::Impostor),
        1 => Just(Fate::Draining),
        1 => Just(Fate::Fails),
        1 => Just(Fate::Guarded),
        1 => Just(Fate::Canceled),
        1 => Just(Fate::ManagerLost),
    ]
}

fn before() -> impl Strategy<Value = (ActiveState, ServiceResult)> {
    prop_oneof![
        6 => Just((ActiveState::Active, ServiceResult::Success)),
        1 => Just((ActiveState::Activating, ServiceResult::ExitCode)),
        1 => Just((ActiveState::Inactive, ServiceResult::Success)),
        1 => Just((ActiveState::Inactive, ServiceResult::ExecCondition)),
        1 => Just((ActiveState::Failed, ServiceResult::Signal)),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_one_instance_at_the_most_is_hurt_and_there_is_a_verdict(
        instances in proptest::collection::vec((before(), fate()), 0..12)
    ) {
        let app = AppName::default();
        let ids: Vec<InstanceId> =
            (1..=instances.len()).map(|id| id.to_string().parse().unwrap()).collect();
        let pairs = || ids.iter().copied().zip(instances.iter().cloned());
        let units: Vec<_> = pairs()
            .map(|(id, ((active, result), _))| (id, status(&app, id, active, result)))
            .collect();
        let plan = Plan::new(units.clone());
        let simulated = Simulated {
            app: app.clone(),
            fates: pairs().map(|(id, (_, fate))| (id, fate)).collect(),
            units: RefCell::new(units.iter().cloned().collect()),
            probed: RefCell::default(),
            restarts: RefCell::default(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let roll = Roll::new(plan.clone(), PROBES);
        let mut steps = 0;
        let verdict = runtime
            .block_on(drive(roll, &app, &simulated, &simulated, |_, _| steps += 1))
            .unwrap();

        let restarts = simulated.restarts.into_inner();
        let bad = plan.order.iter().position(|id| !simulated.fates[id].is_good());
        // It goes through the plan in order, to the first bad one, which it touches once.
        let reached = bad.map_or(plan.order.len(), |at| at + 1);
        prop_assert_eq!(&restarts, &plan.order[..reached]);
        prop_assert_eq!(&verdict.rolled, &plan.order[..bad.unwrap_or(reached)]);
        prop_assert_eq!(&verdict.untouched, &plan.order[reached..]);
        prop_assert_eq!(verdict.halt.map(|halt| halt.instance), bad.map(|at| plan.order[at]));
        // What someone stopped stays stopped.
        for id in &verdict.stopped {
            prop_assert!(!restarts.contains(id));
        }
        prop_assert_eq!(verdict.stopped.len() + plan.order.len(), ids.len());
        // No instance is restarted or probed without end.
        prop_assert!(steps <= plan.order.len() * (2 + PROBES as usize));
        // Those that serve come last in the plan.
        let serving = |id: &InstanceId| units.iter().any(|(i, s)| i == id && s.is_up());
        prop_assert!(plan.order.iter().map(serving).is_sorted());
    }

    #[test]
    fn an_event_out_of_turn_is_an_error_and_changes_nothing(turn in 0..3usize) {
        let app = AppName::default();
        let one: InstanceId = "1".parse().unwrap();
        let up = status(&app, one, ActiveState::Active, ServiceResult::Success);
        let mut roll = Roll::new(Plan { order: vec![one], stopped: vec![] }, PROBES);
        let events = [
            Event::Job(JobResult::Done),
            Event::Status(Box::new(up)),
            Event::Probe(Err("x".into())),
        ];
        for event in &events[..turn] {
            roll.apply(event.clone()).unwrap();
        }
        for (at, event) in events.iter().enumerate().filter(|(at, _)| *at != turn) {
            let before = roll.clone();
            prop_assert!(roll.apply(event.clone()).is_err(), "event {} at turn {}", at, turn);
            prop_assert_eq!(&before, &roll);
        }
    }
}

#[test]
fn an_ended_roll_takes_no_more_events() {
    let mut roll = Roll::new(Plan::default(), PROBES);
    assert_eq!(roll.action(), None);
    assert!(roll.apply(Event::Job(JobResult::Done)).is_err());
    assert!(roll.apply(Event::Trouble("x".into())).is_err());
}

#[test]
fn an_outcome_says_in_one_sentence_what_happened() {
    let id = |text: &str| text.parse::<InstanceId>().unwrap();
    let app = AppName::default();
    let done = Verdict {
        rolled: vec![id("1"), id("2")],
        stopped: vec![id("4")],
        untouched: vec![],
        halt: None,
    };
    assert_eq!(
        Outcome::new(&app, &done, 5, 4240).to_string(),
        "rolled 2 of 2 instances of romuo in 4.2 s; left stopped: 4"
    );
    let halted = Verdict {
        rolled: vec![],
        stopped: vec![],
        untouched: vec![id("2"), id("3")],
        halt: Some(Halt { instance: id("1"), reason: "exited with code 1".into() }),
    };
    assert_eq!(
        Outcome::new(&app, &halted, 5, 1).to_string(),
        "the roll of romuo halted: romuo@1.service exited with code 1; instances 2, 3 were not touched"
    );
}
