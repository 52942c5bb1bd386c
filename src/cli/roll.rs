//! `romuoctl roll`: rolls the instances. `ExecReload=` of `NAME.service` runs it, so
//! `systemctl reload NAME.target`, `systemctl reload NAME` and `romuoctl reload` all end here.

use std::io::Write;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::context::Context;
use super::error::{Exit, Failure};
use super::lifecycle::last_lines;
use super::survey::Survey;
use crate::config::Settings;
use crate::manager::Systemd;
use crate::roll::{Action, ControlSockets, Outcome, Plan, Roll as Machine, drive};
use crate::unit::AppName;

#[derive(Debug, clap::Args)]
pub(super) struct Roll {}

impl Roll {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        context.running("roll")?;
        let started = boottime();
        let (settings, _) = context.settings()?;
        let app = &settings.name;
        let manager = Systemd::connect().await?;
        let survey = Survey::take(app, context.root(), &manager).await?;
        let plan = Plan::new(survey.instances);
        if plan.order.is_empty() {
            return Err(Failure::NothingToRoll { app: app.clone() });
        }

        let mut outcome = roll(&settings, context, &manager, plan, started).await?;
        if let Some(halted) = &mut outcome.halt
            && let Some(id) = app.instance_of(&halted.unit)
        {
            halted.journal = last_lines(&app.instance(id)).await;
        }
        keep(context, app, &outcome)?;
        announce(&outcome.to_string());
        if outcome.is_done() {
            return Ok(Exit::Done);
        }
        Ok(Exit::Failed)
    }
}

async fn roll(
    settings: &Settings,
    context: &Context,
    manager: &Systemd,
    plan: Plan,
    started: Duration,
) -> Result<Outcome, Failure> {
    let app = &settings.name;
    let folder = context.control_folder(app);
    let sockets = ControlSockets { folder, timeout: settings.health.timeout };
    let machine = Machine::new(plan, settings.health.failures);
    let told = |machine: &Machine, action: Action| {
        let (rolled, all) = machine.progress();
        let now = match action {
            Action::Restart(id) => format!("restarting {}", app.instance(id)),
            Action::Probe { instance, .. } => {
                format!("asking {} for its health", app.instance(instance))
            }
            Action::Read(_) => return,
        };
        announce(&format!("{rolled} of {all} instances rolled, {now}"));
    };
    let verdict = drive(machine, app, manager, &sockets, told).await;
    let verdict = verdict.map_err(|error| Failure::Defect(error.to_string()))?;
    let took = boottime().saturating_sub(started);
    Ok(Outcome::new(app, &verdict, milliseconds(started), milliseconds(took)))
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

/// The time since boot: no clock that someone sets moves it.
pub(super) fn boottime() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
