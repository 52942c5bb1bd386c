//! `romuoctl logs`: what the app said, from the journal.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use clap_complete::engine::ArgValueCandidates;
use jiff::tz::TimeZone;

use super::context::Context;
use super::error::{Exit, Failure};
use super::manual::apps;
use super::output::{BAD, BUSY, Format, Printer, styled};
use super::survey::Survey;
use super::target::{Word, split};
use crate::config;
use crate::journal::{Entry, Hint, Hints, Network, Query, Stream};
use crate::manager::Systemd;
use crate::text;
use crate::unit::{AppName, InstanceId};

/// As many lines as `pm2 logs` shows.
const DEFAULT_LINES: u32 = 15;

/// Entries of this syslog priority and below are errors.
const ERROR: u8 = 3;

/// Colours of the instances, in turn.
const COLOURS: [AnsiColor; 5] =
    [AnsiColor::Cyan, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Yellow, AnsiColor::Blue];

/// Shows what the app said, as `YYYY-MM-DD HH:mm:ss Z | INSTANCE | message`, coloured by instance.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Logs {
    /// The app, as with --app, and its instance, where only one is meant: `2`, `shop`, `shop 2`
    /// [default: the app of this folder, else all of the machine]
    #[arg(add = ArgValueCandidates::new(apps))]
    #[arg(value_name = "APP|ID", num_args = 0..=2)]
    words: Vec<Word<InstanceId>>,
    /// Only this instance
    #[arg(short, long, value_name = "ID")]
    instance: Option<InstanceId>,
    /// Only what the app wrote to its standard error, as `pm2 logs --err`
    #[arg(long, alias = "err", conflicts_with = "stdout")]
    stderr: bool,
    /// Only what the app wrote to its standard output, as `pm2 logs --out`
    #[arg(long, alias = "out")]
    stdout: bool,
    /// Only what the app wrote, and nothing of systemd's or romuo's
    #[arg(long)]
    app_only: bool,
    /// Go on with new lines as they come; with --output=json one object a line
    #[arg(short, long)]
    follow: bool,
    /// Show the last so many lines [default: 15, or all with --since]
    #[arg(short = 'n', long, value_name = "COUNT")]
    lines: Option<u32>,
    /// Show lines since then, in journalctl's words: "2026-02-12 14:50", "-1h", today
    #[arg(short = 'S', long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
}

impl Logs {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("logs")?;
        let (app, instance) = split(self.words)?;
        let context = &context.naming(app);
        let (tag, query) = if let Some(id) = self.instance.or(instance) {
            let app = context.installed_app()?;
            expect(&app, id, context).await?;
            let query = Query::instance(&app, id);
            (Tag::One(app), query)
        } else {
            let apps = context.looked_at()?;
            let query = Query::apps(&apps);
            let tag = match <[AppName; 1]>::try_from(apps) {
                Ok([app]) => Tag::Instance(app),
                Err(several) => Tag::App(several),
            };
            (tag, query)
        };
        let lines = self.lines.or_else(|| self.since.is_none().then_some(DEFAULT_LINES));
        let query = lines.into_iter().fold(query, Query::lines);
        let query = query.since(self.since).follow(self.follow);
        let query = match (self.stdout, self.stderr) {
            (true, _) => query.stream(Stream::Stdout),
            (_, true) => query.stream(Stream::Stderr),
            _ if self.app_only => query.programs(),
            _ => query,
        };
        if printer.format == Format::Json && !self.follow {
            printer.answer(&query.read_all().await?, "");
            return Ok(Exit::Done);
        }
        let network = network(context);
        let mut hints = Hints::default();
        let mut entries = query.read()?;
        let (zone, mut is_silent) = (TimeZone::system(), true);
        let mut out = anstream::stdout();
        while let Some(entry) = entries.next().await? {
            is_silent = false;
            let line = match printer.format {
                Format::Text => tag.shown(&entry, &zone),
                Format::Json => {
                    let line = serde_json::to_string(&entry);
                    let line = line.map_err(|error| Failure::Defect(error.to_string()))?;
                    text::json(&line).into_owned()
                }
            };
            // The reader went away (`| head`): nothing is left to be done.
            if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                return Ok(Exit::Done);
            }
            let added = hints.add(&entry.message, network);
            if self.follow && added.is_some_and(|(_, first)| first) {
                hints.last().into_iter().for_each(|hint| explain(printer, hint));
            }
        }
        if is_silent {
            printer.tell("nothing of the kind was said");
        }
        hints.into_vec().iter().for_each(|hint| explain(printer, hint));
        Ok(Exit::Done)
    }
}

