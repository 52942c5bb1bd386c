//! `romuoctl scale`: more or fewer instances, for good.
//!
//! The links say which instances there are ([`install::Scale`]). A new one is linked, started, and has
//! to pass the gate of a roll; where one does not, all of them go again. One that goes is unlinked
//! first, and then drains.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::alone;
use super::context::Context;
use super::error::{Exit, Failure};
use super::lifecycle::last_lines;
use super::output::Printer;
use super::reload::spinner;
use super::roll::{gate, patience, sockets};
use crate::config::{Network, Settings, Size};
use crate::install::{self, Lock, LockError, PlanError, Wish};
use crate::journal;
use crate::manager::{ManagerError, ServiceManager, Systemd, UnitStatus, Verb};
use crate::roll::{Driver, Failed, Roll};
use crate::server::machine_memory;
use crate::unit::{AppName, InstanceId};

/// How long an install by another romuoctl is waited for: it takes a second or two.
const INSTALL: Duration = Duration::from_secs(10);

/// Pause between two looks whether it is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(super) struct Scale {
    /// How many: 4, or how many more or fewer: +1, -1
    #[arg(value_name = "N", allow_negative_numbers = true)]
    wish: Wish,
    /// Fail at once where a roll is under way, and say who rolls
    #[arg(long)]
    no_wait: bool,
}

/// What was done, for scripts.
#[derive(Debug, Serialize)]
struct Scaled<'a> {
    app: &'a str,
    instances: u16,
    started: Vec<String>,
    stopped: Vec<String>,
}

impl Scale {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("scale")?;
        let app = &context.app()?;
        let manager = Systemd::connect().await?;
        let target = manager.status(&app.target()).await?;
        if !target.loaded {
            return Err(ManagerError::NoSuchUnit { unit: target.name }.into());
        }
        let settings = &context.installed(app)?;
        let told = |text: &str| printer.tell(text);
        let lock = alone::lock("scale", app, context, self.no_wait, told).await?;
        // It only tells those who wait.
        let _ = lock.say(&format!("is being scaled by process {}", std::process::id()));
        alone::until_none_recycles(context, settings, told).await;

        let installing = installing(context).await?;
        let there = install::installed_instances(context.root(), app).map_err(PlanError::from)?;
        let scale = install::Scale::of(&there, self.wish)?;
        let up = up(app, &manager).await?;
        let work = Work { settings, context, manager: &manager, printer, up: &up };
        let runs = target.is_up() || !up.is_empty();
        if scale.is_nothing() {
            work.answer(&scale, false);
            return Ok(Exit::Done);
        }
        work.refuse_an_outage(&there, &scale)?;
        // From here on nothing is left half done: an interruption is heard of and answered.
        let interrupts = Interrupts::new()?;
        if !scale.add.is_empty() {
            work.warn_of_memory(&scale);
        }
        work.link(&installing, &scale)?;
        drop(installing);
        if scale.add.is_empty() {
            manager.daemon_reload().await?;
            work.end(&scale.remove).await?;
        } else if let Err(trouble) = work.begin(&scale, runs, interrupts).await {
            return Err(work.undo(&scale, trouble).await);
        }
        work.answer(&scale, runs);
        Ok(Exit::Done)
    }
}

/// The right to change links, also where another romuoctl is installing at this moment.
async fn installing(context: &Context) -> Result<Lock, LockError> {
    let begun = Instant::now();
    loop {
        match install::lock(context.root()) {
            Err(LockError::Taken(_)) if begun.elapsed() < INSTALL => sleep(LOOK_EVERY).await,
            result => return result,
        }
    }
}

/// The instances that are up.
async fn up(app: &AppName, manager: &Systemd) -> Result<BTreeSet<InstanceId>, ManagerError> {
    let units = manager.names(&[&format!("{app}@*.service")]).await?;
    let up = units.iter().filter(|unit| unit.is_up());
    Ok(up.filter_map(|unit| app.instance_of(unit.name.as_str())).collect())
}

/// What an interruption comes as.
struct Interrupts([Signal; 3]);

impl Interrupts {
    fn new() -> Result<Self, Failure> {
        let handler = |kind| signal(kind).map_err(Failure::Runtime);
        Ok(Self([
            handler(SignalKind::interrupt())?,
            handler(SignalKind::terminate())?,
            handler(SignalKind::hangup())?,
        ]))
    }

