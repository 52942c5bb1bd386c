//! `romuoctl roll`: rolls the instances. `ExecReload=` of `NAME.service` runs it, so
//! `systemctl reload NAME.target`, `systemctl reload NAME` and `romuoctl reload` all end here.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::timeout;

use super::alone;
use super::context::Context;
use super::ending::Ending;
use super::error::{Exit, Failure};
use super::lifecycle::last_lines;
use super::survey::Survey;
use crate::clock::BootTime;
use crate::config::{self, Method, Mode, OnFailure, Settings};
use crate::install;
use crate::journal::Network;
use crate::manager::{ManagerError, ServiceManager, Systemd, UnitStatus, Verb};
use crate::recycle::RollLock;
use crate::roll::{
    Action, Candidate, ControlSockets, Driver, Front, Gate, HealthProbe, Now, Outcome, Patience,
    Plan, Progress, Reason, Roll as Machine, Rules, Way, changed,
};
use crate::unit::{AppName, InstanceId};

/// How long an absence of systemd may last: an upgrade of it takes a few seconds.
const ABSENCE: Duration = Duration::from_secs(60);

/// What a job may take beyond the timeouts of its unit: systemd's own work.
const JOB_MARGIN: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct Roll {
    /// Fail at once where another roll is under way
    #[arg(long)]
    no_wait: bool,
}

impl Roll {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        // From here on: it may wait for long before it rolls.
        let mut ending = Ending::listen()?;
        context.running("roll")?;
        let started = BootTime::now();
        let (settings, _) = context.settings()?;
        let app = &settings.name;
        let begun = tokio::select! {
            biased;
            ended = ending.comes() => {
                return Ok(ended.before_it_began(app, context, started));
            }
            begun = begin(self.no_wait, &settings, context) => begun?,
        };
        let (_lock, manager, whole) = begun;
        let rolled = roll(&settings, context, &manager, whole, started, ending).await?;
        let Some(mut outcome) = rolled else {
            return Ok(Exit::Done);
        };
        if let Some(halted) = &mut outcome.halt
            && let Some(id) = app.instance_of(&halted.unit)
        {
            let network = Network::private(Some(settings.network == config::Network::None));
            let last = last_lines(&app.instance(id), network).await;
            (halted.journal, halted.hints) = (last.lines, last.hints);
        }
        keep(context, app, &outcome);
        announce(&outcome.to_string());
        Ok(if outcome.is_done() { Exit::Done } else { Exit::Failed })
    }
}

/// All that comes before the first instance is touched.
async fn begin(
    no_wait: bool,
    settings: &Settings,
    context: &Context,
) -> Result<(RollLock, Systemd, Whole), Failure> {
    let app = &settings.name;
    // As long as it is there, no instance begins to recycle.
    let lock = alone::lock("roll", app, context, no_wait, announce).await?;
    alone::until_none_recycles(context, settings, announce).await;
    let interrupted = Progress::read(&context.progress_path(app));
    if let Some(before) = &interrupted {
        let far = before.how_far();
        announce(&format!("the roll before was interrupted at {far}: this one finishes it"));
    }
    let manager = Systemd::connect().await?;
    let whole = Whole::plan(settings, context, &manager, interrupted.as_ref()).await?;
    if whole.plan.order.is_empty() {
        return Err(Failure::NothingToRoll { app: app.clone() });
    }
    Ok((lock, manager, whole))
}

/// All that a roll is about.
struct Whole {
    plan: Plan,
    /// Extra instances that may be started.
    extra: Vec<InstanceId>,
    /// Those of them that an interrupted roll has left behind.
    left: Vec<InstanceId>,
}

impl Whole {
    async fn plan(
        settings: &Settings,
        context: &Context,
        manager: &Systemd,
        interrupted: Option<&Progress>,
    ) -> Result<Self, Failure> {
        let app = &settings.name;
        let mut instances = Survey::instances(app, context.root(), manager).await?;
        let ids =
            |list: &[String]| list.iter().filter_map(|id| id.parse().ok()).collect::<Vec<_>>();
        let enabled = install::installed_instances(context.root(), app).unwrap_or_default();
        let last = Outcome::read(&context.outcome_path(app));
        let mut left = interrupted.map(|before| ids(&before.extra)).unwrap_or_default();
        left.extend(last.map(|outcome| ids(&outcome.kept)).unwrap_or_default());
        left.retain(|id| !enabled.contains(id) && instances.iter().any(|(one, _)| one == id));
        instances.retain(|(id, _)| !left.contains(id));
        let last = instances.iter().map(|(id, _)| *id).max();
        let new = (1..=settings.reload.surge).filter_map(|more| last?.plus(more));
        let extra = new.collect();
        let mut plan = Plan::new(candidates(settings, context, manager, instances).await?);
        if let Some(before) = interrupted {
            plan.begin_after(&ids(&before.rolled));
        }
        Ok(Self { plan, extra, left })
    }

