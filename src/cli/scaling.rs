//! The steps of a scale ([`super::scale`]).
//!
//! The links say which instances there are ([`install::Scale`]). A new one is linked, started, and has
//! to pass the gate of a roll; where one does not, all of them go again. One that goes is unlinked
//! first, and then drains.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::alone::LOOK_EVERY;
use super::context::Context;
use super::error::Failure;
use super::lifecycle::{last_lines, network};
use super::output::{Printer, listed};
use super::roll::{back, gate, patience, sockets};
use super::survey;
use super::waiting::Waiting;
use crate::config::{Settings, Size};
use crate::install::{self, Lock, LockError};
use crate::manager::{ManagerError, ServiceManager, Systemd, UnitStatus, Verb};
use crate::roll::{Driver, Failed, Roll, Same};
use crate::server::machine_memory;
use crate::unit::{AppName, InstanceId};

/// How long an install by another romuoctl is waited for: it takes a second or two.
const INSTALL: Duration = Duration::from_secs(10);

/// The right to change links, also where another romuoctl is installing at this moment.
pub(super) async fn installing(context: &Context) -> Result<Lock, LockError> {
    let begun = Instant::now();
    loop {
        match install::lock(context.root()) {
            Err(LockError::Taken { .. }) if begun.elapsed() < INSTALL => sleep(LOOK_EVERY).await,
            result => return result,
        }
    }
}

/// The instances whose units are active now, also those that something stands in for.
async fn active(app: &AppName, manager: &Systemd) -> Result<BTreeSet<InstanceId>, ManagerError> {
    let units = manager.names(&[&format!("{app}@*.service")]).await?;
    Ok(survey::active(app, units).collect())
}

/// The instances that are up now.
async fn up(app: &AppName, manager: &Systemd) -> Result<BTreeSet<InstanceId>, ManagerError> {
    let active = active(app, manager).await?.into_iter();
    let read = async |id| Ok((id, manager.status(&app.instance(id)).await?.is_up()));
    let read = join_all(active.map(read)).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(read.into_iter().filter_map(|(id, is_up)| is_up.then_some(id)).collect())
}

/// What an interruption comes as.
pub(super) struct Interrupts([Signal; 3]);

impl Interrupts {
    pub(super) fn new() -> Result<Self, Failure> {
        let handler = |kind| signal(kind).map_err(Failure::Runtime);
        Ok(Self([
            handler(SignalKind::interrupt())?,
            handler(SignalKind::terminate())?,
            handler(SignalKind::hangup())?,
        ]))
    }

    /// Waits for one.
    pub(super) async fn come(&mut self) {
        let mut all: FuturesUnordered<_> = self.0.iter_mut().map(Signal::recv).collect();
        all.next().await;
    }
}

/// Why new instances do not stay.
pub(super) struct Trouble {
    sentence: String,
    instance: Option<InstanceId>,
}

impl From<ManagerError> for Trouble {
    fn from(error: ManagerError) -> Self {
        Self { sentence: error.to_string(), instance: None }
    }
}

/// What a scale works on.
pub(super) struct Work<'a> {
    settings: &'a Settings,
    context: &'a Context,
    manager: &'a Systemd,
    printer: &'a Printer,
    /// The instances that were up before.
    up: BTreeSet<InstanceId>,
}

impl<'a> Work<'a> {
    pub(super) async fn new(
        settings: &'a Settings,
        context: &'a Context,
        manager: &'a Systemd,
        printer: &'a Printer,
    ) -> Result<Self, ManagerError> {
        let up = up(&settings.name, manager).await?;
        Ok(Self { settings, context, manager, printer, up })
    }

    fn app(&self) -> &AppName {
        &self.settings.name
    }

