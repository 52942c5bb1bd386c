//! `romuoctl start`, `stop` and `restart`.

use std::path::Path;

use clap_complete::engine::ArgValueCandidates;
use futures_util::future::try_join_all;

use super::context::Context;
use super::error::{Exit, Failure};
use super::installation::refuse_elsewhere;
use super::keep;
use super::manual::apps;
use super::output::Printer;
use super::survey::Survey;
use super::target::{OneApp, Word, each, split};
use super::waiting::Waiting;
use crate::config::{self, Settings};
use crate::install::Ports;
use crate::journal::{self, Hints, Network};
use crate::manager::{ManagerError, ServiceManager, Systemd, UnitStatus, Verb};
use crate::text;
use crate::unit::{AppName, InstanceId, UnitName};

/// How many journal lines of a failed instance are shown.
const SHOWN_LINES: usize = 25;

/// How many of them are searched for what is known: a crash with its stack trace, and what systemd
/// says to it.
const SEARCHED_LINES: u32 = 60;

#[derive(Debug, clap::Args)]
pub(super) struct Start {
    #[command(flatten)]
    target: OneApp,
}

#[derive(Debug, clap::Args)]
pub(super) struct Stop {
    #[command(flatten)]
    target: OneApp,
}

#[derive(Debug, clap::Args)]
pub(super) struct Restart {
    /// The app, as with --app, and its instance, where only one is meant: `2`, `shop`, `shop 2`, `all`
    #[arg(add = ArgValueCandidates::new(apps))]
    #[arg(value_name = "APP|ID", num_args = 0..=2)]
    words: Vec<Word<InstanceId>>,
}

impl Start {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("start")?;
        let apps = acted_on(&context.naming(self.target.app))?;
        each(apps, printer, async |app| start(app, context, printer).await).await
    }
}

/// Starts the app and waits until its instances serve.
pub(super) async fn start(
    app: &AppName,
    context: &Context,
    printer: &Printer,
) -> Result<Exit, Failure> {
    let manager = Systemd::connect().await?;
    // To systemd one that something stands in for is started already.
    let before = Survey::take(app, context.root(), &manager).await?;
    let errored = before.instances.iter().filter(|(_, unit)| unit.standing_in().is_some());
    let kept = if before.instances.iter().any(|(_, unit)| unit.is_up()) {
        None
    } else {
        keep::first(app, context, printer).unwrap_or_else(|error| {
            printer.warn(format!("there will be no way back from the first deploy: {error}"));
            None
        })
    };
    let waiting = Waiting::begin(printer, &format!("starting {app}"));
    let restarts = errored.map(async |(_, unit)| manager.run(Verb::Restart, &unit.name).await);
    manager.run(Verb::Start, &app.target()).await?;
    try_join_all(restarts).await?;
    let started = expect_all_up(app, context.root(), &manager).await;
    drop(waiting);
    if let Some(kept) = kept {
        keep::judge(&kept, started.is_ok(), app, context)?;
    }
    let survey = started?;
    if let Err(error) = keep::serves(app, context) {
        printer.warn(error);
    }
    let (count, listen) = (survey.instances.len(), survey.socket.listen.join(", "));
    printer.say(format!("started {app}: {count} instances serve on {listen}"));
    Ok(Exit::Done)
}

impl Stop {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("stop")?;
        let apps = acted_on(&context.naming(self.target.app))?;
        let manager = Systemd::connect().await?;
        each(apps, printer, async |app| {
            let had = Ports::read(context.root(), app).is_ok_and(|ports| !ports.more.is_empty());
            stop(app, context.root(), &manager, printer).await?;
            if had {
                // They have removed their files.
                manager.daemon_reload().await?;
            }
            printer.say(format!("stopped {app}: its port is closed"));
            Ok(Exit::Done)
        })
        .await
    }
}

/// The apps to do something with: those of a romuo.toml only if they are installed from it.
pub(super) fn acted_on(context: &Context) -> Result<Vec<AppName>, Failure> {
    refuse_elsewhere(context)?;
    context.acted_on()
}

