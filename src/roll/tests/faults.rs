//! Every fault at every step: what never happens, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::sleep;

use super::simulated::{Deed, Fate, Instance, SwapFate, World};
use super::*;
use crate::manager::Verb;

/// Longer than any roll of these few instances may take: each has its deadlines.
pub(super) const END: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn fate() -> impl Strategy<Value = Fate> {
    let lost = (any::<bool>(), prop::bool::weighted(0.8));
    prop_oneof![
        12 => (0..PROBES + 2).prop_map(|after| Fate::Healthy { after }),
        // As long as is forgiven: for longer it is as good as sick.
        2 => (0..12_u32, 1..PROBES).prop_map(|(after, times)| Fate::Silent { after, times }),
        1 => Just(Fate::Sick),
        1 => Just(Fate::Impostor),
        1 => Just(Fate::OldRelease),
        1 => Just(Fate::Restarts),
        1 => Just(Fate::Fails),
        1 => Just(Fate::Guarded),
        1 => Just(Fate::Hangs),
        1 => Just(Fate::Canceled),
        1 => Just(Fate::Refused),
        2 => lost.prop_map(|(done, comes_back)| Fate::ManagerLost { done, comes_back }),
        2 => Just(Fate::Unheard),
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
        1 => Just(SwapFate::Hangs),
        2 => any::<bool>().prop_map(|done| SwapFate::ManagerLost { done }),
    ]
}

/// What is known of one instance before a roll, and what becomes of it.
#[derive(Debug, Clone)]
struct Life {
    before: (ActiveState, ServiceResult),
    front: Option<Front>,
    swap: SwapFate,
    fates: Vec<Fate>,
}

fn life() -> impl Strategy<Value = Life> {
    let before = prop_oneof![
        9 => Just((ActiveState::Active, ServiceResult::Success)),
        1 => Just((ActiveState::Activating, ServiceResult::ExitCode)),
        1 => Just((ActiveState::Inactive, ServiceResult::Success)),
        1 => Just((ActiveState::Inactive, ServiceResult::ExecCondition)),
        1 => Just((ActiveState::Failed, ServiceResult::Signal)),
    ];
    let changed = prop_oneof![3 => Just(None), 1 => Just(Some(Reason::Configuration))];
    let front = proptest::option::of(changed.prop_map(front));
    let fates = proptest::collection::vec(fate(), 1..3);
    (before, front, swap_fate(), fates).prop_map(|(before, front, swap, fates)| Life {
        before,
        front,
        swap,
        fates,
    })
}

/// How it is rolled, and what others do meanwhile.
#[derive(Debug, Clone)]
struct Case {
    lives: Vec<Life>,
    extra: Vec<Vec<Fate>>,
    parallel: usize,
    goes_on: bool,
    watches: bool,
    cancel: Option<u64>,
    deeds: Vec<(u64, Deed)>,
}

fn case() -> impl Strategy<Value = Case> {
    let deed = prop_oneof![
        2 => (1..9_u16).prop_map(Deed::Crash),
        1 => (1..9_u16).prop_map(Deed::Stop),
        1 => Just(Deed::Reexec),
    ];
    (
        proptest::collection::vec(life(), 1..8),
        proptest::collection::vec(proptest::collection::vec(fate(), 1..2), 0..3),
        1..4_usize,
        any::<bool>(),
        prop::bool::weighted(0.3),
        proptest::option::weighted(0.2, 0..60_000_u64),
        proptest::collection::vec((0..60_000_u64, deed), 0..3),
    )
        .prop_map(|(lives, extra, parallel, goes_on, watches, cancel, deeds)| {
            let parallel = if extra.is_empty() { parallel } else { extra.len() };
            Case { lives, extra, parallel, goes_on, watches, cancel, deeds }
        })
}

struct Ran {
    world: World,
    plan: Plan,
    verdict: Verdict,
    /// Those whose turn had begun when it was canceled or had failed, and those whose turn began.
    begun: BTreeSet<InstanceId>,
}

