//! The procedure of a deploy: check -> build -> stage -> rehearse -> roll.
//!
//! Until the roll begins nothing that serves is touched, and whatever ends this process leaves a staged
//! release at the most, which the next deploy knows how to clear. From there on the roller sees to it.

use std::path::Path;

use super::super::bring::{Brought, Wish};
use super::super::context::Context;
use super::super::error::Failure;
use super::super::fit::Fitting;
use super::super::install::{host, resolved, taken_ports};
use super::super::keep;
use super::super::lifecycle;
use super::super::output::{BELOW, Printer};
use super::super::ports;
use super::super::rehearse::rehearse;
use super::super::reload;
use super::super::scale;
use super::super::scaling::Interrupts;
use super::super::staging::Staging;
use super::home::Home;
use super::outcome::Deployed;
use super::steps::Steps;
use crate::account::Owner;
use crate::clock::BootTime;
use crate::config::{Instances, Settings};
use crate::install;
use crate::manager::{ServiceManager as _, Systemd};
use crate::release::{DeployLock, Purpose, ReleaseId, Request, Source, Store, Verdict};
use crate::render::Host;
use crate::roll::Outcome;
use crate::ship::{self, Checkout, Facts, ForRelease, Wanted, check_out, for_release};
use crate::text::shown_below;
use crate::unit::AppName;

/// A deploy under way.
pub(super) struct Procedure<'a> {
    home: &'a Home,
    store: &'a Store,
    lock: &'a DeployLock,
    context: &'a Context,
    printer: &'a Printer,
    manager: Systemd,
    host: Host,
    steps: Steps<'a>,
    /// As whom the lines of `[deploy]` run. It is found before anything of what is shipped does: a line may put
    /// another folder in the place of its own.
    owner: Owner,
    since: BootTime,
    /// How many instances the configuration has asked for so far.
    instances: Instances,
    /// What served until the first deploy, as a release.
    kept: Option<ReleaseId>,
    facts: Option<Facts>,
    roll: Option<Outcome>,
    /// The app is stopped, and no instance has run the release yet.
    is_stopped: bool,
}

impl<'a> Procedure<'a> {
    pub(super) async fn new(
        home: &'a Home,
        store: &'a Store,
        lock: &'a DeployLock,
        context: &'a Context,
        printer: &'a Printer,
    ) -> Result<Self, Failure> {
        let manager = Systemd::connect().await?;
        let host = host(context.root(), Some(&manager)).await?;
        let (steps, since) = (Steps::new(printer), BootTime::now());
        let owner = Owner::of(&home.folder).map_err(Failure::Runtime)?;
        let instances = context.installed(&home.settings.name)?.instances;
        Ok(Self {
            home,
            store,
            lock,
            context,
            printer,
            manager,
            host,
            steps,
            owner,
            since,
            instances,
            kept: None,
            facts: None,
            roll: None,
            is_stopped: false,
        })
    }

    /// Does all of it. What it came to, and why it failed.
    pub(super) async fn run(mut self, wanted: Wanted) -> (Deployed, Result<(), Failure>) {
        let result = match Interrupts::new() {
            Err(error) => Err(error),
            // Each step hears of it itself: what it has begun it has to take back.
            Ok(mut interrupts) => self.ship(wanted, &mut interrupts).await,
        };
        let verdict = match &result {
            Ok(()) | Err(Failure::After { .. }) if self.is_stopped => Verdict::Staged,
            Ok(()) | Err(Failure::After { .. } | Failure::StillOpen { .. }) => Verdict::Serving,
            // All instances have it, and old addresses were being closed.
            Err(Failure::Interrupted { .. }) if self.is_current() => Verdict::Serving,
            // Where a roll goes on without it nobody knows yet.
            Err(Failure::Interrupted { goes_on: true, .. }) => Verdict::Staged,
            Err(Failure::RolledBack { .. }) => Verdict::RolledBack,
            Err(_) => Verdict::Failed,
        };
        let reason = result.as_ref().err().map(ToString::to_string);
        if let (Some(reason), Verdict::Failed | Verdict::RolledBack) = (&reason, verdict) {
            self.failed(verdict, reason).await;
        }
        let release = self.release().map(ToString::to_string);
        let serves = self.store.current().ok().flatten().map(|id| id.to_string());
        let (app, roll, steps) = (self.app().to_string(), self.roll, self.steps.into_done());
        (Deployed { app, release, serves, verdict, reason, steps, roll }, result)
    }

