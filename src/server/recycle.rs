//! Recycles this instance when it is time: its program is swapped, or the instance ends and systemd
//! starts it anew. What makes it time, and whose turn it is, is in [`crate::recycle`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::control::ControlFolder;
use super::figures::Figures;
use super::life::runtime_folder;
use super::memory::CgroupMemory;
use crate::clock::BootTime;
use crate::config::{Method, Settings};
use crate::front::App;
use crate::health::SwapAnswer;
use crate::recycle::{Held, Reason, Record, RollLock, Rules, Sample, Turns, Verdict, Watch};
use crate::unit::InstanceId;

/// How often is looked: often enough for an app that fills what is left within some seconds.
const EVERY: Duration = Duration::from_secs(1);

/// Pause after an attempt that failed: whatever made it fail will not be gone a second later, and a
/// swap takes the memory and the time of a start.
const PAUSE: Duration = Duration::from_secs(600);

/// Watches this instance.
pub(super) struct Recycler {
    id: InstanceId,
    folder: PathBuf,
    control: ControlFolder,
    turns: Turns,
    record: Record,
    watch: Watch,
    memory: CgroupMemory,
    figures: Arc<Figures>,
    app: Option<App>,
    /// Whether a new program may ever be started beside the old one.
    swaps: bool,
    /// Which start of the program is watched; without one: 0.
    generation: u32,
    /// Since when it is up.
    since: Instant,
    /// Since when a sibling that is not well is waited for.
    waits_since: Option<Instant>,
    /// The turn cannot be had or the last swap failed: nothing, or no other one, before.
    not_before: Option<Instant>,
    no_swap_before: Option<Instant>,
}

impl Recycler {
    /// Of an instance that has just got ready; none: one that was started by hand. The turn in which
    /// it was started is over.
    pub(super) fn of(
        settings: &Settings,
        instance: Option<InstanceId>,
        figures: &Arc<Figures>,
        app: Option<&App>,
    ) -> Option<Self> {
        let (id, folder) = (instance?, runtime_folder()?);
        let turns = Turns::at(&folder, &settings.limits);
        if let Err(error) = turns.give_back(id) {
            tracing::warn!("cannot give back the turn to be recycled: {error}");
        }
        Some(Self {
            id,
            control: ControlFolder::new(&folder, id),
            record: Record::at(&folder, id),
            folder,
            turns,
            watch: Watch::new(Rules::from(&settings.limits)),
            memory: CgroupMemory::open(),
            figures: Arc::clone(figures),
            app: app.cloned(),
            swaps: app.is_some() && settings.reload.method == Method::Swap,
            generation: app.map_or(0, |app| app.report().generation),
            since: Instant::now(),
            waits_since: None,
            not_before: None,
            no_swap_before: None,
        })
    }

    /// Waits until this instance is to end, so that systemd starts it anew. Swaps are done on the way.
    async fn until_due(mut self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(reason) = self.look() else {
                self.waits_since = None;
                continue;
            };
            if !self.pauses(reason)
                && let Some(held) = self.turn(reason).await
                && self.recycle(reason, held).await
            {
                return;
            }
        }
    }

    /// Why this instance is to be recycled; none: it is not.
    fn look(&mut self) -> Option<Reason> {
        if let Some(app) = self.app.as_ref().map(App::report) {
            if !app.healthy {
                // It is on its way to a new life already.
                return None;
            }
            if app.generation != self.generation {
                (self.generation, self.since) = (app.generation, Instant::now());
                self.no_swap_before = None;
                self.watch.begin();
            }
        }
        let sample = Sample { memory: self.memory.pressure(), age: self.since.elapsed() };
        match self.watch.look(sample) {
            Verdict::Fine => None,
            Verdict::Due(reason) => Some(reason),
            Verdict::FullFromTheStart(memory) => {
                tracing::warn!(
                    used = memory.used,
                    limit = memory.limit,
                    "{memory} since the start: another start would not help, so it is not recycled; \
                     raise limits.memory"
                );
                None
            }
        }
    }

    /// Whether a new program may be started beside the old one for this reason.
    fn would_swap(&self, reason: Reason) -> bool {
        self.swaps && reason.allows_swap()
    }

    /// Whether the last attempt is too short ago.
    fn pauses(&self, reason: Reason) -> bool {
        let swap = self.no_swap_before.filter(|_| self.would_swap(reason));
        self.not_before.max(swap).is_some_and(|until| Instant::now() < until)
    }

    /// Takes the turn, if all others are well and no roll is under way; none: not now.
    async fn turn(&mut self, reason: Reason) -> Option<Held> {
        if RollLock::is_taken(&self.folder) {
            return None;
        }
        let held = match self.turns.take(self.id, BootTime::now()) {
            Ok(Some(held)) => held,
            Ok(None) => {
                self.waits_since = None;
                return None;
            }
            Err(error) => {
                tracing::warn!("cannot take the turn to be recycled: {error}");
                self.not_before = Some(Instant::now() + PAUSE);
                return None;
            }
        };
        // Only now: a roll that begins from here on sees the turn, and waits.
        if RollLock::is_taken(&self.folder) {
            return None;
        }
        if self.control.all_siblings_are_well().await {
            self.waits_since = None;
            return Some(held);
        }
        let waited = self.waits_since.map(|since| since.elapsed());
        if waited.is_none() {
            self.waits_since = Some(Instant::now());
            tracing::info!(%reason, "not recycled ({reason}) until the other instances are well");
        }
        // Age can wait for ever. Memory cannot: the kernel would end it with everything in hand, while
        // one that does not come back in the time of a restart is no help anyway.
        let is_enough = |waited| reason.is_urgent() && waited >= self.turns.longest();
        waited.is_some_and(is_enough).then_some(held)
    }

    /// Recycles this instance. Whether it is to end for that.
    async fn recycle(&mut self, reason: Reason, held: Held) -> bool {
        let uptime = self.since.elapsed().as_secs();
        if self.would_swap(reason)
            && let Some(app) = self.app.clone()
            && !app.swap_state().await.restart
        {
            tracing::warn!(
                %reason,
                uptime,
                "recycled ({reason}): a new program is started beside the old one"
            );
            let answer = SwapAnswer::from(app.swap().await);
            if answer.swapped {
                self.remember(reason);
                return false;
            }
            if !answer.restart {
                let why = answer.reason.unwrap_or_default();
                tracing::error!("not recycled: {why}; the old program serves on");
                self.no_swap_before = Some(Instant::now() + PAUSE);
                return false;
            }
        }
        tracing::warn!(
            %reason,
            uptime,
            "recycled ({reason}): the instance finishes its requests and is started anew"
        );
        self.remember(reason);
        held.keep();
        true
    }

    fn remember(&self, reason: Reason) {
        match self.record.add(reason) {
            Ok(recycled) => self.figures.recycled(recycled),
            Err(error) => tracing::warn!("cannot remember that it was recycled: {error}"),
        }
    }
}

/// Waits until the instance is to end to be started anew; for ever where nobody watches it.
pub(super) async fn until_due(recycler: Option<Recycler>) {
    match recycler {
        Some(recycler) => recycler.until_due().await,
        None => std::future::pending().await,
    }
}
