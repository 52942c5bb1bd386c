//! `romuoctl status`: the app and its instances.

use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use jiff::SignedDuration;
use serde::Serialize;

use super::context::Context;
use super::edited::Edited;
use super::error::{Exit, Failure};
use super::hints::{self, Explained};
use super::output::Printer;
use super::state::{Answer, AppState, Probed, State};
use super::survey::Survey;
use super::target::SomeApps;
use crate::clock::{BootTime, monotonic};
use crate::health::Recycled;
use crate::manager::{Systemd, UnitStatus};
use crate::recycle::RollLock;
use crate::roll::{Outcome, Progress};
use crate::text::shown;
use crate::unit::{AppName, InstanceId};

#[derive(Debug, clap::Args)]
pub(super) struct Status {
    #[command(flatten)]
    target: SomeApps,
}

impl Status {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("status")?;
        show(&self.target.looked_at(context)?, context, printer).await
    }

    /// Shows one app.
    pub(super) async fn of(
        app: &AppName,
        context: &Context,
        printer: &Printer,
    ) -> Result<Exit, Failure> {
        show(std::slice::from_ref(app), context, printer).await
    }
}

/// Shows apps; of several, JSON is a list.
async fn show(apps: &[AppName], context: &Context, printer: &Printer) -> Result<Exit, Failure> {
    let all = AppStatus::of_each(apps, context).await?;
    printer.answer_each(&all, ToString::to_string);
    let is_well = |status: &AppStatus| match status.state {
        AppState::Online | AppState::Rolling => true,
        AppState::Degraded | AppState::Stopped | AppState::Errored => false,
    };
    Ok(if all.iter().all(is_well) { Exit::Done } else { Exit::Unhealthy })
}

/// Whether a roll is under way.
#[derive(Debug, PartialEq, Eq)]
enum Rolling {
    No,
    Now,
    /// None is, but one was and did not come to its end: a sentence.
    Interrupted(String),
}

impl Rolling {
    fn look(survey: &Survey, context: &Context) -> Self {
        if RollLock::is_taken(&context.control_folder(&survey.app)) {
            return Self::Now;
        }
        match Progress::read(&context.progress_path(&survey.app)) {
            Some(before) if !survey.is_rolling() => Self::Interrupted(format!(
                "interrupted at {}; `romuoctl reload` finishes it",
                before.how_far()
            )),
            _ => Self::No,
        }
    }
}

/// What `status -o json` prints.
#[derive(Debug, Serialize)]
pub(super) struct AppStatus {
    pub(super) app: String,
    pub(super) state: AppState,
    pub(super) listen: Vec<String>,
    pub(super) release: Option<String>,
    /// The `romuo.toml` that says something else by now than what is installed.
    edited: Option<Edited>,
    /// What the last roll came to, or how far the one under way is; none: nothing that still matters.
    roll: Option<String>,
    pub(super) instances: Vec<Instance>,
    /// What their journals say of those that are not well, or were restarted lately.
    hints: Vec<Explained>,
}

#[derive(Debug, Serialize)]
pub(super) struct Instance {
    id: String,
    unit: String,
    pub(super) state: State,
    /// The main process of the unit.
    pid: Option<u32>,
    /// The program behind a front.
    app_pid: Option<u32>,
    uptime_seconds: Option<u64>,
    pub(super) restarts: u32,
    pub(super) memory_bytes: Option<u64>,
    memory_max_bytes: Option<u64>,
    /// Since the start: 100 is one CPU all the time.
    pub(super) cpu_percent: Option<f64>,
    requests: Option<u64>,
    release: Option<String>,
    health: Answer,
    /// How often it was recycled since the boot, and why the last time.
    recycled: Option<Recycled>,
    /// Why it does not serve, as the end of a sentence that begins with its unit.
    why: Option<String>,
}

impl AppStatus {
    /// That of each of the apps.
    pub(super) async fn of_each(apps: &[AppName], context: &Context) -> Result<Vec<Self>, Failure> {
        let manager = Systemd::connect().await?;
        let mut all = Vec::new();
        for app in apps {
            all.push(Self::take(app, context, &manager).await?);
        }
        Ok(all)
    }

    /// Asks systemd and the instances, and their journals where that explains something.
    async fn take(app: &AppName, context: &Context, manager: &Systemd) -> Result<Self, Failure> {
        let survey = Survey::take(app, context.root(), manager).await?;
        let health = survey.health(context).await;
        let hints = hints::explain(&survey, &health).await;
        let roll = Rolling::look(&survey, context);
        let edited = Edited::find(app, context);
        let mut status = Self { edited, ..Self::new(&survey, &health, roll, hints, monotonic()) };
        if status.state == AppState::Online && failure_has_passed(&survey, context) {
            status.roll = None;
        }
        Ok(status)
    }

