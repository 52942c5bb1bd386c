//! `romuoctl status`: the app and its instances.

use std::fmt;
use std::time::Duration;

use anstyle::Style;
use comfy_table::{CellAlignment, Table, presets};
use jiff::SignedDuration;
use serde::Serialize;

use super::context::Context;
use super::error::{Exit, Failure};
use super::output::{BAD, BUSY, GOOD, Printer, styled};
use super::survey::Survey;
use crate::health::{ProbeError, Report, Status as Reported};
use crate::manager::{Systemd, UnitStatus};
use crate::unit::{ActiveState, InstanceId};

#[derive(Debug, clap::Args)]
pub(super) struct Status {}

impl Status {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("status")?;
        let app = context.app()?;
        let survey = Survey::take(&app, context.root(), &Systemd::connect().await?).await?;
        let health = survey.health(context).await;
        let status = AppStatus::new(&survey, &health, monotonic());
        printer.answer(&status, &status);
        Ok(match status.state {
            AppState::Online | AppState::Rolling => Exit::Done,
            AppState::Degraded | AppState::Stopped | AppState::Errored => Exit::Unhealthy,
        })
    }
}

/// What `status -o json` prints.
#[derive(Debug, Serialize)]
struct AppStatus {
    app: String,
    state: AppState,
    listen: Vec<String>,
    release: Option<String>,
    /// What the last roll came to, or how far the one under way is.
    roll: Option<String>,
    instances: Vec<Instance>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum AppState {
    Online,
    Degraded,
    Rolling,
    Stopped,
    Errored,
}

#[derive(Debug, Serialize)]
struct Instance {
    id: String,
    unit: String,
    state: State,
    pid: Option<u32>,
    uptime_seconds: Option<u64>,
    restarts: u32,
    memory_bytes: Option<u64>,
    memory_max_bytes: Option<u64>,
    /// Since the start: 100 is one CPU all the time.
    cpu_percent: Option<f64>,
    requests: Option<u64>,
    release: Option<String>,
    health: Answer,
    /// Why it does not serve, as the end of a sentence that begins with its unit.
    why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Online,
    Starting,
    Draining,
    Stopped,
    Errored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Ok,
    Failing,
    Unknown,
}

type Probed = Option<Result<Report, ProbeError>>;

impl AppStatus {
    /// Pure: `now` is the time on `CLOCK_MONOTONIC`.
    fn new(survey: &Survey, health: &[Probed], now: Duration) -> Self {
        let instances: Vec<_> = survey
            .instances
            .iter()
            .zip(health)
            .map(|((id, unit), probed)| Instance::new(*id, unit, probed, now))
            .collect();
        Self {
            app: survey.app.to_string(),
            state: app_state(survey, &instances),
            listen: survey.socket.listen.clone(),
            release: common(instances.iter().map(|instance| instance.release.as_deref())),
            roll: Some(survey.roll.status_text.clone()).filter(|text| !text.is_empty()),
            instances,
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header([
            "ID", "STATE", "PID", "UPTIME", "RESTARTS", "MEMORY", "CPU", "REQUESTS", "HEALTH",
        ]);
        for instance in &self.instances {
            table.add_row(instance.row());
        }
        for column in [2, 3, 4, 5, 6, 7] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }
}

impl fmt::Display for AppStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.app, styled(self.state.style(), self.state.word()))?;
        if !self.listen.is_empty() {
            write!(f, ", listening on {}", self.listen.join(", "))?;
        }
        if let Some(roll) = &self.roll {
            write!(f, "\nlast roll: {roll}")?;
        }
        if self.instances.is_empty() {
            return f.write_str("\nno instances; `romuoctl install-units` enables them");
        }
        write!(f, "\n\n{}", self.table())?;
        let errored = self.instances.iter().filter(|i| i.state == State::Errored);
        for Instance { id, unit, why, .. } in errored {
            let why = why.as_deref().unwrap_or("failed");
            write!(f, "\n{unit} {why}; `romuoctl logs --instance {id}` shows what it said, ")?;
            write!(f, "`romuoctl restart {id}` tries again")?;
        }
        Ok(())
    }
}

