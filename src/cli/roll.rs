//! `romuoctl roll`: rolls the instances. `ExecReload=` of `NAME.service` runs it, so
//! `systemctl reload NAME.target`, `systemctl reload NAME` and `romuoctl reload` all end here.

use std::io::Write;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep};

use super::context::Context;
use super::error::{Exit, Failure};
use super::lifecycle::last_lines;
use super::survey::Survey;
use crate::clock::BootTime;
use crate::config::{self, Method, Mode, Settings};
use crate::install;
use crate::journal::Network;
use crate::manager::{ServiceManager, Systemd};
use crate::recycle::{RollLock, Turns};
use crate::roll::{
    Action, Candidate, ControlSockets, Front, HealthProbe, Outcome, Plan, Reason, Roll as Machine,
    Way, changed, drive,
};
use crate::unit::AppName;

/// Pause between two looks whether an instance is still being recycled.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the lock of the roll is tried for. An instance that looks at it has it for a moment;
/// whoever keeps it longer must not keep a roll from happening.
const LOCK_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(super) struct Roll {}

impl Roll {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        context.running("roll")?;
        let started = BootTime::now();
        let (settings, _) = context.settings()?;
        let app = &settings.name;
        // As long as it is there, no instance begins to recycle.
        let _lock = lock(context, app).await;
        until_none_recycles(context, &settings).await;
        let manager = Systemd::connect().await?;
        let survey = Survey::take(app, context.root(), &manager).await?;
        let plan = Plan::new(candidates(&settings, context, &manager, survey).await?);
        if plan.order.is_empty() {
            return Err(Failure::NothingToRoll { app: app.clone() });
        }

        let mut outcome = roll(&settings, context, &manager, plan, started).await?;
        if let Some(halted) = &mut outcome.halt
            && let Some(id) = app.instance_of(&halted.unit)
        {
            let network = Network::private(Some(settings.network == config::Network::None));
            let last = last_lines(&app.instance(id), network).await;
            (halted.journal, halted.hints) = (last.lines, last.hints);
        }
        keep(context, app, &outcome)?;
        announce(&outcome.to_string());
        if outcome.is_done() {
            return Ok(Exit::Done);
        }
        Ok(Exit::Failed)
    }
}

/// Takes the lock of the roll; none where it cannot be had, which is no reason not to roll.
async fn lock(context: &Context, app: &AppName) -> Option<RollLock> {
    let until = Instant::now() + LOCK_WITHIN;
    loop {
        let why = match RollLock::take(&context.control_folder(app)) {
            Ok(Some(lock)) => return Some(lock),
            Ok(None) => "somebody else has it".to_owned(),
            Err(error) => error.to_string(),
        };
        if Instant::now() >= until {
            announce(&format!(
                "rolling without the lock that keeps instances from recycling: {why}"
            ));
            return None;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Waits for an instance that is being recycled: it is down, or about to be.
async fn until_none_recycles(context: &Context, settings: &Settings) {
    let turns = Turns::at(&context.control_folder(&settings.name), &settings.limits);
    // The file belongs to the instances; what it says must not hold up a roll for longer.
    let until = Instant::now() + turns.longest();
    let mut told = false;
    while let Some(turn) = turns.holder(BootTime::now())
        && Instant::now() < until
    {
        if !told {
            announce(&format!("waiting for instance {}, which is being recycled", turn.instance));
            told = true;
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn roll(
    settings: &Settings,
    context: &Context,
    manager: &Systemd,
    plan: Plan,
    started: BootTime,
) -> Result<Outcome, Failure> {
    let app = &settings.name;
    let sockets = sockets(settings, context);
    // A program that takes the sockets itself has no control socket: systemd's word is the verdict.
    let probed = !settings.program.as_ref().is_some_and(|program| program.mode == Mode::Inherit);
    let machine = Machine::new(plan, probed.then_some(settings.health.failures));
    let told = |machine: &Machine, action: Action| {
        let (rolled, all) = machine.progress();
        let now = match action {
            Action::Swap(id) => format!("swapping the program of {}", app.instance(id)),
            Action::Restart(id) => match machine.at_hand().map(|planned| &planned.way) {
                Some(Way::Restart(reason)) if *reason != Reason::Method => {
                    format!("restarting {}, because {reason}", app.instance(id))
                }
                _ => format!("restarting {}", app.instance(id)),
            },
            Action::Probe { instance, .. } => {
                format!("asking {} for its health", app.instance(instance))
            }
            Action::Read(_) | Action::Ask(_) => return,
        };
        announce(&format!("{rolled} of {all} instances rolled, {now}"));
    };
    let verdict = drive(machine, app, manager, &sockets, told).await;
    let verdict = verdict.map_err(|error| Failure::Defect(error.to_string()))?;
    let took = BootTime::now().since(started);
    Ok(Outcome::new(app, &verdict, started, took))
}

/// What is known of each instance, and where a swap is the way, what its front and files say to that.
async fn candidates(
    settings: &Settings,
    context: &Context,
    manager: &Systemd,
    survey: Survey,
) -> Result<Vec<Candidate>, Failure> {
    let fronted = settings.program.as_ref().is_some_and(|program| program.mode == Mode::Front);
    if !fronted || settings.reload.method != Method::Swap {
        let candidate = |(id, unit)| Candidate { id, unit, front: None };
        return Ok(survey.instances.into_iter().map(candidate).collect());
    }
    let app = &settings.name;
    let configuration = &install::config_path(app);
    let sockets = &sockets(settings, context);
    let asked = survey.instances.into_iter().map(async |(id, _)| {
        // What a unit was made of is not in the list.
        let unit = manager.status(&app.instance(id)).await?;
        let (report, swap) = match unit.main_pid {
            Some(_) => tokio::join!(sockets.probe(id), sockets.may_swap(id)),
            None => return Ok(Candidate { id, unit, front: Some(Front::silent()) }),
        };
        let front = Front {
            changed: changed(context.root(), app, id, &unit, configuration),
            report: report.ok().map(Box::new),
            swap: swap.map_err(|error| error.to_string()),
        };
        Ok(Candidate { id, unit, front: Some(front) })
    });
    try_join_all(asked).await
}

fn sockets(settings: &Settings, context: &Context) -> ControlSockets {
    let folder = context.control_folder(&settings.name);
    ControlSockets { folder, timeout: settings.health.timeout }
}

/// Says it where `systemctl status` and `romuoctl reload` see it, and in the journal.
fn announce(text: &str) {
    // Without a notify socket, as when run by hand, there is nobody to tell.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(text)]);
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Keeps the outcome for those who ask later.
fn keep(context: &Context, app: &AppName, outcome: &Outcome) -> Result<(), Failure> {
    let path = context.outcome_path(app);
    outcome.write(&path).map_err(|source| Failure::Write { path, source })
}
