//! The app as it is right now: what systemd says of its units, and what its instances say.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};

use super::context::Context;
use super::error::Failure;
use super::output::listed;
use super::state::Probed;
use crate::install;
use crate::manager::{ServiceManager, UnitStatus};
use crate::roll::{ControlSockets, HealthProbe};
use crate::unit::{AppName, InstanceId};

/// How long `status` and `health` wait for the answer of an instance: the default of
/// `health.timeout`, since the configured one is for root's eyes only.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// An app's units.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) app: AppName,
    pub(super) socket: UnitStatus,
    pub(super) roll: UnitStatus,
    /// Those that are enabled or up, by id.
    pub(super) instances: Vec<(InstanceId, UnitStatus)>,
}

impl Survey {
    /// Asks systemd, with one call for the list and one a unit, all under way at once.
    pub(super) async fn take(
        app: &AppName,
        root: &Path,
        manager: &impl ServiceManager,
    ) -> Result<Self, Failure> {
        let instances = format!("{app}@*.service");
        let own = [app.socket(), app.roll()];
        let mut patterns: Vec<&str> = own.iter().map(crate::unit::UnitName::as_str).collect();
        patterns.push(&instances);
        let units = manager.list(&patterns).await?;
        let unit = |name| {
            let listed = units.iter().find(|status| status.name == name);
            listed.cloned().unwrap_or_else(|| UnitStatus::unknown(name))
        };
        let [socket, roll] = own.map(unit);
        let enabled = install::installed_instances(root, app).unwrap_or_default();
        let up = units.iter().filter(|status| status.is_up() || status.main_pid.is_some());
        let up = up.filter_map(|status| app.instance_of(status.name.as_str()));
        let ids: BTreeSet<InstanceId> = enabled.into_iter().chain(up).collect();
        let instances = ids.into_iter().map(|id| (id, unit(app.instance(id)))).collect();
        Ok(Self { app: app.clone(), socket, roll, instances })
    }

    /// Asks systemd for each instance that is enabled or up, all at once. The list of its units alone would not
    /// tell one that is up from one that something stands in for.
    pub(super) async fn instances(
        app: &AppName,
        root: &Path,
        manager: &impl ServiceManager,
    ) -> Result<Vec<(InstanceId, UnitStatus)>, Failure> {
        let units = manager.names(&[&format!("{app}@*.service")]).await?;
        let up = active(app, units);
        let enabled = install::installed_instances(root, app).unwrap_or_default();
        let ids: BTreeSet<InstanceId> = enabled.into_iter().chain(up).collect();
        let read = async |id| Ok::<_, Failure>((id, manager.status(&app.instance(id)).await?));
        try_join_all(ids.into_iter().map(read)).await
    }

    /// Asks each instance that is up for its health, all at once.
    pub(super) async fn health(&self, context: &Context) -> Vec<Probed> {
        let folder = context.control_folder(&self.app);
        let sockets = &ControlSockets { folder, timeout: PROBE_TIMEOUT };
        join_all(self.instances.iter().map(async |(id, status)| match status.main_pid {
            // What stands in for it has no control socket.
            Some(_) if status.standing_in().is_none() => Some(sockets.probe(*id).await),
            _ => None,
        }))
        .await
    }

    /// Refuses an instance that is not there.
    pub(super) fn expect(&self, instance: InstanceId) -> Result<(), Failure> {
        if self.instances.iter().any(|(id, _)| *id == instance) {
            return Ok(());
        }
        let ids: Vec<_> = self.instances.iter().map(|(id, _)| *id).collect();
        let there = if ids.is_empty() { "none".into() } else { listed(&ids) };
        Err(Failure::UnknownInstance { app: self.app.clone(), instance, there })
    }

    /// Whether a roll is under way.
    pub(super) fn is_rolling(&self) -> bool {
        self.roll.active == crate::unit::ActiveState::Reloading
    }
}

/// The instances of an app whose unit is active, of a list of units: it may be that of a stand-in.
pub(super) fn active(app: &AppName, units: Vec<UnitStatus>) -> impl Iterator<Item = InstanceId> {
    let up = units.into_iter().filter(UnitStatus::is_up);
    up.filter_map(|unit| app.instance_of(unit.name.as_str()))
}
