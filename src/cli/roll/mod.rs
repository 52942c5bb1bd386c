//! `romuoctl roll`: rolls the instances. `ExecReload=` of `NAME.service` runs it, so
//! `systemctl reload NAME.target`, `systemctl reload NAME` and `romuoctl reload` all end here, and
//! `romuoctl deploy` and `rollback` too, which leave a request with what the instances are to run.
//!
//! [`whole`] finds out what there is to roll, [`pass`] goes through it, [`ship`] brings another release
//! and takes it back, [`ready`] makes the machine fit either, [`closing`] closes what is not listened on any
//! more, [`keeper`] writes down how far it is.

mod closing;
mod keeper;
mod pass;
mod ready;
mod ship;
mod whole;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use self::pass::{Pass, is_stopped, settle_left};
use self::ship::Shipping;
use self::whole::Whole;
pub(super) use self::whole::gate;
use super::alone;
use super::context::Context;
use super::error::{Exit, Failure};
use super::lifecycle::{last_lines, network};
use crate::clock::BootTime;
use crate::config::Settings;
use crate::install;
use crate::manager::{ManagerError, ServiceManager as _, Systemd};
use crate::recycle::RollLock;
use crate::roll::{ControlSockets, Outcome, Patience, Progress, Same, Verdict};
use crate::text::{shown, shown_below};
use crate::unit::AppName;

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
        context.running("roll")?;
        let handler = |kind| signal(kind).map_err(Failure::Runtime);
        let (mut interrupt, mut terminate) =
            (handler(SignalKind::interrupt())?, handler(SignalKind::terminate())?);
        let app = context.app()?;
        let ended = tokio::select! {
            biased;
            // systemd ends the commands of a unit that is stopped; a stop wins over a roll.
            _ = terminate.recv() => Ok(None),
            ended = self.roll(&app, context, &mut interrupt) => ended,
        };
        // Whoever asked for it hears it by way of systemd.
        let ended = ended.inspect_err(|error| tell(&error.to_string()))?;
        let Some(outcome) = ended else {
            give_up(&app, context).await;
            return Ok(Exit::Done);
        };
        announce(&outcome.to_string());
        Ok(exit(&outcome))
    }

    /// Rolls. None: it is to end at once, because the app is being stopped.
    async fn roll(
        self,
        app: &AppName,
        context: &Context,
        interrupt: &mut Signal,
    ) -> Result<Option<Outcome>, Failure> {
        let started = BootTime::now();
        // It may wait for long before it rolls, and has touched nothing until then.
        let begun = tokio::select! {
            biased;
            _ = interrupt.recv() => return canceled(app, context, started).await,
            begun = Begun::wait(app, context, self.no_wait) => begun?,
        };
        let Begun { _lock, manager, mut shipping, settings, whole } = begun;
        let (manager, settings) = (&manager, &settings);
        let releases = shipping.as_ref().map(Shipping::releases);
        let pass = Pass {
            settings,
            context,
            manager,
            releases: releases.as_deref().unwrap_or(&Same),
            release: shipping.as_ref().and_then(Shipping::release),
            watch: shipping.as_ref().map_or(settings.reload.watch, |it| it.watch(settings)),
            started,
        };
        let proves = shipping.as_ref().is_none_or(Shipping::proves);
        if let Some(shipping) = &shipping {
            shipping.shelter(&whole.extra)?;
        }
        let cancel = async {
            interrupt.recv().await;
        };
        let mut verdict = pass.run(&whole, proves, cancel).await?;
        drop(releases);
        // A stop cancels the job at hand first, and ends this process a moment later.
        if verdict.is_canceled && is_stopped(app, manager).await {
            return Ok(None);
        }
        settle_left(app, manager, &whole, &mut verdict).await;
        let mut outcome = Outcome::new(app, &verdict, started, BootTime::now().since(started));
        if let Some(halted) = &mut outcome.halt
            && let Some(id) = app.instance_of(&halted.unit)
        {
            let last = last_lines(&app.instance(id), network(settings)).await;
            (halted.journal, halted.hints) = (last.lines, last.hints);
        }
        if let Some(shipping) = &mut shipping {
            outcome.release = Some(shipping.to());
            shipping.unshelter(&whole.extra, &verdict.kept);
            if outcome.is_done() {
                shipping.is_done(context, manager).await?;
            } else {
                outcome.back = shipping.go_back(&outcome, &verdict, context, manager).await;
            }
        }
        if outcome.is_done() {
            let release = shipping.as_ref().and_then(Shipping::release);
            let cancel = async {
                interrupt.recv().await;
            };
            outcome.closed = closing::close(settings, release, context, manager, cancel).await;
        }
        Progress::remove(&context.progress_path(app));
        keeper::keep(context, app, &outcome);
        Ok(Some(outcome))
    }
}

