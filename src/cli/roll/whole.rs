//! All that a roll is about: which instances, and which way.

use futures_util::future::join_all;

use super::super::context::Context;
use super::super::error::Failure;
use super::super::survey::Survey;
use super::sockets;
use crate::config::{Method, Mode, Settings};
use crate::install;
use crate::manager::{Systemd, UnitStatus};
use crate::roll::{
    Candidate, Front, Gate, HealthProbe as _, Now, Outcome, Plan, Progress, changed,
};
use crate::unit::InstanceId;

/// All that a roll is about.
pub(super) struct Whole {
    pub(super) plan: Plan,
    /// Extra instances that may be started.
    pub(super) extra: Vec<InstanceId>,
    /// Those of them that an interrupted roll has left behind.
    pub(super) left: Vec<InstanceId>,
}

impl Whole {
    /// `only`: no others than these.
    pub(super) async fn plan(
        settings: &Settings,
        context: &Context,
        manager: &Systemd,
        interrupted: Option<&Progress>,
        only: Option<&[InstanceId]>,
    ) -> Result<Self, Failure> {
        let app = &settings.name;
        let mut instances = Survey::instances(app, context.root(), manager).await?;
        let ids =
            |list: &[String]| list.iter().filter_map(|id| id.parse().ok()).collect::<Vec<_>>();
        let enabled = install::installed_instances(context.root(), app).unwrap_or_default();
        let last = Outcome::read(&context.outcome_path(app));
        let mut left = interrupted.map(|before| ids(&before.extra)).unwrap_or_default();
        left.extend(last.map(|outcome| ids(&outcome.kept)).unwrap_or_default());
        left.retain(|id| !enabled.contains(id) && instances.iter().any(|(one, _)| one == id));
        instances.retain(|(id, _)| !left.contains(id));
        let last = instances.iter().map(|(id, _)| *id).max();
        let new = (1..=settings.reload.surge).filter_map(|more| last?.plus(more));
        let extra = new.collect();
        if let Some(only) = only {
            instances.retain(|(id, _)| only.contains(id));
        }
        let mut plan = Plan::new(candidates(settings, context, instances).await);
        if let Some(before) = interrupted {
            plan.begin_after(&ids(&before.rolled));
        }
        Ok(Self { plan, extra, left })
    }
}

/// When an instance counts as good. A program that takes the sockets itself has no control socket:
/// systemd's word is the verdict.
pub(in super::super) fn gate(settings: &Settings) -> Gate {
    Gate {
        good: settings.program_in(Mode::Inherit).is_none().then_some(settings.reload.probes),
        failures: settings.health.failures,
        release: None,
    }
}

/// What is known of each instance, and where a swap is the way, what its front and files say to that.
async fn candidates(
    settings: &Settings,
    context: &Context,
    instances: Vec<(InstanceId, UnitStatus)>,
) -> Vec<Candidate> {
    if settings.program_in(Mode::Front).is_none() || settings.reload.method != Method::Swap {
        let candidate = |(id, unit)| Candidate { id, unit, front: None };
        return instances.into_iter().map(candidate).collect();
    }
    let app = &settings.name;
    let configuration = &install::config_path(app);
    let (sockets, now) = (&sockets(settings, context), Now::ask());
    let asked = instances.into_iter().map(async |(id, unit)| {
        if !unit.is_up() {
            return Candidate { id, unit, front: Some(Front::silent()) };
        }
        let (report, swap) = tokio::join!(sockets.probe(id), sockets.may_swap(id));
        let had = swap.as_ref().map(|state| state.drop_ins.as_slice()).unwrap_or_default();
        let front = Front {
            changed: changed(context.root(), app, id, &unit, configuration, had, now),
            report: report.ok().map(Box::new),
            swap: swap.map_err(|error| error.to_string()),
        };
        Candidate { id, unit, front: Some(front) }
    });
    join_all(asked).await
}