    async fn come(&mut self) {
        let mut all: FuturesUnordered<_> = self.0.iter_mut().map(Signal::recv).collect();
        all.next().await;
    }
}

/// Why new instances do not stay.
struct Trouble {
    sentence: String,
    instance: Option<InstanceId>,
}

impl From<ManagerError> for Trouble {
    fn from(error: ManagerError) -> Self {
        Self { sentence: error.to_string(), instance: None }
    }
}

struct Work<'a> {
    settings: &'a Settings,
    context: &'a Context,
    manager: &'a Systemd,
    printer: &'a Printer,
    /// The instances that were up before.
    up: &'a BTreeSet<InstanceId>,
}

impl Work<'_> {
    fn app(&self) -> &AppName {
        &self.settings.name
    }

    /// Refuses to take away all that serves, where someone stopped the others or they are errored.
    fn refuse_an_outage(
        &self,
        there: &BTreeSet<InstanceId>,
        scale: &install::Scale,
    ) -> Result<(), Failure> {
        let goes = |id: &InstanceId| scale.remove.contains(id);
        if !self.up.iter().any(goes) || !self.up.iter().all(goes) {
            return Ok(());
        }
        let stay: Vec<_> = there.iter().filter(|id| !goes(id)).copied().collect();
        Err(Failure::NoneStays { app: self.app().clone(), stay: listed(&stay) })
    }

    fn warn_of_memory(&self, scale: &install::Scale) {
        let (each, machine) = (self.settings.limits.memory, machine_memory());
        let all = each.bytes().saturating_mul(scale.to.get().into());
        if all > machine {
            let (all, machine) = (Size::mib(all >> 20), Size::mib(machine >> 20));
            self.printer.tell(format!(
                "warning: {} instances may take {all} of memory ({each} each, by limits.memory), and the machine has {machine}",
                scale.to
            ));
        }
    }

    fn link(&self, lock: &Lock, scale: &install::Scale) -> Result<(), Failure> {
        let plan = install::plan_scale(self.context.root(), self.app(), scale)?;
        Ok(install::apply(lock, &plan)?)
    }

    /// Starts the new instances and waits until each of them is well.
    async fn begin(
        &self,
        scale: &install::Scale,
        runs: bool,
        mut interrupts: Interrupts,
    ) -> Result<(), Trouble> {
        self.manager.daemon_reload().await?;
        if !runs {
            return Ok(());
        }
        let health = &sockets(self.settings, self.context);
        let patience = patience(self.settings);
        let driver = Driver { app: self.app(), manager: self.manager, health, patience };
        let spinner = spinner(self.printer, "waiting until the new instances are healthy");
        let joining = Roll::joining(&scale.add, gate(self.settings));
        let verdict = tokio::select! {
            verdict = driver.drive(joining, std::future::pending(), |_, _| {}) => verdict,
            () = interrupts.come() => {
                let sentence = "it was interrupted".to_owned();
                return Err(Trouble { sentence, instance: None });
            }
        };
        spinner.finish_and_clear();
        let verdict =
            verdict.map_err(|error| Trouble { sentence: error.to_string(), instance: None })?;
        match verdict.failed.as_slice() {
            [] => Ok(()),
            [first, others @ ..] => Err(self.trouble(first, others.len()).await),
        }
    }

    /// What is wrong with a new instance, and what it said last.
    async fn trouble(&self, failed: &Failed, others: usize) -> Trouble {
        let unit = self.app().instance(failed.instance);
        let others = match others {
            0 => String::new(),
            count => format!(", and {count} more did not come up"),
        };
        let sentence = format!("{unit} {}{others}", failed.reason);
        let network = journal::Network::private(Some(self.settings.network == Network::None));
        let last = last_lines(&unit, network).await;
        Trouble { sentence: last.below(sentence), instance: Some(failed.instance) }
    }

    /// Takes new instances away again; those that somebody ran without a link go on.
    async fn undo(&self, scale: &install::Scale, trouble: Trouble) -> Failure {
        let new = scale.add.iter().filter(|id| !self.up.contains(id)).copied().collect::<Vec<_>>();
        let undone = async {
            self.link(&installing(self.context).await?, &scale.undone())?;
            self.manager.daemon_reload().await?;
            self.end(&new).await
        };
        let app = self.app();
        let sentence = match undone.await {
            Ok(()) => format!("{app} was left at {}: {}", count(scale.from), trouble.sentence),
            Err(error) => format!(
                "{app} could neither be scaled nor left at {}: {error}; before that {}",
                count(scale.from),
                trouble.sentence
            ),
        };
        match trouble.instance {
            Some(id) => Failure::Halted { sentence, instance: id.to_string() },
            None => Failure::LeftAsItWas { sentence },
        }
    }

    /// Stops instances that are not linked any more, and waits until they have drained.
    async fn end(&self, ids: &[InstanceId]) -> Result<(), Failure> {
        let spinner =
            spinner(self.printer, "waiting until the instances have finished their requests");
        let ended = ids.iter().map(async |id| {
            let unit = self.app().instance(*id);
            if let Err(ManagerError::Unreachable { .. }) = self.manager.run(Verb::Stop, &unit).await
            {
                self.manager.back().await?;
                self.manager.run(Verb::Stop, &unit).await?;
            }
            let status = self.manager.status(&unit).await?;
            // Where it has not failed there is nothing to forget.
            let _ = self.manager.forget_unit(&unit).await;
            Ok::<_, ManagerError>(status)
        });
        // All of them, whatever comes of one.
        let ended = join_all(ended).await;
        spinner.finish_and_clear();
        let ended = ended.into_iter().collect::<Result<Vec<_>, _>>()?;
        match ended.iter().find(|status| status.is_up()) {
            None => Ok(()),
            Some(UnitStatus { name, .. }) => {
                Err(Failure::Instances { sentence: format!("{name} did not stop") })
            }
        }
    }

    fn answer(&self, scale: &install::Scale, runs: bool) {
        let app = self.app();
        let ids = |list: &[InstanceId]| {
            let touched = list.iter().filter(|_| runs);
            touched.map(ToString::to_string).collect()
        };
        let scaled = Scaled {
            app: app.as_str(),
            instances: scale.to.get(),
            started: ids(&scale.add),
            stopped: ids(&scale.remove),
        };
        self.printer.answer(&scaled, said(app, scale, runs));
    }
}

