//! Instances that come new: they pass the gate of a roll or they do not, and none is put back.

use std::collections::BTreeMap;
use std::future::pending;

use proptest::prelude::*;
use tokio::time::sleep;

use super::faults::{END, fate};
use super::simulated::{Fate, Instance, SwapFate, World};
use super::*;
use crate::manager::Verb;

/// Starts one instance for each of these fates.
fn join(fates: &[Fate]) -> (World, Verdict) {
    let app = AppName::default();
    let ids: Vec<_> = (1..).map(id).take(fates.len()).collect();
    let instances: BTreeMap<_, _> = ids
        .iter()
        .zip(fates)
        .map(|(id, fate)| {
            let status = unit(&app, *id, ActiveState::Inactive, ServiceResult::Success);
            (*id, Instance::new(status, vec![*fate], SwapFate::Done))
        })
        .collect();
    let world = World::new(instances, ids.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let verdict = runtime.block_on(async {
        let driver = world.driver();
        tokio::select! {
            verdict = driver.drive(Roll::joining(&ids, gate()), pending(), |_, _| {}) => verdict.unwrap(),
            () = sleep(END) => panic!("no verdict"),
        }
    });
    (world, verdict)
}

proptest! {
    #[test]
    fn each_new_instance_has_one_verdict_and_a_good_one_only_if_it_serves(
        fates in proptest::collection::vec(fate(), 1..6)
    ) {
        let (world, verdict) = join(&fates);
        let mut told: Vec<_> = verdict.rolled.iter().map(|one| one.id).collect();
        told.extend(verdict.failed.iter().map(|one| one.instance));
        told.sort_unstable();
        prop_assert_eq!(told, (1..).map(id).take(fates.len()).collect::<Vec<_>>());
        for one in &verdict.rolled {
            prop_assert!(world.instances.borrow()[&one.id].serves);
        }
        prop_assert!(world.log.borrow().iter().all(|(verb, _)| *verb == Verb::Start));
    }
}

#[test]
fn all_start_at_once_and_one_that_fails_takes_no_other_with_it() {
    let healthy = Fate::Healthy { after: 1 };
    let (world, verdict) = join(&[healthy, Fate::Fails, healthy, Fate::Sick]);
    let started: Vec<_> = world.log.borrow().iter().map(|(_, id)| *id).collect();
    assert_eq!(started, [1, 2, 3, 4].map(id));
    let good: Vec<_> = verdict.rolled.iter().map(|one| one.id).collect();
    assert_eq!(good, [id(1), id(3)]);
    let failed: Vec<_> = verdict.failed.iter().map(|one| one.instance).collect();
    assert_eq!(failed, [id(2), id(4)]);
    assert!(verdict.failed[1].reason.starts_with("is up but not healthy"), "{verdict:?}");
}