    /// Pure: `now` is the time on `CLOCK_MONOTONIC`.
    fn new(
        survey: &Survey,
        health: &[Probed],
        roll: Rolling,
        hints: Vec<Explained>,
        now: Duration,
    ) -> Self {
        let instances: Vec<_> = survey
            .instances
            .iter()
            .zip(health)
            .map(|((id, unit), probed)| Instance::new(*id, unit, probed, now))
            .collect();
        let states: Vec<_> = instances.iter().map(|i| (i.state, i.health)).collect();
        Self {
            app: survey.app.to_string(),
            state: AppState::of(survey.is_rolling() || roll == Rolling::Now, &states),
            listen: survey.socket.listen.clone(),
            release: common(instances.iter().map(|instance| instance.release.as_deref())),
            roll: match roll {
                Rolling::Interrupted(sentence) => Some(sentence),
                Rolling::No | Rolling::Now => {
                    Some(survey.roll.status_text.clone()).filter(|text| !text.is_empty())
                }
            },
            instances,
            hints,
            edited: None,
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        let mut header =
            vec!["ID", "STATE", "PID", "UPTIME", "RESTARTS", "MEMORY", "CPU", "REQUESTS", "HEALTH"];
        // Where all run the same, it stands above.
        let differ = self.release.is_none() && self.instances.iter().any(|i| i.release.is_some());
        if differ {
            header.push("RELEASE");
        }
        table.load_style(presets::NOTHING).set_header(header);
        for instance in &self.instances {
            let release = shown(instance.release.as_deref().unwrap_or_default()).into_owned();
            table.add_row(instance.row().into_iter().chain(differ.then_some(release)));
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
        write!(f, "{}: {}", self.app, self.state)?;
        if let Some(release) = &self.release {
            write!(f, ", release {}", shown(release))?;
        }
        if !self.listen.is_empty() {
            write!(f, ", listening on {}", shown(&self.listen.join(", ")))?;
        }
        if let Some(roll) = &self.roll {
            write!(f, "\nlast roll: {}", shown(roll))?;
        }
        if let Some(edited) = &self.edited {
            write!(f, "\n{}; {}", shown(&edited.sentence()), edited.remedy())?;
        }
        if self.instances.is_empty() {
            return f.write_str("\nno instances; `romuoctl install-units` enables them");
        }
        write!(f, "\n\n{}", self.table())?;
        let errored = self.instances.iter().filter(|i| i.state == State::Errored);
        for Instance { id, unit, why, .. } in errored {
            let why = shown(why.as_deref().unwrap_or("failed"));
            write!(f, "\n{unit} {why}; `romuoctl logs --instance {id}` shows what it said, ")?;
            write!(f, "`romuoctl restart {id}` tries again")?;
        }
        for Instance { unit, recycled, .. } in &self.instances {
            if let Some(Recycled { count, last }) = recycled {
                let times = if *count == 1 { "once".into() } else { format!("{count} times") };
                write!(f, "\n{unit} was recycled {times}, last: {}", shown(last))?;
            }
        }
        self.hints.iter().try_for_each(|hint| write!(f, "\n{hint}"))
    }
}

impl Instance {
    fn new(id: InstanceId, unit: &UnitStatus, probed: &Probed, now: Duration) -> Self {
        let state = State::of(unit, probed);
        let report = probed.as_ref().and_then(|answer| answer.as_ref().ok());
        let app = report.and_then(|report| report.app);
        let uptime = unit.started.filter(|_| unit.is_up()).map(|at| now.saturating_sub(at));
        Self {
            id: id.to_string(),
            unit: unit.name.to_string(),
            state,
            pid: unit.main_pid,
            uptime_seconds: uptime.map(|uptime| uptime.as_secs()),
            app_pid: app.and_then(|app| app.pid),
            // The front starts its program again by itself, and systemd the front.
            restarts: unit.restarts.saturating_add(app.map_or(0, |app| app.restarts)),
            memory_bytes: unit.memory,
            memory_max_bytes: unit.memory_max,
            cpu_percent: uptime.and_then(|uptime| percent(unit.cpu?, uptime)),
            requests: report.map(|report| report.requests),
            release: report.and_then(|report| report.release.clone()),
            health: Answer::of(probed),
            recycled: report.and_then(|report| report.recycled.clone()),
            why: match state {
                State::Starting if unit.is_up() => Some("waits for its program".into()),
                State::Errored | State::Starting => Some(unit.why_down()),
                _ => None,
            },
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
            self.state.to_string(),
            // What a person would look for in top(1).
            or_dash(self.app_pid.or(self.pid).map(|pid| pid.to_string())),
            or_dash(self.uptime_seconds.map(uptime)),
            self.restarts.to_string(),
            or_dash(memory),
            or_dash(self.cpu_percent.map(|percent| format!("{percent:.1}%"))),
            or_dash(self.requests.map(|count| count.to_string())),
            self.health.to_string(),
        ]
    }
}

/// Whether the last roll failed and that is over, where all instances serve. Who is not root cannot know.
fn failure_has_passed(survey: &Survey, context: &Context) -> bool {
    let outcome = Outcome::read(&context.outcome_path(&survey.app));
    let started = survey.instances.iter().filter_map(|(_, unit)| unit.started).min();
    let (Some(outcome), Some(started)) = (outcome, started) else { return false };
    let age = BootTime::after_boot(monotonic().saturating_sub(started));
    outcome.has_passed(BootTime::after_boot(BootTime::now().since(age)))
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

pub(super) fn mebibytes(bytes: u64) -> String {
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