/// Refuses an instance that neither is there nor was, as far as the journal knows.
async fn expect(app: &AppName, id: InstanceId, context: &Context) -> Result<(), Failure> {
    let there = Survey::take(app, context.root(), &Systemd::connect().await?).await?;
    let Err(unknown) = there.expect(id) else { return Ok(()) };
    let said = Query::instance(app, id).lines(1).read_all().await?;
    if said.is_empty() { Err(unknown) } else { Ok(()) }
}

/// What the app sees of the network, as far as whoever asks may know.
fn network(context: &Context) -> Network {
    let settings = context.settings().ok();
    Network::private(settings.map(|(settings, _)| settings.network == config::Network::None))
}

/// Says what a line means; beside the lines, for whoever reads them.
fn explain(printer: &Printer, hint: &Hint) {
    printer.tell(format!("{} {}", styled(BUSY, "hint:"), text::shown(&hint.to_string())));
}

/// What a line begins with that tells who said it, also without colours.
enum Tag {
    /// Nothing: one instance of this app is shown.
    One(AppName),
    /// `2 |`: the instances of one app are.
    Instance(AppName),
    /// `shop 2 |`: several apps are.
    App(Vec<AppName>),
}

impl Tag {
    /// Who said it, and which instance that is; systemd and the roll are none.
    fn of(&self, unit: &str) -> (String, Option<InstanceId>) {
        let app = match self {
            Self::One(app) | Self::Instance(app) => Some(app),
            Self::App(apps) => apps.iter().find(|app| app.has(unit)),
        };
        let id = app.and_then(|app| app.instance_of(unit));
        let text = match (self, app, id) {
            (Self::Instance(_), _, Some(id)) => format!("{id} | "),
            (Self::App(_), Some(app), Some(id)) => format!("{app} {id} | "),
            (Self::App(_), Some(app), None) => format!("{app} | "),
            _ => String::new(),
        };
        (text, id)
    }

    /// Further lines of an entry begin below its text: without a time, none looks like an entry of its own.
    fn shown(&self, entry: &Entry, zone: &TimeZone) -> String {
        let (tag, id) = self.of(entry.unit.as_deref().unwrap_or_default());
        let time = entry.time(zone);
        let below = format!("{:1$} | ", "", time.len());
        let message = text::shown_below(&entry.message, &below);
        let style = id.map(style).unwrap_or_default();
        let (time, tag) =
            (styled(style, time), if tag.is_empty() { tag } else { styled(style, tag) });
        if entry.priority <= ERROR {
            format!("{time} | {tag}{}", styled(BAD, message))
        } else {
            format!("{time} | {tag}{message}")
        }
    }
}

/// The colour of an instance.
fn style(id: InstanceId) -> Style {
    COLOURS[usize::from(id.get()) % COLOURS.len()].on_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_said_a_line_is_told_without_colours() {
        let [shop, blog]: [AppName; 2] = ["shop", "blog"].map(|name| name.parse().unwrap());
        let several = Tag::App(vec![shop.clone(), blog]);
        let one = Tag::Instance(shop.clone());
        for (tag, unit, begin) in [
            (&Tag::One(shop), "shop@2.service", ""),
            (&one, "shop@2.service", "2 | "),
            (&one, "shop.service", ""),
            (&several, "blog@1.service", "blog 1 | "),
            (&several, "shop.target", "shop | "),
            (&several, "other.service", ""),
        ] {
            assert_eq!(tag.of(unit).0, begin, "{unit}");
        }
    }
}
