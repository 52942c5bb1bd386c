//! How each instance is planned to be rolled.

use super::simulated::BEFORE;
use super::*;
use crate::health::{AppReport, Memory, Report, Status};

#[test]
fn each_reason_for_a_restart_is_found_before_a_swap_is_tried() {
    let (app, one): (_, InstanceId) = (AppName::default(), "1".parse().unwrap());
    let up = status(&app, one, ActiveState::Active, ServiceResult::Success);
    let way = |unit: &UnitStatus, front: Option<Front>| {
        let plan = Plan::new(vec![Candidate { id: one, unit: unit.clone(), front }]);
        plan.order[0].way.clone()
    };
    assert_eq!(way(&up, Some(front(None))), Way::Swap { before: BEFORE });
    assert_eq!(way(&up, None), Way::Restart(Reason::Method));
    let changed = Some(front(Some(Reason::Server)));
    assert_eq!(way(&up, changed.clone()), Way::Restart(Reason::Server));
    let crashed = status(&app, one, ActiveState::Activating, ServiceResult::Signal);
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
        timestamp: String::new(),
        uptime: "0s".into(),
        memory: Memory { used: 1, total: 2, heap_total: 1 },
        requests: 0,
        taken_over: 0,
        version: "1".into(),
        rust_version: "1".into(),
        env: "test".into(),
        instance: None,
        release: None,
        app: Some(AppReport { pid: None, restarts: 3, generation: 4, healthy }),
    };
    let fronts = [report(Status::Ok, true), report(Status::Failing, false)];
    let candidates = ids.into_iter().zip(fronts).map(|(id, report)| Candidate {
        id,
        unit: status(&app, id, ActiveState::Active, ServiceResult::Success),
        front: Some(Front { report: Some(Box::new(report)), ..front(None) }),
    });
    let plan = Plan::new(candidates.collect());
    let order: Vec<_> = plan.order.iter().map(|one| (one.id, one.way.clone())).collect();
    let wanted = [(ids[1], Way::Restart(Reason::Failing)), (ids[0], Way::Swap { before: BEFORE })];
    assert_eq!(order, wanted);
}
