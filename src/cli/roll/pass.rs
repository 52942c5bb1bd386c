//! One way through the instances.

use std::future::Future;
use std::time::Duration;

use super::super::context::Context;
use super::super::error::Failure;
use super::keeper::Keeper;
use super::whole::{Whole, gate};
use super::{announce, patience, sockets};
use crate::clock::BootTime;
use crate::config::{OnFailure, Settings};
use crate::manager::{ServiceManager as _, Systemd, UnitStatus, Verb};
use crate::roll::{
    Action, Driver, Gate, Patience, Reason, Releases, Roll as Machine, Rules, Verdict, Way,
};
use crate::unit::AppName;

/// What it takes to go through the instances.
pub(super) struct Pass<'a> {
    pub(super) settings: &'a Settings,
    pub(super) context: &'a Context,
    pub(super) manager: &'a Systemd,
    /// What they are to run.
    pub(super) releases: &'a dyn Releases,
    /// The id of it; none: it is not asked for.
    pub(super) release: Option<String>,
    /// How long the first one is watched.
    pub(super) watch: Duration,
    pub(super) started: BootTime,
}

impl Pass<'_> {
    /// Goes through them, until `cancel` is ready. `proves`: what they are to run has not shown yet that it
    /// is well.
    pub(super) async fn run(
        self,
        whole: &Whole,
        proves: bool,
        cancel: impl Future<Output = ()>,
    ) -> Result<Verdict, Failure> {
        let rules = self.rules(whole, proves);
        let Self { settings, context, manager, releases, watch, started, .. } = self;
        let app = &settings.name;
        let health = &sockets(settings, context);
        let patience = Patience { watch, ..patience(settings) };
        let driver = Driver { app, manager, health, releases, patience };
        let machine = Machine::new(whole.plan.clone(), rules);
        let mut keeper = Keeper::new(context.progress_path(app), started, whole);
        keeper.note(&machine);
        let told = |machine: &Machine, action: Option<Action>| {
            keeper.note(machine);
            if let Some(now) = action.and_then(|action| what(app, machine, action)) {
                let (rolled, all) = machine.progress();
                announce(&format!("{rolled} of {all} instances rolled, {now}"));
            }
        };
        let cancel = async {
            cancel.await;
            announce("canceled: ending after the instances at hand");
        };
        let verdict = driver.drive(machine, cancel, told).await;
        verdict.map_err(|error| Failure::Defect(error.to_string()))
    }

    /// By which rules.
    fn rules(&self, whole: &Whole, proves: bool) -> Rules {
        let reload = &self.settings.reload;
        let gate = Gate { release: self.release.clone(), ..gate(self.settings) };
        let continues = reload.on_failure == OnFailure::Continue;
        Rules {
            parallel: match whole.extra.len() {
                0 => reload.max_unavailable.of(whole.plan.order.len()),
                extra => extra,
            },
            extra: whole.extra.clone(),
            // A release that is not well is to go, and not to be spread; what has served before is.
            goes_on: !proves || (continues && gate.release.is_none()),
            watches: !self.watch.is_zero() && gate.good.is_some(),
            gate,
        }
    }
}

/// Stops the extra instances that an earlier roll has left, or keeps them in the place of those that
/// failed.
pub(super) async fn settle_left(
    app: &AppName,
    manager: &Systemd,
    whole: &Whole,
    verdict: &mut Verdict,
) {
    if !verdict.failed.is_empty() {
        verdict.kept.extend(&whole.left);
        return;
    }
    for id in &whole.left {
        let unit = app.instance(*id);
        if let Err(error) = manager.run(Verb::Stop, &unit).await {
            announce(&format!("the extra instance {unit} is still there: {error}"));
        }
    }
}

/// Whether somebody has stopped the whole app, or is about to: the jobs of others are canceled when a
/// stop is queued, before anything of it is done.
pub(super) async fn is_stopped(app: &AppName, manager: &Systemd) -> bool {
    // It may be the reload of the target that is under way here.
    let ends = |job: &str| matches!(job, "stop" | "restart");
    let goes_on = |unit: &UnitStatus| unit.is_up() && !unit.job.as_deref().is_some_and(ends);
    let target = manager.names(&[app.target().as_str()]).await;
    target.is_ok_and(|units| !units.iter().any(goes_on))
}

/// What is being done, for a person; none: nothing that takes its time.
fn what(app: &AppName, machine: &Machine, action: Action) -> Option<String> {
    Some(match action {
        Action::Swap(id) => format!("swapping the program of {}", app.instance(id)),
        Action::Restart(id) => match machine.at_hand(id).map(|planned| &planned.way) {
            Some(Way::Restart(reason)) if *reason != Reason::Method => {
                format!("restarting {}, because {reason}", app.instance(id))
            }
            _ => format!("restarting {}", app.instance(id)),
        },
        Action::PutBack(id) => format!("putting {} back to what it ran", app.instance(id)),
        Action::Start(id) => format!("starting the extra instance {}", app.instance(id)),
        Action::Stop(id) => format!("stopping the extra instance {}", app.instance(id)),
        Action::Watch(id) => format!("watching {} beside its siblings", app.instance(id)),
        Action::Return(_) => "waiting for systemd, which went away".to_owned(),
        Action::Probe { instance, good: 0, .. } => {
            format!("asking {} for its health", app.instance(instance))
        }
        Action::Probe { .. } | Action::Read { .. } | Action::Ask(_) | Action::Keep(_) => {
            return None;
        }
    })
}
