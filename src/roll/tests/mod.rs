//! The roll against a simulated service manager, in paused time.

mod outcome;
mod plan;
mod simulated;

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use self::simulated::{BEFORE, Fate, PROBES, Simulated, SwapFate};
use super::*;
use crate::health::{SwapAnswer, SwapState};
use crate::manager::{UnitFiles, UnitStatus};
use crate::unit::{ActiveState, AppName, InstanceId, JobResult, ServiceResult};

fn status(app: &AppName, id: InstanceId, active: ActiveState, result: ServiceResult) -> UnitStatus {
    let unknown = UnitStatus::unknown(app.instance(id));
    let files = UnitFiles { can_reload: true, ..UnitFiles::default() };
    UnitStatus { loaded: true, active, result, files, ..unknown }
}

/// A front that can swap, unless one of its files is newer.
fn front(changed: Option<Reason>) -> Front {
    let swap = SwapState { possible: true, swaps: BEFORE, ..SwapState::default() };
    Front { changed, report: None, swap: Ok(swap) }
}

fn planned(id: InstanceId) -> Planned {
    Planned { id, way: Way::Restart(Reason::Method) }
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

fn swap_fate() -> impl Strategy<Value = SwapFate> {
    prop_oneof![
        8 => Just(SwapFate::Done),
        2 => Just(SwapFate::DoneUnheard),
        1 => Just(SwapFate::Sick),
        2 => Just(SwapFate::NeedsRestart),
        1 => Just(SwapFate::Gone),
        1 => any::<bool>().prop_map(|asked| SwapFate::Mute { asked }),
        1 => Just(SwapFate::FrontDies),
        1 => Just(SwapFate::Canceled),
        1 => Just(SwapFate::ManagerLost),
    ]
}

/// What is known of one instance before a roll, and what becomes of it.
#[derive(Debug, Clone)]
struct Life {
    before: (ActiveState, ServiceResult),
    front: Option<Front>,
    swap: SwapFate,
    fate: Fate,
}

fn life() -> impl Strategy<Value = Life> {
    let changed = prop_oneof![3 => Just(None), 1 => Just(Some(Reason::Configuration))];
    let front = proptest::option::of(changed.prop_map(front));
    (before(), front, swap_fate(), fate()).prop_map(|(before, front, swap, fate)| Life {
        before,
        front,
        swap,
        fate,
    })
}

impl Life {
    /// Whether it comes out of the roll well, when it is planned this way.
    fn is_good(&self, way: &Way) -> bool {
        let swaps = matches!(way, Way::Swap { .. });
        self.fate.is_good() && (!swaps || self.swap.is_good() || self.swap.restarts())
    }

    /// Whether it is restarted, when it is planned this way.
    fn is_restarted(&self, way: &Way) -> bool {
        matches!(way, Way::Restart(_)) || self.swap.restarts()
    }
}

proptest! {
    #[test]
    fn whatever_happens_one_instance_at_the_most_is_hurt_and_there_is_a_verdict(
        lives in proptest::collection::vec(life(), 0..12)
    ) {
        let app = AppName::default();
        let lives: BTreeMap<InstanceId, Life> = lives
            .into_iter()
            .enumerate()
            .map(|(at, life)| ((at + 1).to_string().parse().unwrap(), life))
            .collect();
        let unit = |id: InstanceId, (active, result): &(ActiveState, ServiceResult)| {
            status(&app, id, active.clone(), result.clone())
        };
        let units: BTreeMap<_, _> =
            lives.iter().map(|(id, life)| (*id, unit(*id, &life.before))).collect();
        let candidate = |(id, life): (&InstanceId, &Life)| Candidate {
            id: *id,
            unit: units[id].clone(),
            front: life.front.clone(),
        };
        let plan = Plan::new(lives.iter().map(candidate).collect());
        let simulated = Simulated {
            app: app.clone(),
            fates: lives.iter().map(|(id, life)| (*id, life.fate)).collect(),
            swap_fates: lives.iter().map(|(id, life)| (*id, life.swap)).collect(),
            units: RefCell::new(units.clone()),
            probed: RefCell::default(),
            restarts: RefCell::default(),
            swaps: RefCell::default(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let roll = Roll::new(plan.clone(), Some(PROBES));
        let mut steps = 0;
        let verdict = runtime
            .block_on(drive(roll, &app, &simulated, &simulated, |_, _| steps += 1))
            .unwrap();

        let (restarts, swaps) = (simulated.restarts.into_inner(), simulated.swaps.into_inner());
        let ids = |list: &[Planned]| list.iter().map(|planned| planned.id).collect::<Vec<_>>();
        let bad = plan.order.iter().position(|one| !lives[&one.id].is_good(&one.way));
        // It goes through the plan in order, to the first bad one, which it touches once.
        let reached = &plan.order[..bad.map_or(plan.order.len(), |at| at + 1)];
        let is_swap = |one: &&Planned| matches!(one.way, Way::Swap { .. });
        let swapped: Vec<_> = reached.iter().filter(is_swap).map(|one| one.id).collect();
        prop_assert_eq!(&swaps, &swapped);
        let restarted = reached.iter().filter(|one| lives[&one.id].is_restarted(&one.way));
        prop_assert_eq!(&restarts, &restarted.map(|one| one.id).collect::<Vec<_>>());
        prop_assert_eq!(ids(&verdict.rolled), ids(&plan.order[..bad.unwrap_or(reached.len())]));
        prop_assert_eq!(&verdict.untouched, &ids(&plan.order[reached.len()..]));
        let halted = verdict.halt.as_ref();
        prop_assert_eq!(halted.map(|halt| halt.instance), bad.map(|at| plan.order[at].id));
        // It says how each was rolled in the end.
        for one in &verdict.rolled {
            let was_restarted = restarts.contains(&one.id);
            prop_assert_eq!(matches!(one.way, Way::Restart(_)), was_restarted, "{:?}", one);
        }
        // It says that an instance serves on only where its front said so, and always then.
        if let Some(halt) = halted {
            let sick = swaps.contains(&halt.instance)
                && lives[&halt.instance].swap == SwapFate::Sick;
            prop_assert_eq!(halt.serves_on, sick);
        }
        // What someone stopped stays stopped.
        for id in &verdict.stopped {
            prop_assert!(!restarts.contains(id) && !swaps.contains(id));
        }
        prop_assert_eq!(verdict.stopped.len() + plan.order.len(), lives.len());
        // No instance is swapped, restarted or probed without end.
        prop_assert!(steps <= plan.order.len() * (4 + PROBES as usize));
        // Those that serve come last in the plan, and only they are swapped.
        let serving = |one: &Planned| units[&one.id].is_up();
        prop_assert!(plan.order.iter().map(serving).is_sorted());
        prop_assert!(plan.order.iter().filter(is_swap).all(serving));
    }

    #[test]
    fn an_event_out_of_turn_is_an_error_and_changes_nothing(turn in 0..4usize) {
        let app = AppName::default();
        let one: InstanceId = "1".parse().unwrap();
        let up = status(&app, one, ActiveState::Active, ServiceResult::Success);
        let order = vec![Planned { id: one, way: Way::Swap { before: 0 } }];
        let mut roll = Roll::new(Plan { order, stopped: vec![] }, Some(PROBES));
        let done = SwapAnswer { swapped: true, ..SwapAnswer::default() };
        let done = SwapState { swaps: 1, last: Some(done), ..SwapState::default() };
        let events = [
            Event::Job(JobResult::Failed),
            Event::Swap(Ok(Box::new(done))),
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
fn without_control_sockets_the_state_of_the_unit_is_the_verdict() {
    let app = AppName::default();
    let one: InstanceId = "1".parse().unwrap();
    let mut roll = Roll::new(Plan { order: vec![planned(one)], stopped: vec![] }, None);
    roll.apply(Event::Job(JobResult::Done)).unwrap();
    let up = status(&app, one, ActiveState::Active, ServiceResult::Success);
    roll.apply(Event::Status(Box::new(up))).unwrap();
    assert_eq!(roll.action(), None);
    assert_eq!(roll.verdict().halt, None);
}

#[test]
fn an_ended_roll_takes_no_more_events() {
    let mut roll = Roll::new(Plan::default(), Some(PROBES));
    assert_eq!(roll.action(), None);
    assert!(roll.apply(Event::Job(JobResult::Done)).is_err());
    assert!(roll.apply(Event::Trouble("x".into())).is_err());
}
