//! `romuoctl install-units`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::{Exit, Failure};
use super::installation;
use super::lifecycle;
use super::output::{BELOW, Printer};
use super::scaling::installing;
use super::uninstall::forget_rolls;
use crate::config::{self, Settings};
use crate::install::{self, Change, Identity, Install, Plan, Resolved, VersionError, Written};
use crate::manager::{ServiceManager, Systemd, Verb};
use crate::release::{Pin, Store, runs_releases};
use crate::render::{self, Host};
use crate::ship;
use crate::text::{shown, shown_below, shown_path};
use crate::unit::AppName;

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct InstallUnits {
    /// Show what would change, and change nothing; needs no root
    #[arg(long)]
    dry_run: bool,
    /// Show every changed line
    #[arg(long)]
    diff: bool,
    /// Start the app too
    #[arg(long)]
    now: bool,
    /// Do not start the app at boot
    #[arg(long)]
    no_enable: bool,
    /// Overwrite files that someone else wrote or edited
    #[arg(long)]
    force: bool,
}

impl InstallUnits {
    /// Of an app that is installed, and whose start at boot is to stay as it is.
    pub(super) fn again() -> Self {
        Self { dry_run: false, diff: false, now: false, no_enable: true, force: false }
    }

    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        if !self.dry_run {
            context.as_root("install-units")?;
        }
        let (settings, source) = context.settings()?;
        let root = context.root();
        let leaves = leaves_releases(&settings, context);
        if leaves && !self.force {
            return Err(Failure::RunsReleases { app: settings.name });
        }
        install::refuse_taken(root, &settings.name)?;
        let source = std::path::absolute(source).map_err(Failure::Runtime)?;
        let other = installation::other(&settings.name, &source, context)?;
        if !self.force {
            let (app, other) = (&settings.name, other.as_deref());
            installation::refuse_frozen(&settings)?;
            installation::refuse_where_there(app, &source, other, context)?;
            let home = source.parent().unwrap_or(Path::new("/"));
            ship::refuse_writable(&settings, home)?;
        }
        let written = Written::of(&source, &config::to_toml(&settings));
        let resolved = resolved(settings, root)?;
        let settings = &resolved.settings;
        let app = &settings.name;
        let manager = running_manager(context).await?;
        let host = host(root, manager.as_ref()).await?;
        let obstacles = obstacles(&resolved, &host, manager.as_ref()).await?;
        if !self.dry_run && !self.force && !obstacles.is_empty() {
            return Err(Failure::WouldNotStart { app: app.clone(), why: obstacles.join("; and ") });
        }
        let units = render::render(settings, &host)?;
        install::verify(&units, &host, root)?;

        let store = Store::new(root, app);
        // A deploy would install what it has found before. Planned and applied under one lock; who only looks
        // needs none.
        let is_known = !self.dry_run && store.folder().exists();
        let no_deploy = is_known.then(|| store.lock()).transpose()?;
        let lock = if self.dry_run { None } else { Some(installing(context).await?) };
        let earlier = context.installed_instances(settings);
        let install = Install {
            units: &units,
            config: &config::to_toml(settings),
            source: &source,
            written,
            directory: &settings.directory,
            instances: settings.instances.count(cpus()),
            earlier_instances: earlier.map(|instances| instances.count(cpus())),
            enable: !self.no_enable,
            force: self.force,
        };
        let mut plan = install::plan(root, &install)?;
        // What is to run the releases that are there, as from a backup, has them for its own.
        let is_missing = !context.is_installed(app) && !runs_releases(app, &settings.directory);
        let is_new = is_missing || other.is_some();
        let which = match &other {
            Some(_) => Identity::Another,
            None => self.identity(is_missing, &store)?,
        };
        let identity = install::identify(root, app, which, &mut plan).map_err(Failure::Runtime)?;
        let nothing = format!("{app} is installed as it should be");
        show(printer, &plan, self.diff, &nothing, Some(&resolved));
        for obstacle in &obstacles {
            printer.warn(format!("{app} will not start: {obstacle}"));
        }
        if let Some(sentence) = install::runs_as_root(settings, root) {
            printer.warn(sentence);
        }
        if let Some(manager) = &manager {
            refuse_other_ports(settings, manager).await?;
        }
        say_whence(printer, settings, leaves, other.as_deref());
        let Some(lock) = lock else { return Ok(Exit::Done) };
        install::apply(&lock, &plan)?;
        if leaves {
            // No instance is to come back to them.
            for instance in store.pins()?.into_keys() {
                store.unpin(instance)?;
            }
            store.set_current(Pin::Base)?;
        }
        if let Some(no_deploy) = &no_deploy
            && let Some(aside) = installation::settle((&store, no_deploy), &identity, is_new)?
        {
            printer.say(format!(
                "releases of an earlier installation of {app} were put aside, and are not used: {}",
                shown_path(&aside)
            ));
        }
        if is_new {
            forget_rolls(app, context);
        }
        drop((lock, no_deploy));

