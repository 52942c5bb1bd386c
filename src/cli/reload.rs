//! `romuoctl reload`: asks systemd for the roll and shows how it goes.
//!
//! The roll itself runs in `NAME.service` (see [`super::roll`]), whoever asks for it: it does not
//! end with the terminal of the one who asked.

use std::time::Duration;

use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};

use super::context::Context;
use super::error::{Exit, Failure};
use super::lifecycle::LastLines;
use super::output::{Format, Printer};
use crate::clock::BootTime;
use crate::manager::{ServiceManager, Systemd, Verb};
use crate::roll::Outcome;
use crate::unit::JobResult;

/// Time between two frames of the spinner.
const FRAME: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(super) struct Reload {}

impl Reload {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("reload")?;
        let app = context.app()?;
        let manager = Systemd::connect().await?;
        let unit = app.roll();
        let asked_ms = BootTime::now().milliseconds();

        let mut texts = manager.status_texts(&unit).await?;
        let spinner = spinner(printer);
        let job = manager.run(Verb::Reload, &unit);
        tokio::pin!(job);
        let result = loop {
            tokio::select! {
                result = &mut job => break result,
                Some(text) = texts.next() => spinner.set_message(text),
            }
        };
        spinner.finish_and_clear();
        let result = result?;

        let outcome = Outcome::read(&context.outcome_path(&app))
            .filter(|outcome| outcome.started_ms >= asked_ms);
        let Some(outcome) = outcome else {
            return Err(Failure::NoVerdict { app, result: result.to_string() });
        };
        if printer.format == Format::Json {
            printer.answer(&outcome, "");
        }
        match &outcome.halt {
            None if result == JobResult::Done => {
                printer.say(&outcome);
                Ok(Exit::Done)
            }
            None => Err(Failure::NoVerdict { app, result: result.to_string() }),
            Some(halted) => {
                let (lines, hints) = (halted.journal.clone(), halted.hints.clone());
                let sentence = LastLines { lines, hints }.below(outcome.to_string());
                let instance = app.instance_of(&halted.unit);
                let instance = instance.map(|id| id.to_string()).unwrap_or_default();
                Err(Failure::Halted { sentence, instance })
            }
        }
    }
}

/// A spinner on standard error; indicatif shows it on a terminal only.
fn spinner(printer: &Printer) -> ProgressBar {
    if printer.quiet {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
    spinner.enable_steady_tick(FRAME);
    spinner.set_message("asking systemd for a roll");
    spinner
}
