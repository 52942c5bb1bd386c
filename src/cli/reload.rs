//! `romuoctl reload`: asks systemd for the roll and shows how it goes.
//!
//! The roll itself runs in `NAME.service` (see [`super::roll`]), whoever asks for it: it does not
//! end with the terminal of the one who asked.

use futures_util::StreamExt;
use rustix::process::Signal;
use tokio::time::sleep;

use super::alone::{self, LOOK_EVERY};
use super::context::Context;
use super::edited::Edited;
use super::error::{Exit, Failure};
use super::lifecycle::{LastLines, acted_on};
use super::output::{Format, Printer};
use super::roll::back;
use super::target::{OneApp, each};
use super::waiting::Waiting;
use crate::clock::BootTime;
use crate::manager::{ManagerError, ServiceManager, Systemd, Verb};
use crate::recycle::RollLock;
use crate::roll::Outcome;
use crate::text::shown;
use crate::unit::{ActiveState, AppName, JobResult, UnitName};

#[derive(Debug, clap::Args)]
pub(super) struct Reload {
    #[command(flatten)]
    target: OneApp,
    /// Fail at once where another roll is under way, and say who rolls
    #[arg(long)]
    no_wait: bool,
    /// End the roll under way after the instances at hand
    #[arg(long, conflicts_with = "no_wait")]
    cancel: bool,
    /// Install the app's romuo.toml first, where it was changed
    #[arg(long, conflicts_with = "cancel")]
    install: bool,
}

impl Reload {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("reload")?;
        let apps = acted_on(&context.naming(self.target.app.clone()))?;
        let manager = Systemd::connect().await?;
        each(apps, printer, async |app| self.one(app, context, &manager, printer).await).await
    }

    async fn one(
        &self,
        app: &AppName,
        context: &Context,
        manager: &Systemd,
        printer: &Printer,
    ) -> Result<Exit, Failure> {
        if self.cancel {
            return cancel(context, app, manager, printer).await;
        }
        match Edited::find(app, context) {
            Some(edited) if self.install => {
                let said = format!("installed what {} says now", edited.path.display());
                edited.install(context, printer).await?;
                printer.say(said);
            }
            Some(edited) => printer.warn(format!(
                "{}, and a reload alone does not change that: {}",
                edited.sentence(),
                edited.remedy()
            )),
            None => {}
        }
        if RollLock::is_taken(&context.control_folder(app)) {
            if self.no_wait {
                return Err(alone::refusal(context, app));
            }
            printer.tell(format!("waiting: {}", alone::who(context, app)));
        }

        let Asked { result, outcome } = ask(app, context, manager, printer).await?;
        let Some(outcome) = outcome else {
            if result == JobResult::Done {
                // It could not be kept; systemd knows the sentence.
                printer.say(shown(&manager.status(&app.roll()).await?.status_text));
                return Ok(Exit::Done);
            }
            return Err(no_verdict(app, manager, &result).await);
        };
        if printer.format == Format::Json {
            printer.answer(&outcome, "");
        }
        if outcome.is_well() {
            printer.say(&outcome);
            return Ok(Exit::Done);
        }
        Err(failure(app, &outcome))
    }
}

/// What came of a roll that was asked for.
pub(super) struct Asked {
    pub(super) result: JobResult,
    /// None: it was not kept.
    pub(super) outcome: Option<Outcome>,
}

/// Asks systemd for a roll, shows how it goes, and waits for its end.
pub(super) async fn ask(
    app: &AppName,
    context: &Context,
    manager: &Systemd,
    printer: &Printer,
) -> Result<Asked, Failure> {
    let unit = app.roll();
    let asked_ms = BootTime::now().milliseconds();
    let mut texts = manager.status_texts(&unit).await?;
    let waiting = Waiting::begin(printer, "asking systemd for a roll");
    let job = run(manager, &unit);
    tokio::pin!(job);
    let result = loop {
        tokio::select! {
            result = &mut job => break result,
            Some(text) = texts.next() => waiting.is_for(&shown(&text)),
        }
    };
    drop(waiting);
    let result = result?;
    let outcome =
        Outcome::read(&context.outcome_path(app)).filter(|outcome| outcome.started_ms >= asked_ms);
    Ok(Asked { result, outcome })
}

/// A roll that has left no outcome: what it said last.
pub(super) async fn no_verdict(app: &AppName, manager: &Systemd, result: &JobResult) -> Failure {
    let status = manager.status(&app.roll()).await;
    let said = status.map(|status| status.status_text).unwrap_or_default();
    let said = if said.is_empty() { result.to_string() } else { said };
    Failure::NoVerdict { app: app.clone(), said }
}

/// What to say of a roll that was not well.
pub(super) fn failure(app: &AppName, outcome: &Outcome) -> Failure {
    match &outcome.halt {
        None if outcome.still_open().is_some() => {
            Failure::StillOpen { sentence: outcome.to_string() }
        }
        None if outcome.back.is_some() => Failure::RolledBack { sentence: outcome.to_string() },
        None => Failure::Canceled { sentence: outcome.to_string() },
        Some(halted) => {
            let (lines, hints) = (halted.journal.clone(), halted.hints.clone());
            let sentence = LastLines { lines, hints }.below(outcome.to_string());
            if outcome.back.as_ref().is_some_and(|back| back.failed.is_none()) {
                return Failure::RolledBack { sentence };
            }
            let instance = app.instance_of(&halted.unit);
            let instance = instance.map(|id| id.to_string()).unwrap_or_default();
            Failure::Halted { sentence, instance }
        }
    }
}

/// Has systemd reload the unit, and waits until it has, also where systemd goes away meanwhile.
async fn run(manager: &Systemd, unit: &UnitName) -> Result<JobResult, ManagerError> {
    match manager.run(Verb::Reload, unit).await {
        Err(ManagerError::Unreachable { .. }) => {}
        ran => return ran,
    }
    loop {
        match manager.status(unit).await {
            Ok(status) if status.active == ActiveState::Reloading => sleep(LOOK_EVERY).await,
            Ok(status) if status.is_up() => return Ok(JobResult::Done),
            Ok(_) => return Ok(JobResult::Canceled),
            Err(ManagerError::Unreachable { .. }) => back(manager).await?,
            Err(error) => return Err(error),
        }
    }
}

/// Ends a roll early.
async fn cancel(
    context: &Context,
    app: &AppName,
    manager: &Systemd,
    printer: &Printer,
) -> Result<Exit, Failure> {
    if !alone::is_rolling(context, app) {
        return Err(Failure::NotRolling { app: app.clone() });
    }
    let who = alone::who(context, app);
    manager.signal_reload(&app.roll(), Signal::INT.as_raw()).await?;
    printer.say(format!("the roll ends after the instances at hand: {who}"));
    Ok(Exit::Done)
}