impl Instance {
    fn new(id: InstanceId, unit: &UnitStatus, probed: &Probed, now: Duration) -> Self {
        let state = State::of(unit);
        let report = probed.as_ref().and_then(|answer| answer.as_ref().ok());
        let uptime = unit.active_since.filter(|_| unit.is_up()).map(|at| now.saturating_sub(at));
        Self {
            id: id.to_string(),
            unit: unit.name.to_string(),
            state,
            pid: unit.main_pid,
            uptime_seconds: uptime.map(|uptime| uptime.as_secs()),
            restarts: unit.restarts,
            memory_bytes: unit.memory,
            memory_max_bytes: unit.memory_max,
            cpu_percent: uptime.and_then(|uptime| percent(unit.cpu?, uptime)),
            requests: report.map(|report| report.requests),
            release: report.and_then(|report| report.release.clone()),
            health: Answer::of(probed),
            why: matches!(state, State::Errored | State::Starting).then(|| unit.why_down()),
        }
    }

    fn row(&self) -> [String; 9] {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let memory = self.memory_bytes.map(mebibytes);
        let memory = memory.map(|used| match self.memory_max_bytes {
            Some(max) => format!("{used}/{}", mebibytes(max)),
            None => used,
        });
        [
            self.id.clone(),
            styled(self.state.style(), self.state.word()),
            or_dash(self.pid.map(|pid| pid.to_string())),
            or_dash(self.uptime_seconds.map(uptime)),
            self.restarts.to_string(),
            or_dash(memory),
            or_dash(self.cpu_percent.map(|percent| format!("{percent:.1}%"))),
            or_dash(self.requests.map(|count| count.to_string())),
            styled(self.health.style(), self.health.word()),
        ]
    }
}

fn app_state(survey: &Survey, instances: &[Instance]) -> AppState {
    let is = |state: State| move |instance: &Instance| instance.state == state;
    if survey.is_rolling() {
        AppState::Rolling
    } else if instances.iter().all(is(State::Stopped)) {
        AppState::Stopped
    } else if instances.iter().all(|i| matches!(i.state, State::Errored | State::Stopped)) {
        AppState::Errored
    } else if instances.iter().all(|i| i.state == State::Online && i.health != Answer::Failing) {
        AppState::Online
    } else {
        AppState::Degraded
    }
}

impl State {
    fn of(unit: &UnitStatus) -> Self {
        match unit.active {
            _ if unit.is_errored() => Self::Errored,
            ActiveState::Active | ActiveState::Reloading => Self::Online,
            ActiveState::Deactivating => Self::Draining,
            ActiveState::Inactive => Self::Stopped,
            _ => Self::Starting,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Starting => "starting",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
            Self::Errored => "errored",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Online => GOOD,
            Self::Starting | Self::Draining | Self::Stopped => BUSY,
            Self::Errored => BAD,
        }
    }
}

impl AppState {
    fn word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Degraded => "degraded",
            Self::Rolling => "rolling",
            Self::Stopped => "stopped",
            Self::Errored => "errored",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Online => GOOD,
            Self::Rolling | Self::Stopped => BUSY,
            Self::Degraded | Self::Errored => BAD,
        }
    }
}

impl Answer {
    fn of(probed: &Probed) -> Self {
        match probed {
            Some(Ok(report)) if report.status == Reported::Ok => Self::Ok,
            Some(Ok(_) | Err(ProbeError::Timeout(_) | ProbeError::Malformed(_))) => Self::Failing,
            Some(Err(ProbeError::Connect { source, .. })) => match source.kind() {
                // Not root: the control sockets belong to the instances.
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::NotFound => {
                    Self::Unknown
                }
                _ => Self::Failing,
            },
            None => Self::Unknown,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failing => "failing",
            Self::Unknown => "unknown",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Ok => GOOD,
            Self::Failing => BAD,
            Self::Unknown => Style::new(),
        }
    }
}

/// What all have in common; none where they differ.
fn common<'a>(mut all: impl Iterator<Item = Option<&'a str>>) -> Option<String> {
    let first = all.next()??;
    all.all(|one| one == Some(first)).then(|| first.to_owned())
}

/// CPU time used per time passed, rounded to a tenth of a percent.
fn percent(cpu: Duration, uptime: Duration) -> Option<f64> {
    let ratio = cpu.as_secs_f64() / uptime.as_secs_f64();
    ratio.is_finite().then(|| (ratio * 1000.0).round() / 10.0)
}

fn mebibytes(bytes: u64) -> String {
    format!("{}M", (bytes + (1 << 19)) >> 20)
}

fn uptime(seconds: u64) -> String {
    // Two units at the most: days hide seconds.
    let coarse = match seconds {
        0..3_600 => seconds,
        3_600..86_400 => seconds - seconds % 60,
        _ => seconds - seconds % 3_600,
    };
    format!("{:#}", SignedDuration::from_secs(i64::try_from(coarse).unwrap_or(i64::MAX)))
}

fn monotonic() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(now).unwrap_or_default()
}