        match manager {
            Some(manager) => self.activate(app, &plan, &manager, context, printer).await?,
            None => printer.say("systemd is not running here: the units wait for the next boot"),
        }
        Ok(Exit::Done)
    }

    /// The identity of an installation that takes the place of no other app.
    fn identity(&self, is_new: bool, store: &Store) -> Result<Identity, Failure> {
        Ok(match self.dry_run {
            true => Identity::Known("a random number".into()),
            false if is_new => Identity::Own,
            // An earlier version gave it none, and what is there is its own.
            false => store.installation()?.map_or(Identity::Own, Identity::Known),
        })
    }

    /// Makes the running systemd know what was installed, and starts it if asked to.
    async fn activate(
        self,
        app: &AppName,
        plan: &Plan,
        manager: &Systemd,
        context: &Context,
        printer: &Printer,
    ) -> Result<(), Failure> {
        // One before this may have been ended between the two.
        if plan.needs_reload() || is_stale(app, manager).await? {
            manager.daemon_reload().await?;
        }
        let running = manager.status(&app.target()).await?.is_up();
        if self.now {
            stop_unlinked(manager, app, plan).await?;
            lifecycle::start(app, context, printer).await?;
        }
        if running && !plan.is_empty() {
            printer.say("the running instances are as they were: `romuoctl reload` rolls them");
        } else if !running && !self.now {
            printer.say("`romuoctl start` starts it");
        }
        Ok(())
    }
}