    fn rules(&self, settings: &Settings) -> Rules {
        let reload = &settings.reload;
        Rules {
            parallel: match self.extra.len() {
                0 => reload.max_unavailable.of(self.plan.order.len()),
                extra => extra,
            },
            extra: self.extra.clone(),
            goes_on: reload.on_failure == OnFailure::Continue,
            watches: !reload.watch.is_zero() && !inherits(settings),
            gate: gate(settings),
        }
    }
}

/// When an instance counts as good. A program that takes the sockets itself has no control socket:
/// systemd's word is the verdict.
pub(super) fn gate(settings: &Settings) -> Gate {
    Gate {
        good: (!inherits(settings)).then_some(settings.reload.probes),
        failures: settings.health.failures,
        release: None,
    }
}

fn inherits(settings: &Settings) -> bool {
    settings.program.as_ref().is_some_and(|program| program.mode == Mode::Inherit)
}

/// How long the steps of a roll may take.
pub(super) fn patience(settings: &Settings) -> Patience {
    let limits = &settings.limits;
    Patience {
        job: limits.start_timeout + limits.stop_timeout + JOB_MARGIN,
        health: limits.start_timeout,
        manager: ABSENCE,
        watch: settings.reload.watch,
    }
}

/// Waits until systemd, which went away, is back.
pub(super) async fn back(manager: &Systemd) -> Result<(), ManagerError> {
    let away = |_| ManagerError::Unreachable { reason: "it stays away".into() };
    timeout(ABSENCE, manager.back()).await.map_err(away)?
}

/// Rolls. None: it was told to end at once, because the app is being stopped.
async fn roll(
    settings: &Settings,
    context: &Context,
    manager: &Systemd,
    whole: Whole,
    started: BootTime,
    mut ending: Ending,
) -> Result<Option<Outcome>, Failure> {
    let app = &settings.name;
    let sockets = sockets(settings, context);
    let driver = Driver { app, manager, health: &sockets, patience: patience(settings) };
    let machine = Machine::new(whole.plan.clone(), whole.rules(settings));
    let mut keeper = Keeper::new(context.progress_path(app), started, &whole);
    keeper.note(&machine);
    let told = |machine: &Machine, action: Option<Action>| {
        keeper.note(machine);
        if let Some(now) = action.and_then(|action| what(app, machine, action)) {
            let (rolled, all) = machine.progress();
            announce(&format!("{rolled} of {all} instances rolled, {now}"));
        }
    };
    let cancel = async {
        ending.cancel.recv().await;
        announce("canceled: ending after the instances at hand");
    };
    let verdict = tokio::select! {
        biased;
        // systemd ends the commands of a unit that is stopped; a stop wins over a roll.
        _ = ending.stop.recv() => None,
        verdict = driver.drive(machine, cancel, told) => Some(verdict),
    };
    let verdict = verdict.transpose().map_err(|error| Failure::Defect(error.to_string()))?;
    // A stop cancels the job at hand first, and ends this process a moment later.
    let is_canceled = verdict.as_ref().is_some_and(|verdict| verdict.is_canceled);
    let is_stopped = is_canceled && is_stopped(app, manager).await;
    let Some(mut verdict) = verdict.filter(|_| !is_stopped) else {
        announce(&format!("the roll of {app} ended at {}: the app is being stopped", keeper.far()));
        keeper.remove();
        return Ok(None);
    };
    if verdict.failed.is_empty() {
        for id in &whole.left {
            let unit = app.instance(*id);
            if let Err(error) = manager.run(Verb::Stop, &unit).await {
                announce(&format!("the extra instance {unit} is still there: {error}"));
            }
        }
    } else {
        verdict.kept.extend(&whole.left);
    }
    keeper.remove();
    Ok(Some(Outcome::new(app, &verdict, started, BootTime::now().since(started))))
}

/// Whether somebody has stopped the whole app, or is about to: the jobs of others are canceled when a
/// stop is queued, before anything of it is done.
async fn is_stopped(app: &AppName, manager: &Systemd) -> bool {
    // It may be the reload of the target that is under way here.
    let ends = |job: &str| matches!(job, "stop" | "restart");
    let goes_on = |unit: &UnitStatus| unit.is_up() && !unit.job.as_deref().is_some_and(ends);
    let target = manager.names(&[app.target().as_str()]).await;
    target.is_ok_and(|units| !units.iter().any(goes_on))
}

