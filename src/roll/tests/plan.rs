//! How each instance is planned to be rolled.

use super::simulated::BEFORE;
use super::*;
use crate::health::{AppReport, Report, Status};
use crate::manager::UnitFiles;

#[test]
fn each_reason_for_a_restart_is_found_before_a_swap_is_tried() {
    let (app, one): (_, InstanceId) = (AppName::default(), "1".parse().unwrap());
    let up = unit(&app, one, ActiveState::Active, ServiceResult::Success);
    let way = |unit: &UnitStatus, front: Option<Front>| {
        let plan = Plan::new(vec![Candidate { id: one, unit: unit.clone(), front }]);
        plan.order[0].way.clone()
    };
    assert_eq!(way(&up, Some(front(None))), Way::Swap { before: BEFORE });
    assert_eq!(way(&up, None), Way::Restart(Reason::Method));
    let changed = Some(front(Some(Reason::Server)));
    assert_eq!(way(&up, changed.clone()), Way::Restart(Reason::Server));
    let crashed = unit(&app, one, ActiveState::Activating, ServiceResult::Signal);
    assert_eq!(way(&crashed, changed), Way::Restart(Reason::Down));
    let rigid = UnitStatus { files: UnitFiles::default(), ..up.clone() };
    assert_eq!(way(&rigid, Some(front(None))), Way::Restart(Reason::NoReload));
    let mute = Front { swap: Err("no answer within 2s".into()), ..front(None) };
    assert_eq!(way(&up, Some(mute)), Way::Restart(Reason::Silent("no answer within 2s".into())));
    let state = |restart| SwapState {
        reason: Some("no memory for two".into()),
        restart,
        swaps: BEFORE,
        ..SwapState::default()
    };
    let tight = Front { swap: Ok(state(true)), ..front(None) };
    assert_eq!(way(&up, Some(tight)), Way::Restart(Reason::Refused("no memory for two".into())));
    // What is no reason to restart is told by the swap itself, at its turn.
    let busy = Front { swap: Ok(state(false)), ..front(None) };
    assert_eq!(way(&up, Some(busy)), Way::Swap { before: BEFORE });
}

#[test]
fn an_instance_whose_program_is_down_is_rolled_first_and_by_restart() {
    let app = AppName::default();
    let ids: [InstanceId; 2] = ["1".parse().unwrap(), "2".parse().unwrap()];
    let report = |status, healthy| Report {
        status,
        app: Some(AppReport { pid: None, restarts: 3, generation: 4, healthy }),
        ..super::report()
    };
    let fronts = [report(Status::Ok, true), report(Status::Failing, false)];
    let candidates = ids.into_iter().zip(fronts).map(|(id, report)| Candidate {
        id,
        unit: unit(&app, id, ActiveState::Active, ServiceResult::Success),
        front: Some(Front { report: Some(Box::new(report)), ..front(None) }),
    });
    let plan = Plan::new(candidates.collect());
    let order: Vec<_> = plan.order.iter().map(|one| (one.id, one.way.clone())).collect();
    let wanted = [(ids[1], Way::Restart(Reason::Failing)), (ids[0], Way::Swap { before: BEFORE })];
    assert_eq!(order, wanted);
}

#[test]
fn an_errored_instance_is_rolled_first_though_something_stands_in_for_it() {
    let app = AppName::default();
    let ids: [InstanceId; 2] = ["1".parse().unwrap(), "2".parse().unwrap()];
    let up = |id| unit(&app, id, ActiveState::Active, ServiceResult::Success);
    let status_text =
        "errored: crashed 3 times in a row, each time too soon; next try in 42s".into();
    let stood_in_for = UnitStatus { status_text, ..up(ids[1]) };
    for (front, reason) in [(None, Reason::Method), (Some(Front::silent()), Reason::Down)] {
        let healthy = front.as_ref().map(|_| self::front(None));
        let plan = Plan::new(vec![
            Candidate { id: ids[0], unit: up(ids[0]), front: healthy },
            Candidate { id: ids[1], unit: stood_in_for.clone(), front },
        ]);
        assert!(plan.stopped.is_empty());
        let first = Planned { id: ids[1], way: Way::Restart(reason), serves: false };
        assert_eq!((&plan.order[0], plan.order[1].serves), (&first, true));
    }
}