/// Whether systemd has not read a unit of the app as it is by now.
async fn is_stale(app: &AppName, manager: &Systemd) -> Result<bool, Failure> {
    let instances = manager.names(&[&format!("{app}@*.service")]).await?;
    let instances = instances.into_iter().map(|unit| unit.name);
    for unit in [app.target(), app.socket(), app.roll()].into_iter().chain(instances) {
        if manager.status(&unit).await?.files.stale {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Says where the app runs from now, if that is somewhere else than before.
fn say_whence(printer: &Printer, settings: &Settings, leaves: bool, other: Option<&Path>) {
    let (app, folder) = (&settings.name, settings.directory.display());
    if leaves {
        printer.say(format!(
            "the app ran from its releases, and runs from {folder} again: `romuoctl deploy` ships what lies there"
        ));
    }
    if let Some(other) = other {
        let from = shown_path(other.parent().unwrap_or(other));
        printer.say(format!("{app} was installed from {from}, and is from {folder} now"));
    }
}

/// What will keep the instances from starting: a sentence each.
async fn obstacles(
    resolved: &Resolved,
    host: &Host,
    manager: Option<&Systemd>,
) -> Result<Vec<String>, Failure> {
    let (settings, mut obstacles) = (&resolved.settings, resolved.obstacles.clone());
    let Some(manager) = manager else { return Ok(obstacles) };
    obstacles.extend(taken_ports(settings, manager).await?);
    // As `cargo install` leaves it in the home of whoever has called.
    if let Some(closed) = install::out_of_reach(settings, &host.server) {
        obstacles.push(format!(
            "{} is not open to the user that the app runs as: `sudo install -m 755 {} {} /usr/local/bin/`, and call \
             that romuoctl",
            closed.display(),
            host.ctl.display(),
            host.server.display()
        ));
    }
    Ok(obstacles)
}

/// Whether the installed app runs releases, and is not to any more.
fn leaves_releases(settings: &Settings, context: &Context) -> bool {
    let runs = |settings: &Settings| runs_releases(&settings.name, &settings.directory);
    !runs(settings) && context.installed(&settings.name).is_ok_and(|installed| runs(&installed))
}

/// Refuses other addresses while the socket is open: systemd would close it when it reads the units
/// again, under the instances that serve from it.
async fn refuse_other_ports(settings: &Settings, manager: &Systemd) -> Result<(), Failure> {
    let socket = manager.status(&settings.name.socket()).await?;
    let new: BTreeSet<_> = settings.listen.iter().map(ToString::to_string).collect();
    if !socket.is_up() || new == socket.listen.iter().cloned().collect() {
        return Ok(());
    }
    Err(Failure::OtherPorts { app: settings.name.clone(), open: socket.listen.join(", ") })
}

/// The addresses that others listen on, and who: a sentence each. What is open already is the app's own.
pub(super) async fn taken_ports(
    settings: &Settings,
    manager: &Systemd,
) -> Result<Vec<String>, Failure> {
    let own = manager.status(&settings.name.socket()).await?;
    if own.is_up() {
        return Ok(Vec::new());
    }
    let mut sentences = Vec::new();
    for address in settings.listen.iter().filter(|address| install::is_held(address)) {
        let who = match install::holder(address) {
            // It holds the sockets of units.
            Some((1, _)) => {
                let text = address.to_string();
                let sockets = manager.list(&["*.socket"]).await?;
                let unit =
                    sockets.into_iter().find(|unit| unit.is_up() && unit.listen.contains(&text));
                unit.map_or_else(|| "a socket unit of systemd".into(), |unit| unit.name.to_string())
            }
            Some((pid, program)) => format!("process {pid} ({})", shown(&program)),
            None => "somebody else".into(),
        };
        sentences.push(format!("{who} listens on {address} already: choose another `listen`"));
    }
    Ok(sentences)
}

/// The systemd to talk to; none where it is not running (sd_booted(3)) or the root is another.
pub(super) async fn running_manager(context: &Context) -> Result<Option<Systemd>, Failure> {
    let booted = Path::new("/run/systemd/system").exists();
    if context.root() != Path::new("/") || !booted {
        return Ok(None);
    }
    Ok(Some(Systemd::connect().await?))
}

/// What the units have to know of the machine below `root`. romuo-server lies beside romuoctl; a
/// romuoctl that lies below the root itself is named as that machine sees it.
pub(super) async fn host(root: &Path, manager: Option<&Systemd>) -> Result<Host, Failure> {
    let here = std::env::current_exe().map_err(Failure::Runtime)?;
    let ctl = here.strip_prefix(root).map_or(here.clone(), |inside| Path::new("/").join(inside));
    let systemd = match manager {
        Some(manager) => {
            let text = manager.version().await?;
            install::parse_version(&text).ok_or(VersionError::Parse(text))?
        }
        None => install::systemd_version()?,
    };
    Ok(Host { server: ctl.with_file_name("romuo-server"), ctl, systemd })
}

/// Instances that are not linked any more are stopped, not only left out at the next boot.
async fn stop_unlinked(manager: &Systemd, app: &AppName, plan: &Plan) -> Result<(), Failure> {
    for change in &plan.changes {
        let Change::Unlink { path } = change else { continue };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(id) = app.instance_of(name) {
            manager.run(Verb::Stop, &app.instance(id)).await?;
        }
    }
    Ok(())
}

pub(super) fn show(
    printer: &Printer,
    plan: &Plan,
    diff: bool,
    empty: &str,
    resolved: Option<&Resolved>,
) {
    #[derive(serde::Serialize)]
    struct Shown<'a> {
        changes: Vec<String>,
        left: Vec<PathBuf>,
        unread: Vec<PathBuf>,
        opened: &'a [String],
        notes: &'a [String],
    }
    let changes = plan.changes.iter().map(ToString::to_string).collect();
    let (opened, notes) =
        resolved.map_or((&[][..], &[][..]), |resolved| (&resolved.opened, &resolved.notes));
    let (left, unread) = (plan.left.clone(), plan.unread.clone());
    let shown = Shown { changes, left, unread, opened, notes };
    let mut text =
        if plan.is_empty() { format!("{empty}: nothing to change") } else { plan.to_string() };
    if diff {
        let _ = write!(text, "{}", plan.diff());
    }
    printer.answer(&shown, text.trim_end());
    for path in &plan.unread {
        printer.say(format!("not compared, because only root may read it: {}", shown_path(path)));
    }
    for sentence in opened {
        printer.say(format!("the app {}", shown_below(sentence, BELOW)));
    }
    for note in notes {
        printer.say(shown_below(note, BELOW));
    }
}

/// The settings with the program that really runs, and what there is to know of it. For the machine of
/// another root the command has to be spelled out.
pub(super) fn resolved(settings: Settings, root: &Path) -> Result<Resolved, Failure> {
    if root == Path::new("/") {
        let search = std::env::var_os("PATH").unwrap_or_default();
        return Ok(install::resolve(settings, &search)?);
    }
    Ok(install::spelled_out(settings, root)?)
}

pub(super) fn cpus() -> NonZeroU16 {
    let cpus = std::thread::available_parallelism().ok();
    cpus.and_then(|cpus| NonZeroU16::try_from(cpus).ok()).unwrap_or(NonZeroU16::MIN)
}
