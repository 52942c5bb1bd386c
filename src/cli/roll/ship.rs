//! Brings the instances to another release, and back where that is not well.
//!
//! Whatever ends this process, the request lies in `/run` and the pins in `/var`: each instance comes up
//! with what it is pinned to, and the next roll goes on where this one was.

use std::collections::BTreeSet;
use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;

use super::super::context::Context;
use super::super::error::Failure;
use super::super::survey::Survey;
use super::announce;
use super::pass::Pass;
use super::whole::Whole;
use crate::clock::BootTime;
use crate::config::Settings;
use crate::manager::Systemd;
use crate::release::{
    Comes, Pin, Purpose, ReleaseError, Request, Store, Trials, Verdict as Judged,
};
use crate::roll::{Back, Outcome, Proven, Releases, Untried, Verdict};
use crate::unit::{AppName, InstanceId};

/// What the instances are brought to.
#[derive(Debug)]
pub(super) struct Shipping {
    pub(super) app: AppName,
    pub(super) store: Store,
    trials: Trials,
    path: PathBuf,
    pub(super) request: Request,
    /// The units or the configuration had to be changed for it.
    is_fitted: bool,
}

impl Shipping {
    /// What is asked for, or what a deploy that did not come to its end has left; none: all are to run
    /// the same again.
    pub(super) fn find(context: &Context, app: &AppName) -> Result<Option<Self>, Failure> {
        let (store, trials) = (Store::new(context.root(), app), Trials::new(context.root(), app));
        let path = Request::path(context.root(), app);
        let request = match Request::read(&path)? {
            Some(request) => Some(request),
            None => mend(&store)?,
        };
        let app = app.clone();
        Ok(request.map(|request| Self { app, store, trials, path, request, is_fitted: false }))
    }

    /// Makes the machine fit it. From now on each instance has a pin, so that none takes the new
    /// configuration for what it runs. `has_run`: instances have run what is to be left.
    pub(super) async fn begin(
        &mut self,
        has_run: bool,
        context: &Context,
        manager: &Systemd,
    ) -> Result<(), Failure> {
        if self.request.purpose == Purpose::Mend {
            announce(&format!("some instances run something else: all go to {}", self.request.to));
        }
        self.pin_all(context, manager, &self.request.back, false).await?;
        self.judge_left(has_run);
        let ready = self.make_ready(context, manager).await;
        match ready {
            Ok(is_fitted) => self.is_fitted = is_fitted,
            Err(error) => {
                // Nothing was touched.
                self.judge_untried(&error.to_string());
                Request::remove(&self.path)?;
                return Err(error);
            }
        }
        Ok(())
    }

