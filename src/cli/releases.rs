//! `romuoctl releases`: what was shipped, what came of it, and which instance runs which.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::context::Context;
use super::error::{Exit, Failure};
use super::output::Printer;
use super::survey::Survey;
use crate::manager::Systemd;
use crate::release::{Entry, Pin, ReleaseId, Store};
use crate::text::shown;
use crate::unit::InstanceId;

/// How a time is shown, in the zone of the machine.
const TIME: &str = "%Y-%m-%d %H:%M:%S";

#[derive(Debug, clap::Args)]
pub(super) struct Releases {}

impl Releases {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        let app = context.app()?;
        let store = Store::new(context.root(), &app);
        if store.history().entries()?.is_empty() {
            context.installed_app()?;
        }
        let mut runs: BTreeMap<InstanceId, String> = BTreeMap::new();
        for (id, pin) in store.pins()? {
            runs.insert(id, pin.into());
        }
        // Those that are up know it themselves.
        if context.running("releases").is_ok() {
            let survey = Survey::take(&app, context.root(), &Systemd::connect().await?).await?;
            let health = survey.health(context).await;
            for ((id, _), probed) in survey.instances.iter().zip(health) {
                if let Some(Ok(report)) = probed {
                    runs.insert(*id, report.release.unwrap_or_else(|| Pin::Base.into()));
                }
            }
        }
        let shown = Shown::new(
            app.to_string(),
            store.current()?,
            &store.releases()?,
            store.history().entries()?,
            &runs,
        );
        printer.answer(&shown, &shown);
        Ok(Exit::Done)
    }
}

/// What `releases -o json` prints.
#[derive(Debug, Serialize)]
struct Shown {
    app: String,
    /// The one that came out well last.
    current: Option<ReleaseId>,
    /// The newest first.
    releases: Vec<Release>,
}

#[derive(Debug, Serialize)]
struct Release {
    #[serde(flatten)]
    entry: Entry,
    /// It is still there to go back to.
    kept: bool,
    /// Ids of the instances that run it.
    instances: Vec<String>,
}

impl Shown {
    fn new(
        app: String,
        current: Option<ReleaseId>,
        there: &[ReleaseId],
        mut entries: Vec<Entry>,
        runs: &BTreeMap<InstanceId, String>,
    ) -> Self {
        entries.reverse();
        let release = |entry: Entry| {
            let id = entry.id.to_string();
            let running = runs.iter().filter(|(_, release)| **release == id);
            Release {
                kept: there.contains(&entry.id),
                instances: running.map(|(instance, _)| instance.to_string()).collect(),
                entry,
            }
        };
        Self { app, current, releases: entries.into_iter().map(release).collect() }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.releases.is_empty() {
            return write!(f, "{} was not shipped yet; `romuoctl deploy` ships it", self.app);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header([
            "RELEASE",
            "STAGED",
            "BY",
            "FROM",
            "VERDICT",
            "TOOK",
            "INSTANCES",
        ]);
        for Release { entry, kept, instances } in &self.releases {
            let staged = entry.staged_at.to_zoned(TimeZone::system());
            let took = entry
                .duration_ms
                .map(|took| format!("{:.1} s", Duration::from_millis(took).as_secs_f64()));
            let verdict = entry.verdict.to_string();
            table.add_row([
                entry.id.to_string(),
                staged.strftime(TIME).to_string(),
                shown(&entry.by).into_owned(),
                shown(&entry.source.to_string()).into_owned(),
                if *kept { verdict } else { format!("{verdict}, removed") },
                took.unwrap_or_default(),
                instances.join(", "),
            ]);
        }
        if let Some(column) = table.column_mut(5) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        write!(f, "{table}")?;
        let reasons = self
            .releases
            .iter()
            .filter_map(|release| Some((&release.entry.id, release.entry.reason.as_ref()?)));
        for (id, reason) in reasons {
            let sentence = reason.lines().next().unwrap_or_default();
            // That of a rehearsal begins with the release.
            let said = sentence.strip_prefix(&format!("release {id} ")).unwrap_or(sentence);
            write!(f, "\n{id}: {}", shown(said))?;
        }
        Ok(())
    }
}
