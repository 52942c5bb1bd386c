//! The roll against a simulated service manager, in paused time.

mod diagram;
mod faults;
mod joining;
mod outcome;
mod plan;
mod simulated;

use self::simulated::{BEFORE, PROBES, RELEASE, report, unit};
use super::*;
use crate::health::{Report, SwapState};
use crate::manager::UnitStatus;
use crate::unit::{ActiveState, AppName, InstanceId, JobResult, ServiceResult};

fn id(number: u16) -> InstanceId {
    number.to_string().parse().unwrap()
}

/// A front that can swap, unless one of its files is newer.
fn front(changed: Option<Reason>) -> Front {
    let swap = SwapState { possible: true, swaps: BEFORE, ..SwapState::default() };
    Front { changed, report: None, swap: Ok(swap) }
}

fn planned(id: InstanceId) -> Planned {
    Planned { id, way: Way::Restart(Reason::Method), serves: true }
}

fn gate() -> Gate {
    Gate { good: Some(2), failures: PROBES, release: Some(RELEASE.into()) }
}

fn rules() -> Rules {
    Rules { parallel: 1, extra: vec![], goes_on: false, watches: false, gate: gate() }
}