    /// What the instances run from their next start on.
    pub(super) fn releases(&self) -> Box<dyn Releases + '_> {
        let Self { store, trials, .. } = self;
        match &self.request.to {
            Pin::Release(release) if self.proves() => Box::new(Untried { store, trials, release }),
            pin => Box::new(Proven { store, trials, pin }),
        }
    }

    /// Whether it has still to show that it is well.
    pub(super) fn proves(&self) -> bool {
        self.request.failed.is_none() && self.request.to != self.request.back
    }

    /// How long the first one is watched: what served before was watched then.
    pub(super) fn watch(&self, settings: &Settings) -> Duration {
        if self.proves() && self.request.purpose == Purpose::Deploy {
            settings.deploy.watch
        } else {
            Duration::ZERO
        }
    }

    /// What each instance is to say that it runs; none: it is no release.
    pub(super) fn release(&self) -> Option<String> {
        self.request.to.release().map(ToString::to_string)
    }

    /// What all are to run, as in the request.
    pub(super) fn to(&self) -> String {
        self.request.to.clone().into()
    }

    /// Extra instances serve while others are rolled: with what has served so far.
    pub(super) fn shelter(&self, extra: &[InstanceId]) -> Result<(), ReleaseError> {
        extra.iter().try_for_each(|id| self.store.pin(*id, &self.request.back))
    }

    /// Those that do not stay need no pin.
    pub(super) fn unshelter(&self, extra: &[InstanceId], kept: &[InstanceId]) {
        for id in extra.iter().filter(|id| !kept.contains(id)) {
            if let Err(error) = self.store.unpin(*id) {
                announce(&error.to_string());
            }
        }
    }

    /// All instances run it well.
    pub(super) async fn is_done(
        &self,
        context: &Context,
        manager: &Systemd,
    ) -> Result<(), Failure> {
        self.lay_out(context, manager).await?;
        match &self.request.failed {
            None => self.serves(),
            Some(reason) => self.judge(Judged::RolledBack, reason),
        }
        Ok(Request::remove(&self.path)?)
    }

    /// The app is stopped, and starts with it. What was shipped and never ran stays [`Judged::Staged`].
    pub(super) async fn is_laid_out(
        &self,
        context: &Context,
        manager: &Systemd,
    ) -> Result<(), Failure> {
        self.lay_out(context, manager).await?;
        let history = self.store.history();
        let verdict = match &self.request.about {
            Some(about) => history.verdict(about)?,
            None => None,
        };
        if verdict != Some(Judged::Staged) {
            self.serves();
        }
        Ok(Request::remove(&self.path)?)
    }

    /// From now on each start is one with it, also of those that are stopped.
    async fn lay_out(&self, context: &Context, manager: &Systemd) -> Result<(), Failure> {
        self.trials.clear()?;
        self.store.set_current(&self.request.to)?;
        self.pin_all(context, manager, &self.request.to, true).await
    }

    /// It is not well: the instances that have it go back, and with them units and configuration. None:
    /// that is what was being done.
    pub(super) async fn go_back(
        &mut self,
        outcome: &Outcome,
        verdict: &Verdict,
        context: &Context,
        manager: &Systemd,
    ) -> Option<Back> {
        if !self.proves() {
            return None;
        }
        let back = self.request.back.clone();
        announce(&format!("{outcome}; going back to {back}"));
        let reason = outcome.halt.as_ref().map(|halt| format!("{} {}", halt.unit, halt.reason));
        let reason = reason.unwrap_or_else(|| "it was canceled".into());
        let request =
            Request { to: back.clone(), failed: Some(reason.clone()), ..self.request.clone() };
        if let Err(error) = request.write(&self.path) {
            announce(&error.to_string());
        }
        self.request = request;
        let touched = self.touched(verdict);
        let went = self.return_those(&touched, context, manager).await;
        let failed = went.err().map(|error| error.to_string());
        if outcome.halt.is_none() {
            self.judge_untried(&reason);
        } else {
            let judged = if touched.is_empty() { Judged::Failed } else { Judged::RolledBack };
            self.judge(judged, &reason);
        }
        if failed.is_none()
            && let Err(error) = Request::remove(&self.path)
        {
            announce(&error.to_string());
        }
        let rolled = touched.iter().map(ToString::to_string).collect();
        Some(Back { to: back.to_string(), rolled, failed })
    }

    /// It is not to be: what comes up next is what was well before.
    pub(super) async fn give_up(
        &self,
        why: &str,
        context: &Context,
        manager: &Systemd,
    ) -> Result<(), Failure> {
        self.trials.clear()?;
        self.pin_all(context, manager, &self.request.back, true).await?;
        self.judge_untried(why);
        Request::remove(&self.path)?;
        self.fit_back(context, manager).await
    }

    /// Instances that have it, or have been started with its units.
    fn touched(&self, verdict: &Verdict) -> Vec<InstanceId> {
        let failed = verdict.failed.iter().filter(|one| {
            let is_back = one.is_put_back && !self.is_fitted;
            !one.serves_on && !is_back
        });
        let rolled = verdict.rolled.iter().map(|one| one.id);
        rolled.chain(failed.map(|one| one.instance)).collect()
    }

    async fn return_those(
        &self,
        touched: &[InstanceId],
        context: &Context,
        manager: &Systemd,
    ) -> Result<(), Failure> {
        self.trials.clear()?;
        self.fit_back(context, manager).await?;
        if touched.is_empty() {
            return Ok(());
        }
        let settings = &context.installed(&self.app)?;
        let whole = Whole::plan(settings, context, manager, None, Some(touched)).await?;
        self.shelter(&whole.extra)?;
        let releases = self.releases();
        let pass = Pass {
            settings,
            context,
            manager,
            releases: &*releases,
            release: self.release(),
            watch: Duration::ZERO,
            started: BootTime::now(),
        };
        let verdict = pass.run(&whole, false, pending()).await?;
        self.unshelter(&whole.extra, &verdict.kept);
        match verdict.failed.first() {
            None => Ok(()),
            Some(failed) => {
                let sentence = format!("{} {}", self.app.instance(failed.instance), failed.reason);
                Err(Failure::Instances { sentence })
            }
        }
    }

    /// Pins all instances that there are; only those without a pin, unless `anew`. Those that are gone
    /// keep none.
    async fn pin_all(
        &self,
        context: &Context,
        manager: &Systemd,
        pin: &Pin,
        anew: bool,
    ) -> Result<(), Failure> {
        let there = Survey::instances(&self.app, context.root(), manager).await?;
        let there: BTreeSet<InstanceId> = there.into_iter().map(|(id, _)| id).collect();
        let pins = self.store.pins()?;
        for id in &there {
            if anew || !pins.contains_key(id) {
                self.store.pin(*id, pin)?;
            }
        }
        if anew {
            for id in pins.keys().filter(|id| !there.contains(id)) {
                self.store.unpin(*id)?;
            }
        }
        Ok(())
    }

    /// Says in the history what came of it.
    fn judge(&self, verdict: Judged, reason: &str) {
        let Some(about) = &self.request.about else { return };
        say(self.store.history().judge(about, verdict, Some(reason), self.took()));
    }

    /// The same where it did not come to show whether it is well: what has served before is not worse for that.
    fn judge_untried(&self, reason: &str) {
        if self.request.purpose == Purpose::Deploy {
            self.judge(Judged::Failed, reason);
        }
    }

    /// Says in the history that it serves.
    fn serves(&self) {
        let history = self.store.history();
        let is_rollback = self.request.purpose == Purpose::Rollback;
        let comes = if is_rollback { Comes::Back } else { Comes::Next };
        if let Some(about) = &self.request.about {
            say(history.serves(about, comes, self.took()));
        } else if let Some(left) = self.request.back.release().filter(|_| is_rollback) {
            say(history.judge(left, Judged::RolledBack, Some("by hand"), None));
        }
    }

    /// Says in the history what became of what is to be left, where nobody has said it yet: it was shipped while
    /// the app was stopped.
    fn judge_left(&self, has_run: bool) {
        let history = self.store.history();
        let Some(left) = self.request.back.release().filter(|_| self.proves()) else { return };
        if !matches!(history.verdict(left), Ok(Some(Judged::Staged))) {
            return;
        }
        say(if has_run {
            history.serves(left, Comes::Next, None)
        } else {
            let why = "the app was not started before another one came";
            history.judge(left, Judged::Failed, Some(why), None)
        });
    }

    /// How long its deploy has taken. What a rollback takes is another matter.
    fn took(&self) -> Option<Duration> {
        let is_deploy = self.request.purpose == Purpose::Deploy;
        is_deploy.then(|| BootTime::now().since(self.request.since))
    }
}

/// It is only the history: whatever comes of that, the instances are what they are.
fn say(written: Result<(), ReleaseError>) {
    if let Err(error) = written {
        announce(&error.to_string());
    }
}

/// Where some instances run something else than the release that came out well last, as after a reboot
/// in the middle of a deploy: all are to run that one.
fn mend(store: &Store) -> Result<Option<Request>, ReleaseError> {
    let Some(current) = store.current()? else { return Ok(None) };
    let current = Pin::Release(current);
    if store.pins()?.values().all(|pin| *pin == current) {
        return Ok(None);
    }
    Ok(Some(Request {
        to: current.clone(),
        back: current,
        purpose: Purpose::Mend,
        about: None,
        since: BootTime::now(),
        failed: None,
    }))
}