/// All that comes before the first instance is touched.
struct Begun {
    /// As long as it is there, no instance begins to recycle.
    _lock: RollLock,
    manager: Systemd,
    shipping: Option<Shipping>,
    settings: Settings,
    whole: Whole,
}

impl Begun {
    async fn wait(app: &AppName, context: &Context, no_wait: bool) -> Result<Self, Failure> {
        let lock = alone::lock("roll", app, context, no_wait, announce).await?;
        let manager = Systemd::connect().await?;
        let mut shipping = Shipping::find(context, app)?;
        if let Some(shipping) = &mut shipping {
            shipping.begin(true, context, &manager).await?;
        }
        let settings = context.installed(app)?;
        alone::until_none_recycles(context, &settings, announce).await;
        let interrupted = Progress::read(&context.progress_path(app));
        if let Some(before) = &interrupted {
            let far = before.how_far();
            announce(&format!("the roll before was interrupted at {far}: this one finishes it"));
        }
        let whole = Whole::plan(&settings, context, &manager, interrupted.as_ref(), None).await?;
        if whole.plan.order.is_empty() && shipping.is_none() {
            return Err(Failure::NothingToRoll { app: app.clone() });
        }
        Ok(Self { _lock: lock, manager, shipping, settings, whole })
    }
}

/// It is canceled before it has touched an instance. What an earlier one has left it leaves, too.
async fn canceled(
    app: &AppName,
    context: &Context,
    started: BootTime,
) -> Result<Option<Outcome>, Failure> {
    take_back(app, context, "it was canceled").await;
    let instances = install::installed_instances(context.root(), app).unwrap_or_default();
    let untouched = instances.into_iter().collect();
    let verdict = Verdict { untouched, is_canceled: true, ..Verdict::default() };
    let outcome = Outcome::new(app, &verdict, started, BootTime::now().since(started));
    keeper::keep(context, app, &outcome);
    Ok(Some(outcome))
}

/// Nobody is to be rolled, as the app is stopped: what it starts with is what was asked for.
pub(super) async fn bring_stopped(
    app: &AppName,
    context: &Context,
    manager: &Systemd,
) -> Result<(), Failure> {
    let _lock = alone::lock("roll", app, context, false, announce).await?;
    if let Some(mut shipping) = Shipping::find(context, app)? {
        let has_run = has_run(&context.control_folder(app), &shipping.store.current_path());
        shipping.begin(has_run, context, manager).await?;
        shipping.is_laid_out(context, manager).await?;
    }
    Ok(())
}

/// Whether an instance was started since the link to the current release was set: each start leaves its count in
/// the folder of the instances.
fn has_run(folder: &Path, current: &Path) -> bool {
    let changed = |path: &Path| fs::symlink_metadata(path).and_then(|it| it.modified()).ok();
    let Some(set) = changed(current) else { return false };
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| changed(&file.path())).any(|started| started > set)
}

/// The exit code of an outcome.
pub(super) fn exit(outcome: &Outcome) -> Exit {
    match &outcome.back {
        _ if outcome.is_well() => Exit::Done,
        Some(back) if back.failed.is_none() => Exit::RolledBack,
        _ => Exit::Failed,
    }
}

/// The app is being stopped in the middle of a roll.
async fn give_up(app: &AppName, context: &Context) {
    let path = context.progress_path(app);
    let far = Progress::read(&path).map(|progress| format!("at {}", progress.how_far()));
    let far = far.as_deref().unwrap_or("before it began");
    announce(&format!("the roll of {app} ended {far}: the app is being stopped"));
    Progress::remove(&path);
    take_back(app, context, "the app was stopped meanwhile").await;
}

/// What instances were to be brought to they are not.
async fn take_back(app: &AppName, context: &Context, why: &str) {
    // Another roller may be at it, for which this one has waited.
    let Ok(Some(_lock)) = RollLock::take(&context.control_folder(app)) else { return };
    let undone = async {
        if let Some(shipping) = Shipping::find(context, app)? {
            shipping.give_up(why, context, &Systemd::connect().await?).await?;
        }
        Ok::<_, Failure>(())
    };
    if let Err(error) = undone.await {
        announce(&format!("what was to be rolled is not taken back: {error}"));
    }
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

pub(super) fn sockets(settings: &Settings, context: &Context) -> ControlSockets {
    let folder = context.control_folder(&settings.name);
    ControlSockets { folder, timeout: settings.health.timeout }
}

/// Says it where `systemctl status` and `romuoctl reload` see it.
fn tell(text: &str) {
    // Without a notify socket, as when run by hand, there is nobody to tell.
    // On one line: another one would be another variable of the protocol (sd_notify(3)).
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&shown(text))]);
}

/// Says it where `systemctl status` and `romuoctl reload` see it, and in the journal.
fn announce(text: &str) {
    tell(text);
    let _ = writeln!(std::io::stderr(), "{}", shown_below(text, "  "));
}