    fn app(&self) -> &AppName {
        &self.home.settings.name
    }

    fn release(&self) -> Option<&ReleaseId> {
        self.facts.as_ref()?.release.as_ref()
    }

    /// Whether its release is what all instances run from now on.
    fn is_current(&self) -> bool {
        self.release().is_some()
            && self.store.current().is_ok_and(|it| it.as_ref() == self.release())
    }

    async fn ship(&mut self, wanted: Wanted, interrupts: &mut Interrupts) -> Result<(), Failure> {
        self.clear()?;
        let (home, held) = (&self.home.folder, (self.store, self.lock));
        let served =
            keep::served(self.app(), home, held, self.context, &self.manager, self.printer);
        self.kept = served.await?;
        self.facts = Some(Facts {
            app: self.app().clone(),
            release: None,
            previous: self.store.current()?,
            commit: None,
            source: wanted.source(),
            home: self.home.folder.clone(),
            outcome: None,
        });
        let work = self.store.work().join(std::process::id().to_string());
        let step = self.steps.begin("check", "looking at what is to be shipped");
        let tell = |text: &str| self.printer.tell(text);
        let checkout = self.unless(interrupts, check_out(wanted, &work, tell)).await?;
        for warning in &checkout.warnings {
            self.printer.warn(warning);
        }
        let settings = self.settings(&checkout)?;
        let change = ports::foresee(&settings, self.context, &self.manager).await?;
        if self.never_ran(&settings.name).await? {
            let taken = taken_ports(&settings, &self.manager).await?;
            if !taken.is_empty() {
                let (app, why) = (settings.name, taken.join("; and "));
                return Err(Failure::WouldNotStart { app, why });
            }
        }
        self.steps.end(step, format!("{}: the configuration is good", checkout.source));
        for sentence in ports::sentences(&change) {
            self.printer.tell(format!("the roll {sentence}"));
        }
        let checkout = self.apart(checkout, &settings, &work, interrupts).await?;
        let shipped = Box::pin(self.ship_from(&checkout, settings, interrupts)).await;
        if checkout.folder != self.home.folder {
            // What cannot be removed now, the next deploy removes.
            let _ = checkout.discard(&work).await;
        }
        shipped
    }

    async fn ship_from(
        &mut self,
        checkout: &Checkout,
        settings: Settings,
        interrupts: &mut Interrupts,
    ) -> Result<(), Failure> {
        let id = self.store.next_id(checkout.commit.as_ref())?;
        if let Some(facts) = &mut self.facts {
            (facts.release, facts.commit) = (Some(id.clone()), checkout.commit.clone());
            (facts.source, facts.home) = (checkout.source.clone(), checkout.home.clone());
        }
        let lines = settings.deploy.build.clone();
        self.lines("build", &lines, checkout, &settings, interrupts).await?;
        let settings = self.stage(&id, checkout, settings)?;
        self.rehearse(&id, &settings).await?;
        let lines = settings.deploy.before.clone();
        self.lines("before", &lines, checkout, &settings, interrupts).await?;
        self.roll(&id, interrupts).await?;
        if let Some(outcome) = &self.roll {
            ports::sweep(outcome);
        }
        self.settle(&id, &settings).await;
        let lines = settings.deploy.after.clone();
        let after = self.lines("after", &lines, checkout, &settings, interrupts).await;
        after.map_err(|error| Failure::After {
            sentence: format!("release {id} serves, but `deploy.after` failed: {error}"),
        })?;
        match self.roll.as_ref().filter(|roll| !roll.is_well()) {
            None => Ok(()),
            Some(roll) => Err(Failure::StillOpen { sentence: roll.to_string() }),
        }
    }

    /// Clears what a deploy that was killed has left.
    fn clear(&self) -> Result<(), Failure> {
        let left = self.store.clean(self.lock)?;
        let (work, logs) = (self.store.work(), self.store.logs());
        // What is being built there ends first.
        let ended = ship::end_leftovers(&work)? + ship::end_leftovers(&logs)?;
        ship::prepare(&work, &logs)?;
        if left + ended > 0 {
            self.printer
                .tell("cleared what a deploy before, which did not come to its end, has left");
        }
        Ok(())
    }

