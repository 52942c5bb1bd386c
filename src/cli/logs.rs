//! `romuoctl logs`: what the app said, from the journal.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;

use super::context::Context;
use super::error::{Exit, Failure};
use super::output::{BAD, BUSY, Format, Printer, styled};
use crate::config;
use crate::journal::{Entry, Hint, Hints, Network, Query, Stream};
use crate::text;
use crate::unit::{AppName, InstanceId};

/// As many lines as `pm2 logs` shows.
const DEFAULT_LINES: u32 = 15;

/// Entries of this syslog priority and below are errors.
const ERROR: u8 = 3;

/// Colours of the instances, in turn.
const COLOURS: [AnsiColor; 5] =
    [AnsiColor::Cyan, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Yellow, AnsiColor::Blue];

/// Shows what the app said, as `YYYY-MM-DD HH:mm:ss Z | message`, coloured by instance.
#[derive(Debug, clap::Args)]
pub(super) struct Logs {
    /// Only this instance
    #[arg(short, long, value_name = "ID")]
    instance: Option<InstanceId>,
    /// Only what the app wrote to its standard error, as `pm2 logs --err`
    #[arg(long, alias = "err", conflicts_with = "stdout")]
    stderr: bool,
    /// Only what the app wrote to its standard output, as `pm2 logs --out`
    #[arg(long, alias = "out")]
    stdout: bool,
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
        let app = context.app()?;
        let query = match self.instance {
            Some(id) => Query::instance(&app, id),
            None => Query::app(&app),
        };
        let lines = self.lines.or_else(|| self.since.is_none().then_some(DEFAULT_LINES));
        let query = lines.into_iter().fold(query, Query::lines);
        let query = query.since(self.since).follow(self.follow);
        let stream = match (self.stdout, self.stderr) {
            (true, _) => Some(Stream::Stdout),
            (_, true) => Some(Stream::Stderr),
            _ => None,
        };
        let query = stream.into_iter().fold(query, Query::stream);
        if printer.format == Format::Json && !self.follow {
            printer.answer(&query.read_all().await?, "");
            return Ok(Exit::Done);
        }
        let network = network(context);
        let mut hints = Hints::default();
        let mut entries = query.read()?;
        let zone = TimeZone::system();
        let mut out = anstream::stdout();
        while let Some(entry) = entries.next().await? {
            let line = match printer.format {
                Format::Text => shown(&app, &entry, &zone),
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
        hints.into_vec().iter().for_each(|hint| explain(printer, hint));
        Ok(Exit::Done)
    }
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

/// Further lines of an entry begin below its text: without a time, none looks like an entry of its own.
fn shown(app: &AppName, entry: &Entry, zone: &TimeZone) -> String {
    let time = entry.time(zone);
    let below = format!("{:1$} | ", "", time.len());
    let message = text::shown_below(&entry.message, &below);
    let time = styled(style(app, entry), time);
    if entry.priority <= ERROR {
        format!("{time} | {}", styled(BAD, message))
    } else {
        format!("{time} | {message}")
    }
}

/// The colour of the instance that said it; none for what systemd or the roll said.
fn style(app: &AppName, entry: &Entry) -> Style {
    let id = entry.unit.as_deref().and_then(|unit| app.instance_of(unit));
    id.map(|id| COLOURS[usize::from(id.get()) % COLOURS.len()].on_default()).unwrap_or_default()
}