/// Stops the app and waits until its port is closed. A unit that is missing, as after an install that was cut off,
/// is none to stop.
pub(super) async fn stop(
    app: &AppName,
    root: &Path,
    manager: &impl ServiceManager,
    printer: &Printer,
) -> Result<(), Failure> {
    let _waiting = Waiting::begin(printer, &format!("stopping {app}"));
    let stop = async |unit: UnitName| match manager.run(Verb::Stop, &unit).await {
        Ok(_) | Err(ManagerError::NoSuchUnit { .. }) => Ok(()),
        Err(error) => Err(error),
    };
    // The target's job is done before its instances have drained, and the socket, which then nobody
    // needs, follows by itself a moment later. Asking for each makes this command wait for it.
    let survey = Survey::take(app, root, manager).await?;
    stop(app.target()).await?;
    try_join_all(survey.instances.iter().map(|(id, _)| stop(app.instance(*id)))).await?;
    stop(app.socket()).await?;
    let after = Survey::take(app, root, manager).await?;
    let units = after.instances.iter().map(|(_, unit)| unit).chain([&after.socket]);
    match units.into_iter().find(|unit| unit.is_up()) {
        None => Ok(()),
        Some(up) => Err(Failure::Instances { sentence: format!("{} did not stop", up.name) }),
    }
}

impl Restart {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("restart")?;
        let (app, instance) = split(self.words)?;
        let context = &context.naming(app);
        let manager = Systemd::connect().await?;
        let Some(id) = instance else {
            let apps = acted_on(context)?;
            return each(apps, printer, async |app| {
                let _waiting = Waiting::begin(printer, &format!("restarting {app}"));
                manager.run(Verb::Restart, &app.target()).await?;
                let survey = expect_all_up(app, context.root(), &manager).await?;
                printer.say(format!("restarted {app}: {} instances serve", survey.instances.len()));
                Ok(Exit::Done)
            })
            .await;
        };
        refuse_elsewhere(context)?;
        let app = context.installed_app()?;
        let there = Survey::take(&app, context.root(), &manager).await?;
        there.expect(id)?;
        let unit = app.instance(id);
        let _waiting = Waiting::begin(printer, &format!("restarting {unit}"));
        manager.run(Verb::Restart, &unit).await?;
        expect_up([&manager.status(&unit).await?].into_iter()).await?;
        printer.say(format!("restarted {unit}"));
        Ok(Exit::Done)
    }
}

/// Takes a survey in which every instance is up, or fails as [`expect_up`].
async fn expect_all_up(
    app: &AppName,
    root: &Path,
    manager: &impl ServiceManager,
) -> Result<Survey, Failure> {
    let survey = Survey::take(app, root, manager).await?;
    expect_up(survey.instances.iter().map(|(_, unit)| unit)).await?;
    Ok(survey)
}

/// Fails with the first unit that is not up, why, and what it said last.
async fn expect_up(units: impl Iterator<Item = &UnitStatus>) -> Result<(), Failure> {
    let down: Vec<_> = units.filter(|unit| !unit.is_up()).collect();
    let Some(first) = down.first() else { return Ok(()) };
    let others = match down.len() {
        1 => String::new(),
        count => format!(", and {} more are not up", count - 1),
    };
    let sentence = format!("{} {}{others}", first.name, first.why_down());
    let last = last_lines(&first.name, Network::private(first.private_network)).await;
    Err(Failure::Instances { sentence: last.below(sentence) })
}

/// What a unit said last, and what is known of that.
#[derive(Debug, Default)]
pub(super) struct LastLines {
    pub(super) lines: Vec<String>,
    pub(super) hints: Vec<String>,
}

impl LastLines {
    /// A sentence, and below it the journal lines that explain it, and what they mean.
    pub(super) fn below(&self, sentence: String) -> String {
        let lines = self.lines.iter().map(|line| format!("  {}", text::shown_below(line, "    ")));
        std::iter::once(sentence)
            .chain(lines)
            .chain(self.hints.iter().map(|hint| text::shown(hint).into_owned()))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// What network the units of an app see, as its settings have it.
pub(super) fn network(settings: &Settings) -> Network {
    Network::private(Some(settings.network == config::Network::None))
}

/// The last lines of a unit's journal; none where it cannot be read, since they only explain.
pub(super) async fn last_lines(unit: &UnitName, network: Network) -> LastLines {
    last_lines_since(i64::MIN, unit, network).await
}

/// The same of those that came after `time`, in microseconds since 1970.
pub(super) async fn last_lines_since(time: i64, unit: &UnitName, network: Network) -> LastLines {
    let _ = journal::sync().await;
    let query = journal::Query::unit(unit).lines(SEARCHED_LINES);
    let mut entries = query.read_all().await.unwrap_or_default();
    entries.retain(|entry| entry.time_us >= time);
    let mut hints = Hints::default();
    for entry in &entries {
        hints.add(&entry.message, network);
    }
    let shown = entries.len().saturating_sub(SHOWN_LINES);
    let lines = entries.into_iter().skip(shown).map(|entry| entry.message).collect();
    let hints = hints.into_vec().iter().map(ToString::to_string).collect();
    LastLines { lines, hints }
}