    /// The settings of what is shipped.
    fn settings(&self, checkout: &Checkout) -> Result<Settings, Failure> {
        let settings = self.home.settings_in(checkout)?;
        if settings.name != *self.app() {
            return Err(Failure::OtherApp { app: self.app().clone(), other: settings.name });
        }
        Ok(settings)
    }

    /// A folder is built in a copy of it: it may be what serves.
    async fn apart(
        &mut self,
        checkout: Checkout,
        settings: &Settings,
        work: &Path,
        interrupts: &mut Interrupts,
    ) -> Result<Checkout, Failure> {
        let lines = &settings.deploy.build;
        if checkout.source != Source::Folder || lines.is_empty() {
            return Ok(checkout);
        }
        let step = self.steps.begin("copy", "copying the folder, to build the copy");
        let current = self.store.current_path();
        let ForRelease { links, .. } = for_release(settings.clone(), &checkout, &current)?;
        let apart = checkout.apart(work, links, lines, self.store);
        let copied = self.unless(interrupts, apart).await?;
        self.steps.end(step, format!("{} stays as it is", self.home.folder.display()));
        Ok(copied)
    }

    /// Runs lines of `[deploy]`.
    async fn lines(
        &mut self,
        key: &'static str,
        lines: &[String],
        checkout: &Checkout,
        settings: &Settings,
        interrupts: &mut Interrupts,
    ) -> Result<(), Failure> {
        let Some(facts) = self.facts.clone().filter(|_| !lines.is_empty()) else { return Ok(()) };
        let step = Steps::begin_aloud(key);
        let log = if let Some(id) = &facts.release {
            self.store.logs().join(format!("{id}.log"))
        } else {
            // It failed before there was one. What the last such one printed is not kept.
            let log = self.store.logs().join(format!("{key}.log"));
            let _ = std::fs::remove_file(&log);
            log
        };
        let tell = |line: &str| self.printer.tell(format!("$ {}", shown_below(line, BELOW)));
        let (folder, limit) = (&checkout.folder, settings.deploy.timeout);
        let run = ship::run(lines, key, folder, &self.owner, &facts, &log, limit, tell);
        self.unless(interrupts, run).await?;
        let count =
            if lines.len() == 1 { "1 line".into() } else { format!("{} lines", lines.len()) };
        self.steps.end(step, format!("{count}, kept in {}", log.display()));
        Ok(())
    }

    /// Makes a release of what was built; the settings that it has as one.
    fn stage(
        &mut self,
        id: &ReleaseId,
        checkout: &Checkout,
        settings: Settings,
    ) -> Result<Settings, Failure> {
        let step = self.steps.begin("stage", "copying what changed");
        let resolved = resolved(settings, self.context.root())?;
        let staging = Staging::new(resolved.settings, checkout, self.store)?;
        let settings = staging.settings.clone();
        // What the units would not take is found before anything is started.
        let fitting = Fitting::of(settings.clone(), &self.host)?;
        install::verify(&fitting.units, &self.host, self.context.root())?;
        fitting.plan(self.context)?;
        let rules = staging.rules(&self.owner)?;
        let staged = staging.stage(id, &rules, self.store, self.lock)?;
        for warning in &staged.warnings {
            self.printer.warn(warning);
        }
        self.store.set_home(&self.home.file)?;
        let new = match staged.copied + staged.shared {
            1 => "1 file is new".to_owned(),
            new => format!("{new} files are new"),
        };
        self.steps.end(step, format!("release {id}: {new}, {} as before", staged.linked));
        Ok(settings)
    }

    /// Starts one candidate beside the instances.
    async fn rehearse(&mut self, id: &ReleaseId, settings: &Settings) -> Result<(), Failure> {
        let step = self.steps.begin("rehearse", "starting a candidate beside the instances");
        let folder = self.store.path(id);
        let stay = settings.deploy.watch;
        // It is a large one.
        Box::pin(rehearse(settings, &folder, stay, &self.host, &self.manager)).await?;
        self.steps.end(step, format!("a candidate answers {} well", settings.health.path));
        Ok(())
    }