    /// Refuses to take away all that serves, where someone stopped the others or they are errored.
    pub(super) fn refuse_an_outage(
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

    pub(super) fn warn_of_memory(&self, scale: &install::Scale) {
        let (each, machine) = (self.settings.limits.memory, machine_memory());
        let all = each.bytes().saturating_mul(scale.to.get().into());
        if !scale.add.is_empty() && all > machine {
            let (all, machine) = (Size::mib(all >> 20), Size::mib(machine >> 20));
            self.printer.tell(format!(
                "warning: {} instances may take {all} of memory ({each} each, by limits.memory), and the machine has {machine}",
                scale.to
            ));
        }
    }

    pub(super) fn link(&self, lock: &Lock, scale: &install::Scale) -> Result<(), Failure> {
        let plan = install::plan_scale(self.context.root(), self.app(), scale)?;
        Ok(install::apply(lock, &plan)?)
    }

    /// Whether the app runs. Where it does not, an instance of it would open its port.
    pub(super) async fn runs(&self) -> Result<bool, ManagerError> {
        let target = self.manager.status(&self.app().target()).await?;
        Ok(target.is_up() || !active(self.app(), self.manager).await?.is_empty())
    }

    /// Has systemd read the links, also where it goes away meanwhile.
    async fn reread(&self) -> Result<(), ManagerError> {
        match self.manager.daemon_reload().await {
            Err(ManagerError::Unreachable { .. }) => {
                back(self.manager).await?;
                self.manager.daemon_reload().await
            }
            result => result,
        }
    }

    /// Starts the new instances and waits until each of them is well; whether there was anything to
    /// start, as the app runs.
    pub(super) async fn begin(
        &self,
        scale: &install::Scale,
        mut interrupts: Interrupts,
    ) -> Result<bool, Trouble> {
        self.reread().await?;
        if !self.runs().await? {
            return Ok(false);
        }
        let health = &sockets(self.settings, self.context);
        let patience = patience(self.settings);
        let (app, manager, releases) = (self.app(), self.manager, &Same);
        let driver = Driver { app, manager, health, releases, patience };
        let waiting = Waiting::begin(self.printer, "waiting until the new instances are healthy");
        let joining = Roll::joining(&scale.add, gate(self.settings));
        let verdict = tokio::select! {
            verdict = driver.drive(joining, std::future::pending(), |_, _| {}) => verdict,
            () = interrupts.come() => {
                let sentence = "it was interrupted".to_owned();
                return Err(Trouble { sentence, instance: None });
            }
        };
        drop(waiting);
        let verdict =
            verdict.map_err(|error| Trouble { sentence: error.to_string(), instance: None })?;
        match verdict.failed.as_slice() {
            [] => Ok(true),
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
        let last = last_lines(&unit, network(self.settings)).await;
        Trouble { sentence: last.below(sentence), instance: Some(failed.instance) }
    }

    /// Takes new instances away again; those that somebody ran without a link go on.
    pub(super) async fn undo(&self, scale: &install::Scale, trouble: Trouble) -> Failure {
        let new = scale.add.iter().filter(|id| !self.up.contains(id)).copied().collect::<Vec<_>>();
        let undone = async {
            self.link(&installing(self.context).await?, &scale.undone())?;
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
    pub(super) async fn end(&self, ids: &[InstanceId]) -> Result<(), Failure> {
        self.reread().await?;
        let waiting = Waiting::begin(
            self.printer,
            "waiting until the instances have finished their requests",
        );
        let ended = ids.iter().map(async |id| {
            let unit = self.app().instance(*id);
            match self.manager.run(Verb::Stop, &unit).await {
                Err(ManagerError::Unreachable { .. }) => {
                    back(self.manager).await?;
                    self.manager.run(Verb::Stop, &unit).await?;
                }
                result => drop(result?),
            }
            let status = self.manager.status(&unit).await?;
            // Where it has not failed there is nothing to forget.
            let _ = self.manager.forget_unit(&unit).await;
            Ok::<_, ManagerError>(status)
        });
        // All of them, whatever comes of one.
        let ended = join_all(ended).await;
        drop(waiting);
        let ended = ended.into_iter().collect::<Result<Vec<_>, _>>()?;
        match ended.iter().find(|status| status.is_up()) {
            None => Ok(()),
            Some(UnitStatus { name, .. }) => {
                Err(Failure::Instances { sentence: format!("{name} did not stop") })
            }
        }
    }
}

/// So many instances, in words.
pub(super) fn count(instances: u16) -> String {
    match instances {
        1 => "1 instance".into(),
        many => format!("{many} instances"),
    }
}