/// What was done, in one sentence.
fn said(app: &AppName, scale: &install::Scale, runs: bool) -> String {
    let install::Scale { from, to, add, remove } = scale;
    let how = match (runs, add.as_slice(), remove.as_slice()) {
        (_, [], []) => return format!("{app} has {} already", count(*from)),
        (true, [], gone) => format!("stopped {}", listed(gone)),
        (true, new, _) => format!("started {}", listed(new)),
        (false, [], gone) => format!("without {}; it is stopped", listed(gone)),
        (false, new, _) => format!("with {}; it is stopped", listed(new)),
    };
    format!("scaled {app} from {from} to {}: {how}", count(to.get()))
}

fn count(instances: u16) -> String {
    match instances {
        1 => "1 instance".into(),
        many => format!("{many} instances"),
    }
}

fn listed(ids: &[InstanceId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sentence_says_what_was_done() {
        let says = |there: &[&str], wish: &str, runs| {
            let there = there.iter().map(|id| id.parse().unwrap()).collect();
            let scale = install::Scale::of(&there, wish.parse().unwrap()).unwrap();
            said(&AppName::default(), &scale, runs)
        };
        for (there, wish, runs, sentence) in [
            (&["1", "2"][..], "4", true, "scaled romuo from 2 to 4 instances: started 3, 4"),
            (&["1", "2", "3"], "1", true, "scaled romuo from 3 to 1 instance: stopped 2, 3"),
            (&["1"], "+1", false, "scaled romuo from 1 to 2 instances: with 2; it is stopped"),
            (
                &["1", "2"],
                "-1",
                false,
                "scaled romuo from 2 to 1 instance: without 2; it is stopped",
            ),
            (&["1", "2"], "2", true, "romuo has 2 instances already"),
            (&["4"], "1", false, "romuo has 1 instance already"),
        ] {
            assert_eq!(says(there, wish, runs), sentence);
        }
    }
}