fn run(case: &Case) -> Ran {
    let app = AppName::default();
    let count = u16::try_from(case.lives.len()).unwrap();
    let mut instances = BTreeMap::new();
    let mut candidates = Vec::new();
    for (number, life) in (1..).zip(&case.lives) {
        let (active, result) = life.before.clone();
        let status = unit(&app, id(number), active, result);
        candidates.push(Candidate {
            id: id(number),
            unit: status.clone(),
            front: life.front.clone(),
        });
        let one = Instance::new(status, life.fates.clone(), life.swap);
        instances.insert(id(number), one);
    }
    let mut extra = Vec::new();
    for (more, fates) in (1..).zip(&case.extra) {
        let more = id(count + more);
        let status = unit(&app, more, ActiveState::Inactive, ServiceResult::Success);
        instances.insert(more, Instance::new(status, fates.clone(), SwapFate::Done));
        extra.push(more);
    }
    let plan = Plan::new(candidates);
    let rules = Rules {
        parallel: case.parallel,
        extra: extra.clone(),
        goes_on: case.goes_on,
        watches: case.watches,
        gate: gate(),
    };
    let world = World::new(instances, extra);
    let roll = Roll::new(plan.clone(), rules);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let mut begun = BTreeSet::new();
    let verdict = runtime.block_on(async {
        let driver = world.driver();
        let cancel = async {
            match case.cancel {
                Some(after) => sleep(Duration::from_millis(after)).await,
                None => pending().await,
            }
        };
        let told = |_: &Roll, action: Option<Action>| {
            begun.extend(action.map(Action::instance));
        };
        let others = async {
            let deeds = case.deeds.iter().map(async |(after, deed)| {
                sleep(Duration::from_millis(*after)).await;
                world.does(*deed).await;
            });
            futures_util::future::join_all(deeds).await;
            pending::<()>().await;
        };
        tokio::select! {
            verdict = driver.drive(roll, cancel, told) => verdict.unwrap(),
            () = others => unreachable!(),
            () = sleep(END) => panic!("no verdict"),
        }
    });
    Ran { world, plan, verdict, begun }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_more_instances_are_down_than_may_be_and_there_is_a_verdict(
        case in case()
    ) {
        let Ran { world, plan, verdict, begun } = run(&case);
        // With extra instances the capacity stays whole: as many serve as are being restarted.
        let allowed = if case.extra.is_empty() { case.parallel } else { 0 };
        prop_assert!(world.most_hurt.get() <= allowed, "{} down", world.most_hurt.get());

        // Each instance has one verdict.
        let mut told: Vec<InstanceId> = verdict.rolled.iter().map(|one| one.id).collect();
        told.extend(verdict.failed.iter().map(|one| one.instance));
        told.extend(verdict.stopped.iter().chain(&verdict.untouched));
        told.retain(|id| !world.extra.contains(id));
        told.sort_unstable();
        let all: Vec<_> = (1..).map(id).take(case.lives.len()).collect();
        prop_assert_eq!(told, all);

        let log = world.log.borrow();
        let instances = world.instances.borrow();
        let jobs = |wanted: InstanceId, verb| {
            log.iter().filter(|(did, id)| *id == wanted && *did == verb).count()
        };
        for one in &verdict.rolled {
            // It was renewed in the way that is told.
            let swapped = matches!(one.way, Way::Swap { .. });
            let world = &instances[&one.id];
            prop_assert!(!swapped || world.swaps == 1, "{:?}", one);
            // Or by a crash, which does as well when it comes to that before the job.
            prop_assert_eq!((world.release, world.pin), (RELEASE, RELEASE), "{:?}", one);
        }
        // Nobody is left with a release that did not show that it is well.
        for one in &verdict.failed {
            let world = &instances[&one.instance];
            prop_assert_eq!(world.pin, "old");
            prop_assert!(!one.is_put_back || world.release == "old", "{:?}", one);
        }
        // What is untouched was not restarted, and what someone had stopped not looked at.
        for id in &verdict.untouched {
            prop_assert_eq!(jobs(*id, Verb::Restart), 0);
        }
        for id in &plan.stopped {
            prop_assert!(!begun.contains(id));
        }
        // One that fails is restarted once more and no oftener, twice where a job was lost.
        for id in instances.keys() {
            prop_assert!(jobs(*id, Verb::Restart) <= 4 && jobs(*id, Verb::Reload) <= 1);
        }
        // Without leave to go on, a failure ends it: those under way come to their end, no more.
        if !case.goes_on {
            prop_assert!(verdict.failed.len() <= case.parallel.max(1) + case.extra.len());
        }
        if verdict.failed.is_empty() && !verdict.is_canceled {
            prop_assert!(verdict.untouched.is_empty());
        }
        // No extra instance is left behind, unless systemd was not to be had.
        let lost = |fate: &Fate| matches!(fate, Fate::ManagerLost { comes_back: false, .. });
        let is_lost = case.lives.iter().flat_map(|life| &life.fates).any(lost)
            || case.extra.iter().flatten().any(lost)
            || case.deeds.iter().any(|(_, deed)| *deed == Deed::Reexec);
        for id in &world.extra {
            let one = &instances[id];
            let is_left = one.unit.is_up() && one.starts > 0 && !verdict.kept.contains(id);
            prop_assert!(!is_left || is_lost, "{} is left", id);
        }
    }
}

/// A roll of healthy instances by restart, but for what `change` changes.
fn healthy(count: usize, change: impl FnOnce(&mut Case)) -> Ran {
    let life = Life {
        before: (ActiveState::Active, ServiceResult::Success),
        front: None,
        swap: SwapFate::Done,
        fates: vec![Fate::Healthy { after: 0 }],
    };
    let mut case = Case {
        lives: vec![life; count],
        extra: vec![],
        parallel: 1,
        goes_on: false,
        watches: false,
        cancel: None,
        deeds: vec![],
    };
    change(&mut case);
    run(&case)
}