    /// Has the roller bring the instances to it.
    async fn roll(&mut self, id: &ReleaseId, interrupts: &mut Interrupts) -> Result<(), Failure> {
        let app = self.app().clone();
        let step = self.steps.begin("roll", "asking systemd for a roll");
        let (purpose, since, store) = (Purpose::Deploy, self.since, self.store);
        let kept = self.kept.clone();
        let wish = Wish { to: id.into(), purpose, since, app: &app, store, kept };
        let brought = wish.bring(self.context, &self.manager, self.printer);
        let said = match self.unless(interrupts, brought).await? {
            Brought::Stopped if self.never_ran(&app).await? => {
                lifecycle::start(&app, self.context, self.printer).await?;
                "nobody had started the app since the boot: it runs the release now".to_owned()
            }
            Brought::Stopped => {
                self.is_stopped = true;
                "the app is stopped, and starts with the release".to_owned()
            }
            Brought::Rolled(outcome) => {
                let said = outcome.to_string();
                let outcome = self.roll.insert(*outcome);
                if !outcome.is_done() {
                    return Err(reload::failure(&app, outcome));
                }
                said
            }
        };
        self.steps.end(step, said);
        Ok(())
    }

    /// Whether the app would run by now if it were not that nobody has started it: it is enabled, and did not
    /// run since the boot. One that did was stopped by somebody who wants it so.
    async fn never_ran(&self, app: &AppName) -> Result<bool, Failure> {
        let enabled = install::below(self.context.root(), &install::boot_link(app));
        let target = self.manager.status(&app.target()).await?;
        Ok(enabled.is_symlink() && !target.is_up() && target.files.read.is_none())
    }

    /// Brings the rest in line with what serves now. None of it can take that back.
    async fn settle(&mut self, id: &ReleaseId, settings: &Settings) {
        scale::follow(settings, self.instances, self.context, self.printer).await;
        if let Err(error) = self.store.history().give_up_staged(self.lock, id) {
            self.printer.warn(error);
        }
        match self.store.prune(self.lock, settings.deploy.keep) {
            Ok(pruned) => {
                for id in pruned {
                    // It is only the output of a build.
                    let log = self.store.logs().join(format!("{id}.log"));
                    let _ = std::fs::remove_file(log);
                }
            }
            Err(error) => self.printer.warn(format!("no release was pruned: {error}")),
        }
    }

    /// It failed: says so in the history, where the roller has not, and runs `deploy.on_failure`.
    async fn failed(&mut self, verdict: Verdict, reason: &str) {
        let Some(facts) = &mut self.facts else { return };
        facts.outcome = Some((verdict, reason.to_owned()));
        let staged = facts.release.clone().filter(|id| self.store.path(id).is_dir());
        if let (Some(id), None) = (staged, &self.roll) {
            let took = BootTime::now().since(self.since);
            // Below it stands what the app said.
            let sentence = reason.lines().next();
            let judged = self.store.history().judge(&id, verdict, sentence, Some(took));
            if let Err(error) = judged {
                self.printer.warn(error);
            }
        }
        let settings = self.home.settings.clone();
        let source = Source::Folder;
        let home = Checkout::plain(self.home.folder.clone(), self.home.folder.clone(), source);
        let Ok(mut interrupts) = Interrupts::new() else { return };
        let (key, lines) = ("on_failure", settings.deploy.on_failure.clone());
        if let Err(error) = self.lines(key, &lines, &home, &settings, &mut interrupts).await {
            self.printer.warn(error);
        }
    }

    /// Does something that is given up when somebody interrupts.
    async fn unless<T, E: Into<Failure>>(
        &self,
        interrupts: &mut Interrupts,
        what: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            done = what => done.map_err(Into::into),
            () = interrupts.come() => Err(self.interrupted()),
        }
    }

    fn interrupted(&self) -> Failure {
        let app = self.app();
        let asked = Request::read(&Request::path(self.context.root(), app));
        // One that an earlier deploy has left is about another release.
        let is_own = |asked: Request| asked.about.as_ref() == self.release();
        let is_asked = self.release().is_some() && asked.ok().flatten().is_some_and(is_own);
        let goes_on = is_asked || self.is_current();
        let rest = if goes_on { ", and the roll goes on without it" } else { "" };
        let sentence = format!("the deploy of {app} was interrupted{rest}");
        Failure::Interrupted { sentence, goes_on }
    }
}
