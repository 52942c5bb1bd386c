//! Has the roller bring the instances of an app to another release.

use super::context::Context;
use super::error::Failure;
use super::output::Printer;
use super::{alone, reload, roll};
use crate::clock::BootTime;
use crate::config;
use crate::manager::{ServiceManager as _, Systemd};
use crate::release::{Pin, Purpose, ReleaseId, Request, Store, runs_releases};
use crate::roll::Outcome;
use crate::unit::AppName;

/// What the instances are to be brought to.
pub(super) struct Wish<'a> {
    pub(super) to: Pin,
    pub(super) purpose: Purpose,
    /// When it was begun, for the history.
    pub(super) since: BootTime,
    pub(super) app: &'a AppName,
    pub(super) store: &'a Store,
    /// What the app has served from its folder until now, as a release; none: it runs releases already, or
    /// nothing is left of that.
    pub(super) kept: Option<ReleaseId>,
}

/// What came of it.
pub(super) enum Brought {
    /// There was a roll.
    Rolled(Box<Outcome>),
    /// The app is stopped, and starts with it.
    Stopped,
}

impl Wish<'_> {
    /// Asks for it, and waits for what comes of it.
    pub(super) async fn bring(
        &self,
        context: &Context,
        manager: &Systemd,
        printer: &Printer,
    ) -> Result<Brought, Failure> {
        self.ask(context, printer).await?;
        if !manager.status(&self.app.roll()).await?.is_up() {
            roll::bring_stopped(self.app, context, manager).await?;
            return Ok(Brought::Stopped);
        }
        let asked = reload::ask(self.app, context, manager, printer).await?;
        let said = asked.outcome.filter(|outcome| {
            // Another roll may have come first, and done what was asked for here.
            let is_ours = outcome.release.as_deref() == Some(&*String::from(self.to.clone()));
            is_ours || (outcome.is_done() && self.is_current())
        });
        match said {
            Some(outcome) => Ok(Brought::Rolled(Box::new(outcome))),
            None => Err(reload::no_verdict(self.app, manager, &asked.result).await),
        }
    }

    /// Asks the next roller for it. While one is rolling it has its own to do.
    async fn ask(&self, context: &Context, printer: &Printer) -> Result<(), Failure> {
        let told = |text: &str| printer.tell(text);
        let _lock = alone::lock("deploy", self.app, context, false, told).await?;
        if let Some(kept) = &self.kept {
            self.store.set_current(kept)?;
        }
        let back = self.store.current()?.map_or(Pin::Base, Pin::Release);
        if back == Pin::Base {
            // After a first deploy that was killed it is that of a release already.
            let installed = context.installed(self.app)?;
            if !runs_releases(self.app, &installed.directory) {
                self.store.set_base(&config::to_toml(&installed))?;
            }
        }
        let Self { to, purpose, since, app, .. } = self;
        let request = Request {
            to: to.clone(),
            back,
            purpose: *purpose,
            about: to.release().cloned(),
            since: *since,
            failed: None,
        };
        Ok(request.write(&Request::path(context.root(), app))?)
    }

    fn is_current(&self) -> bool {
        self.store.current().is_ok_and(|current| current.as_ref() == self.to.release())
    }
}
