//! Keeps what an app serves from its folder as a release, so that there is a way back from its first deploy.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::statvfs;
use rustix::param::clock_ticks_per_second;
use rustix::process::geteuid;

use super::context::Context;
use super::error::Failure;
use super::installation;
use super::output::Printer;
use super::staging::Staging;
use super::survey::Survey;
use super::waiting::Waiting;
use crate::account::Owner;
use crate::clock::BootTime;
use crate::config::Settings;
use crate::install;
use crate::manager::{ServiceManager as _, Systemd};
use crate::release::{
    Comes, DeployLock, Entry, ReleaseId, Source, Store, Verdict, runs_releases, size, touched_since,
};
use crate::ship::Checkout;
use crate::unit::AppName;

/// What a start keeps of a folder at the most, in bytes: a few seconds of copying, and nobody asked for it.
const MOST: u64 = 1 << 30;

/// The same, as a share of the disk that is free: one in so many.
const SHARE: u64 = 4;

/// An app starts from its folder for the first time: as it is now, that is kept. The app starts whatever comes
/// of it. None: there is one already, or none can be.
pub(super) fn first(
    app: &AppName,
    context: &Context,
    printer: &Printer,
) -> Result<Option<ReleaseId>, Failure> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let installed = context.installed(app)?;
    let Some(home) = home(&installed, context) else { return Ok(None) };
    let (store, lock) = installation::releases(app, context)?;
    if last(&store)?.is_some() {
        return Ok(None);
    }
    let waiting = Waiting::begin(printer, "keeping the folder as it is, for a way back");
    let checkout = as_served(&home);
    let staging = Staging::new(installed, &checkout, &store)?;
    let rules = staging.rules(&Owner::of(&home).map_err(Failure::Runtime)?)?;
    let bytes = size(&home, &rules)?;
    let free = statvfs(store.folder()).map_err(|error| Failure::Runtime(error.into()))?;
    let free = free.f_bavail.saturating_mul(free.f_frsize);
    if bytes > MOST.min(free / SHARE) {
        drop(waiting);
        let (bytes, free) = (bytes >> 20, free >> 20);
        printer.warn(format!(
            "{} has {bytes} MB, and {free} MB of the disk are free: it is not kept now for a way back from the first \
             deploy, which keeps it where nobody has changed it by then",
            home.display()
        ));
        return Ok(None);
    }
    let id = store.next_id(None)?;
    staging.stage(&id, &rules, &store, &lock)?;
    Ok(Some(id))
}

/// Whether the app has started from what was kept.
pub(super) fn judge(
    kept: &ReleaseId,
    is_well: bool,
    app: &AppName,
    context: &Context,
) -> Result<(), Failure> {
    let history = Store::new(context.root(), app).history();
    let said = if is_well {
        history.serves(kept, Comes::Next, None)
    } else {
        history.judge(kept, Verdict::Failed, Some("the app did not start"), None)
    };
    Ok(said?)
}

/// The app was started: a release that was shipped while it was stopped has served from now on.
pub(super) fn serves(app: &AppName, context: &Context) -> Result<(), Failure> {
    let store = Store::new(context.root(), app);
    let Some(current) = store.current()?.filter(|_| geteuid().is_root()) else { return Ok(()) };
    let history = store.history();
    if matches!(history.verdict(&current)?, Some(Verdict::Staged | Verdict::Failed)) {
        history.serves(&current, Comes::Next, None)?;
    }
    Ok(())
}