fn restarts(ran: &Ran) -> Vec<InstanceId> {
    let log = ran.world.log.borrow();
    log.iter().filter(|(verb, _)| *verb == Verb::Restart).map(|(_, id)| *id).collect()
}

#[test]
fn a_failed_instance_is_restarted_once_more_and_the_survivors_are_left_alone() {
    let ran =
        healthy(3, |case| case.lives[1].fates = vec![Fate::Fails, Fate::Healthy { after: 0 }]);
    assert_eq!(restarts(&ran), [id(1), id(2), id(2)]);
    let [failed] = ran.verdict.failed.as_slice() else { panic!("{:?}", ran.verdict) };
    assert!(failed.is_put_back && failed.instance == id(2), "{failed:?}");
    assert_eq!(ran.verdict.untouched, [id(3)]);

    let ran = healthy(3, |case| case.lives[1].fates = vec![Fate::Fails]);
    assert!(!ran.verdict.failed[0].is_put_back);
    assert_eq!(restarts(&ran), [id(1), id(2), id(2)]);
}

#[test]
fn a_roll_that_may_go_on_does_so_while_its_capacity_lasts() {
    let broken = |case: &mut Case| {
        case.goes_on = true;
        case.lives[1].fates = vec![Fate::Fails];
    };
    let ran = healthy(4, broken);
    assert_eq!(ran.verdict.untouched, [id(3), id(4)], "one is down, and one may be");
    let ran = healthy(4, |case| {
        broken(case);
        case.parallel = 2;
    });
    assert_eq!(ran.verdict.rolled.len(), 3);
    assert!(ran.verdict.untouched.is_empty());
}

#[test]
fn a_job_that_was_lost_is_done_again_and_one_that_was_done_is_not() {
    let lost = |done| Fate::ManagerLost { done, comes_back: true };
    let ran =
        healthy(2, |case| case.lives[0].fates = vec![lost(false), Fate::Healthy { after: 0 }]);
    assert_eq!(restarts(&ran), [id(1), id(1), id(2)]);
    assert_eq!(ran.verdict.rolled.len(), 2);
    for goes_on in [lost(true), Fate::Unheard] {
        let ran = healthy(2, |case| case.lives[0].fates = vec![goes_on]);
        assert_eq!(restarts(&ran), [id(1), id(2)], "{goes_on:?}: {:?}", ran.verdict);
        assert_eq!(ran.verdict.rolled.len(), 2);
    }
}

#[test]
fn one_that_is_watched_may_be_silent_for_a_moment_and_has_the_last_word() {
    let watched = |after, times| {
        healthy(1, |case| {
            case.watches = true;
            case.lives[0].fates = vec![Fate::Silent { after, times }, Fate::Healthy { after: 0 }];
        })
    };
    // The watch of 5 s begins with the third question and ends with the eighth.
    for (after, times) in [(2, 2), (4, 2), (7, 2)] {
        let ran = watched(after, times);
        assert_eq!(ran.verdict.rolled.len(), 1, "{after}, {times}: {:?}", ran.verdict);
    }
    for after in [2, 4, 7] {
        let ran = watched(after, 3);
        let reason = &ran.verdict.failed[0].reason;
        assert!(reason.contains("does not answer while it is watched"), "{after}: {reason}");
    }
}

#[test]
fn a_canceled_roll_ends_after_the_instance_at_hand() {
    let ran = healthy(3, |case| case.cancel = Some(1_000));
    assert_eq!(restarts(&ran), [id(1)]);
    assert!(ran.verdict.is_canceled && ran.verdict.failed.is_empty());
    assert_eq!(ran.verdict.untouched, [id(2), id(3)]);
}

#[test]
fn extra_instances_serve_before_the_first_restart_and_end_after_the_last() {
    let ran = healthy(1, |case| case.extra = vec![vec![Fate::Healthy { after: 1 }]]);
    let log = ran.world.log.borrow();
    assert_eq!(*log, [(Verb::Start, id(2)), (Verb::Restart, id(1)), (Verb::Stop, id(2))]);
    assert_eq!(ran.world.most_hurt.get(), 0);

    let ran = healthy(2, |case| case.extra = vec![vec![Fate::Fails]]);
    assert_eq!(restarts(&ran), []);
    assert_eq!(ran.verdict.untouched, [id(1), id(2)]);
    assert!(ran.verdict.failed[0].reason.contains("reload.surge"));
}

#[test]
fn batches_take_as_many_at_a_time_as_may_be_down() {
    let ran = healthy(10, |case| case.parallel = 4);
    assert_eq!(ran.verdict.rolled.len(), 10);
    assert_eq!(ran.world.most_hurt.get(), 4);
}

#[test]
fn one_that_is_stopped_by_hand_before_its_turn_stays_so() {
    let ran = healthy(3, |case| case.deeds = vec![(0, Deed::Stop(3))]);
    assert_eq!(restarts(&ran), [id(1), id(2)]);
    assert_eq!(ran.verdict.stopped, [id(3)]);
}
