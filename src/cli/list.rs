//! `romuoctl list`: every app of the machine, one line each.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::context::Context;
use super::error::{Exit, Failure};
use super::output::{Format, Printer};
use super::state::State;
use super::status::{AppStatus, mebibytes};
use crate::text::shown;

#[derive(Debug, clap::Args)]
pub(super) struct List {}

/// What `list -o json` prints: what `status` says of each.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Apps(Vec<AppStatus>);

impl List {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("list")?;
        let apps = Apps(AppStatus::of_each(&context.installed_apps(), context).await?);
        printer.answer(&apps, &apps);
        Ok(Exit::Done)
    }

    /// The same as one JSON value, as `pm2 jlist` prints it.
    pub(super) async fn as_json(context: &Context) -> Result<Exit, Failure> {
        Self {}.run(context, &Printer::new(Format::Json, false)).await
    }
}

impl fmt::Display for Apps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no app is installed; `romuoctl init` in the folder of one begins");
        }
        let mut table = Table::new();
        let header =
            ["APP", "STATE", "ONLINE", "RESTARTS", "MEMORY", "CPU", "RELEASE", "LISTENS ON"];
        table.load_style(presets::NOTHING).set_header(header);
        for app in &self.0 {
            table.add_row(row(app));
        }
        for column in 2..=5 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        write!(f, "{table}")
    }
}

fn row(app: &AppStatus) -> [String; 8] {
    let instances = &app.instances;
    let online = instances.iter().filter(|instance| instance.state == State::Online).count();
    let memory: Vec<u64> = instances.iter().filter_map(|instance| instance.memory_bytes).collect();
    let cpu: Vec<f64> = instances.iter().filter_map(|instance| instance.cpu_percent).collect();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    [
        app.app.clone(),
        app.state.to_string(),
        format!("{online}/{}", instances.len()),
        instances.iter().map(|instance| u64::from(instance.restarts)).sum::<u64>().to_string(),
        or_dash((!memory.is_empty()).then(|| mebibytes(memory.iter().sum()))),
        or_dash((!cpu.is_empty()).then(|| format!("{:.1}%", cpu.iter().sum::<f64>()))),
        or_dash(app.release.as_deref().map(|release| shown(release).into_owned())),
        or_dash((!app.listen.is_empty()).then(|| shown(&app.listen.join(", ")).into_owned())),
    ]
}