/// What an app has served so far, which is about to be deployed for the first time; none: it runs releases
/// already, or what it has served is not to be had any more.
pub(super) async fn served(
    app: &AppName,
    home: &Path,
    (store, lock): (&Store, &DeployLock),
    context: &Context,
    manager: &Systemd,
    printer: &Printer,
) -> Result<Option<ReleaseId>, Failure> {
    let installed = context.installed(app)?;
    if runs_releases(app, &installed.directory) {
        return Ok(None);
    }
    let kept = last(store)?;
    let Some(since) = began(app, context, manager).await? else {
        return Ok(kept.map(|entry| entry.id));
    };
    let identity = install::below(context.root(), &install::identity_path(app));
    if fs::metadata(identity).and_then(|it| it.modified()).is_ok_and(|given| given > since) {
        printer.warn(format!(
            "{app} still serves what was installed from another folder before: from this release there is no way back"
        ));
        return Ok(None);
    }
    let waiting = Waiting::begin(printer, "keeping what serves, for a way back");
    // A file of a site is read when somebody asks for it.
    let is_live = installed.site.is_some();
    let checkout = as_served(home);
    let staging = Staging::new(installed, &checkout, store)?;
    let rules = staging.rules(&Owner::of(home).map_err(Failure::Runtime)?)?;
    let is_as = |since| touched_since(home, &rules, since).map(|it| !it);
    if let Some(kept) = &kept
        && is_as(kept.staged_at.into())?
    {
        return Ok(Some(kept.id.clone()));
    }
    if is_live || is_as(since)? {
        let id = store.next_id(None)?;
        staging.stage(&id, &rules, store, lock)?;
        store.history().serves(&id, Comes::Next, None)?;
        return Ok(Some(id));
    }
    drop(waiting);
    let home = home.display();
    if let Some(entry) = kept {
        let at = entry.staged_at.strftime("%Y-%m-%d %H:%M UTC");
        let id = &entry.id;
        printer.tell(format!("the way back leads to {home} as it was at {at}: release {id}"));
        return Ok(Some(entry.id));
    }
    printer.warn(format!(
        "{home} was changed after {app} was started, so nothing is left of what serves now: from this release there is \
         no way back"
    ));
    Ok(None)
}

/// What serves from a folder.
fn as_served(home: &Path) -> Checkout {
    Checkout::plain(home.to_path_buf(), home.to_path_buf(), Source::Served)
}

/// That of what was kept last which is still there.
pub(super) fn last(store: &Store) -> Result<Option<Entry>, Failure> {
    let there = store.releases()?;
    let is_kept = |entry: &Entry| {
        let has_served = !matches!(entry.verdict, Verdict::Staged | Verdict::Failed);
        entry.source == Source::Served && has_served && there.contains(&entry.id)
    };
    Ok(store.history().entries()?.into_iter().rev().find(is_kept))
}

/// The folder that an app is installed from; none: it runs releases, or it was installed from somewhere else.
fn home(installed: &Settings, context: &Context) -> Option<PathBuf> {
    let app = &installed.name;
    if runs_releases(app, &installed.directory) {
        return None;
    }
    let file = install::written(context.root(), app)?.path;
    let home = file.parent().filter(|home| installed.directory.starts_with(home))?;
    (file != install::config_path(app)).then(|| home.to_path_buf())
}

/// Since when what serves is what it is: the first of the times at which the instances read their programs; none:
/// the app is stopped.
async fn began(
    app: &AppName,
    context: &Context,
    manager: &Systemd,
) -> Result<Option<SystemTime>, Failure> {
    let survey = Survey::take(app, context.root(), manager).await?;
    let health = survey.health(context).await;
    let mut first = None::<SystemTime>;
    for ((id, unit), probed) in survey.instances.iter().zip(health) {
        if !unit.is_up() {
            continue;
        }
        // A reload may have swapped the program behind the front since the unit was started.
        let program = probed.and_then(|probed| process_began(probed.ok()?.app?.pid?));
        let unit = manager.status(&app.instance(*id)).await?;
        let began = program.or(unit.files.read).unwrap_or(SystemTime::UNIX_EPOCH);
        first = Some(first.map_or(began, |first| first.min(began)));
    }
    Ok(first)
}

/// When a process was started (`starttime`, proc_pid_stat(5)).
fn process_began(pid: u32) -> Option<SystemTime> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // `pid (name) state ppid ... starttime ...`; the name may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let ticks: u64 = rest.split(' ').nth(19)?.parse().ok()?;
    let after_boot = Duration::from_millis(ticks.checked_mul(1000)? / clock_ticks_per_second());
    let ago = BootTime::now().since(BootTime::after_boot(after_boot));
    SystemTime::now().checked_sub(ago)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_began_when_it_did() {
        let began = process_began(std::process::id()).unwrap();
        assert!(began <= SystemTime::now());
        // Its folder there is made after it, with a later time, and a tick is 10 ms at the most.
        let earliest = SystemTime::now() - Duration::from_secs(24 * 60 * 60);
        assert!(began > earliest);
        assert_eq!(process_began(u32::MAX), None);
    }
}
