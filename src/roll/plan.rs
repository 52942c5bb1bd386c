//! Which instances a roll restarts, and in which order.

use crate::manager::UnitStatus;
use crate::unit::{ActiveState, InstanceId};

/// The instances of a roll.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// To be restarted, in this order.
    pub order: Vec<InstanceId>,
    /// Stopped by hand: left alone.
    pub stopped: Vec<InstanceId>,
}

impl Plan {
    /// Plans a roll of `instances`. Those that do not serve go first: restarting them costs no
    /// capacity, and where the new release is broken they show it before a serving one is touched.
    #[must_use]
    pub fn new(mut instances: Vec<(InstanceId, UnitStatus)>) -> Self {
        instances.sort_by_key(|(id, status)| (status.is_up(), *id));
        let (stopped, order) =
            instances.into_iter().partition::<Vec<_>, _>(|(_, status)| is_stopped(status));
        let ids =
            |list: Vec<(InstanceId, UnitStatus)>| list.into_iter().map(|(id, _)| id).collect();
        Self { order: ids(order), stopped: ids(stopped) }
    }
}

fn is_stopped(status: &UnitStatus) -> bool {
    match status.active {
        ActiveState::Inactive => !status.is_errored(),
        ActiveState::Deactivating => true,
        _ => false,
    }
}