/// What is being done, for a person; none: nothing that takes its time.
fn what(app: &AppName, machine: &Machine, action: Action) -> Option<String> {
    Some(match action {
        Action::Swap(id) => format!("swapping the program of {}", app.instance(id)),
        Action::Restart(id) => match machine.at_hand(id).map(|planned| &planned.way) {
            Some(Way::Restart(reason)) if *reason != Reason::Method => {
                format!("restarting {}, because {reason}", app.instance(id))
            }
            _ => format!("restarting {}", app.instance(id)),
        },
        Action::Start(id) => format!("starting the extra instance {}", app.instance(id)),
        Action::Stop(id) => format!("stopping the extra instance {}", app.instance(id)),
        Action::Watch(id) => format!("watching {} beside its siblings", app.instance(id)),
        Action::Return(_) => "waiting for systemd, which went away".to_owned(),
        Action::Probe { instance, good: 0, .. } => {
            format!("asking {} for its health", app.instance(instance))
        }
        Action::Probe { .. } | Action::Read { .. } | Action::Ask(_) => return None,
    })
}

/// Keeps how far the roll is, for whoever asks and for the one after it.
struct Keeper {
    path: std::path::PathBuf,
    started: BootTime,
    extra: Vec<InstanceId>,
    last: Option<Progress>,
    is_told: bool,
}

impl Keeper {
    fn new(path: std::path::PathBuf, started: BootTime, whole: &Whole) -> Self {
        let extra = whole.extra.iter().chain(&whole.left).copied().collect();
        Self { path, started, extra, last: None, is_told: false }
    }

    fn note(&mut self, machine: &Machine) {
        let now = Progress::of(machine, self.started, &self.extra);
        if self.last.as_ref() == Some(&now) {
            return;
        }
        // A full disk is no reason to leave a roll half done.
        if let Err(error) = now.write(&self.path)
            && !self.is_told
        {
            self.is_told = true;
            warn(&self.path, "how far the roll is", &error);
        }
        self.last = Some(now);
    }

    fn far(&self) -> String {
        self.last.as_ref().map(Progress::how_far).unwrap_or_default()
    }

    fn remove(&self) {
        Progress::remove(&self.path);
    }
}

/// What is known of each instance, and where a swap is the way, what its front and files say to that.
async fn candidates(
    settings: &Settings,
    context: &Context,
    manager: &Systemd,
    instances: Vec<(InstanceId, UnitStatus)>,
) -> Result<Vec<Candidate>, Failure> {
    let fronted = settings.program.as_ref().is_some_and(|program| program.mode == Mode::Front);
    if !fronted || settings.reload.method != Method::Swap {
        let candidate = |(id, unit)| Candidate { id, unit, front: None };
        return Ok(instances.into_iter().map(candidate).collect());
    }
    let app = &settings.name;
    let configuration = &install::config_path(app);
    let (sockets, now) = (&sockets(settings, context), Now::ask());
    let asked = instances.into_iter().map(async |(id, unit)| {
        if !unit.is_up() {
            return Ok(Candidate { id, unit, front: Some(Front::silent()) });
        }
        // What a unit that is up was made of is not in the list.
        let unit = manager.status(&app.instance(id)).await?;
        let (report, swap) = tokio::join!(sockets.probe(id), sockets.may_swap(id));
        let had = swap.as_ref().map(|state| state.drop_ins.as_slice()).unwrap_or_default();
        let front = Front {
            changed: changed(context.root(), app, id, &unit, configuration, had, now),
            report: report.ok().map(Box::new),
            swap: swap.map_err(|error| error.to_string()),
        };
        Ok(Candidate { id, unit, front: Some(front) })
    });
    try_join_all(asked).await
}

pub(super) fn sockets(settings: &Settings, context: &Context) -> ControlSockets {
    let folder = context.control_folder(&settings.name);
    ControlSockets { folder, timeout: settings.health.timeout }
}

/// Says it where `systemctl status` and `romuoctl reload` see it, and in the journal.
pub(super) fn announce(text: &str) {
    // Without a notify socket, as when run by hand, there is nobody to tell.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(text)]);
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Keeps the outcome for those who ask later. Where it cannot be kept the roll is none the worse.
pub(super) fn keep(context: &Context, app: &AppName, outcome: &Outcome) {
    let path = context.outcome_path(app);
    if let Err(error) = outcome.write(&path) {
        warn(&path, "what the roll came to", &error);
    }
}

fn warn(path: &Path, what: &str, error: &std::io::Error) {
    let path = path.display();
    let _ = writeln!(std::io::stderr(), "{what} could not be kept in {path}: {error}");
}
