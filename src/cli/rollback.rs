//! `romuoctl rollback`: brings back a release from before, by the same roll and through the same gate.

use super::bring::{Brought, Wish};
use super::context::Context;
use super::error::{Exit, Failure};
use super::output::{Format, Printer};
use super::ports;
use super::reload;
use super::scale;
use super::status::Status;
use super::{installation, keep};
use crate::clock::BootTime;
use crate::config;
use crate::manager::Systemd;
use crate::release::{Pin, Purpose, ReleaseId, Request, Store};
use crate::unit::AppName;

#[derive(Debug, clap::Args)]
pub(super) struct Rollback {
    /// Which release: its id, the begin or the commit of it, or `base` for what served before the first
    /// deploy; without it: the one that served before
    #[arg(value_name = "ID")]
    release: Option<String>,
}

impl Rollback {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("rollback")?;
        context.as_root("rollback")?;
        installation::refuse_elsewhere(context)?;
        let app = context.app()?;
        if !context.is_installed(&app) {
            return Err(Failure::NotInstalled { app });
        }
        let (store, lock) = installation::releases(&app, context)?;
        let to = match &self.release {
            Some(name) => named(name, &app, &store)?,
            None => before(&app, &store, context)?,
        };
        let manager = Systemd::connect().await?;
        let settings = config::load(&store.config_path(&to))?;
        let before = context.installed(&app)?.instances;
        let change = ports::foresee(&settings, context, &manager).await?;
        for sentence in ports::sentences(&change) {
            printer.tell(format!("the roll {sentence}"));
        }
        let (purpose, since) = (Purpose::Rollback, BootTime::now());
        let wish = Wish { to, purpose, since, app: &app, store: &store, kept: None };
        let brought = wish.bring(context, &manager, printer).await?;
        drop(lock);
        let Brought::Rolled(outcome) = brought else {
            let to = &wish.to;
            scale::follow(&settings, before, context, printer).await;
            printer.say(format!("the app is stopped: `romuoctl start` starts it with {to}"));
            return Ok(Exit::Done);
        };
        ports::sweep(&outcome);
        if outcome.is_done() {
            scale::follow(&settings, before, context, printer).await;
        }
        if printer.format == Format::Json {
            printer.answer(&outcome, "");
        }
        if !outcome.is_well() {
            return Err(reload::failure(&app, &outcome));
        }
        printer.say(&outcome);
        if printer.format == Format::Text && !printer.quiet {
            Status::of(&app, context, printer).await?;
        }
        Ok(Exit::Done)
    }
}

/// What a person means by a name.
fn named(name: &str, app: &AppName, store: &Store) -> Result<Pin, Failure> {
    let is_meant = |id: &ReleaseId| {
        let commit = id.commit().is_some_and(|commit| name.starts_with(commit));
        id.to_string().starts_with(name) || commit
    };
    if name == String::from(Pin::Base)
        && let Some(kept) = keep::last(store)?
    {
        return Ok(Pin::Release(kept.id));
    }
    let meant: Vec<_> = store.releases()?.into_iter().filter(is_meant).collect();
    match <[ReleaseId; 1]>::try_from(meant) {
        Ok([id]) => Ok(Pin::Release(id)),
        Err(many) => {
            let many = many.iter().map(ToString::to_string).collect();
            Err(Failure::WhichRelease { app: app.clone(), name: name.into(), many })
        }
    }
}

/// What served before; never what was not tried. Where some instances run something else than the others, it
/// is what came out well last.
fn before(app: &AppName, store: &Store, context: &Context) -> Result<Pin, Failure> {
    let none = || Failure::NoRelease { app: app.clone() };
    let Some(release) = store.current()? else { return Err(none()) };
    let current = Pin::Release(release.clone());
    let is_under_way = Request::read(&Request::path(context.root(), app))?.is_some();
    if is_under_way || store.pins()?.values().any(|pin| *pin != current) {
        return Ok(current);
    }
    let served = store.history().before(&release, &store.releases()?)?;
    served.map(Pin::Release).ok_or_else(none)
}
