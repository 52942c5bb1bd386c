//! Does what the state machine says.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::crashes::Crashes;
use super::life::News;
use super::lives::Lives;
use super::machine::{Action, Event, Machine, State};
use super::processes::Family;
use super::swap::{Objection, Swapped, Swaps};
use super::{Launch, Order, Shared, Standing, Told, id, processes};
use crate::config::Settings;
use crate::front::route::Route;
use crate::guard::Guard;

/// How often orphans that have ended are taken note of, and how often an app that is on its way up
/// counts as a sign of life: its own deadline bounds that.
const TICK: Duration = Duration::from_secs(1);

/// Starts the supervisor and the first life of the app.
pub(super) fn start(
    launch: Launch,
    guard: Option<Guard>,
    route: Arc<Route>,
    shared: Arc<Shared>,
    standing: watch::Sender<Standing>,
    orders: mpsc::UnboundedReceiver<Order>,
) {
    let (told, hears) = mpsc::unbounded_channel();
    let (pauses, over) = mpsc::unbounded_channel();
    let launch = Arc::new(launch);
    let supervisor = Supervisor {
        lives: Lives::new(Arc::clone(&launch), told),
        launch,
        crashes: Crashes::new(guard),
        route,
        shared,
        standing,
        machine: Machine::new(),
        pauses,
        swaps: Swaps::default(),
        stop_until: None,
        reason: String::new(),
        begun: Instant::now(),
        has_orphans: false,
    };
    tokio::spawn(supervisor.run(hears, over, orders));
}

struct Supervisor {
    launch: Arc<Launch>,
    crashes: Crashes,
    route: Arc<Route>,
    shared: Arc<Shared>,
    standing: watch::Sender<Standing>,
    machine: Machine,
    lives: Lives,
    pauses: mpsc::UnboundedSender<()>,
    swaps: Swaps,
    /// Some: the app is being stopped for good, until then at the latest.
    stop_until: Option<Instant>,
    /// How the last life ended.
    reason: String,
    /// When the last one began.
    begun: Instant,
    /// Children have ended since the last look for those that nobody waits for.
    has_orphans: bool,
}

impl Supervisor {
    async fn run(
        mut self,
        mut hears: mpsc::UnboundedReceiver<Told>,
        mut pauses_over: mpsc::UnboundedReceiver<()>,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) {
        // Without a handler they are looked for at each tick.
        let mut children = signal(SignalKind::child()).ok();
        self.begin(1, self.launch.place.settings());
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_over() {
            tokio::select! {
                Some((number, news)) = hears.recv() => self.hear(number, news),
                Some(()) = pauses_over.recv() => self.apply(Event::Paused),
                Some(order) = orders.recv() => self.obey(order),
                () = a_child_ended(&mut children) => self.has_orphans = true,
                _ = ticks.tick() => {
                    self.has_orphans |= children.is_none();
                    self.tick();
                }
            }
        }
        self.standing.send_replace(Standing::Stopped);
    }

    fn is_over(&self) -> bool {
        self.machine.state() == State::Stopping && self.lives.is_empty()
    }

    fn tick(&mut self) {
        if !matches!(self.machine.state(), State::Serving(_)) {
            (self.launch.alive)();
        }
        if std::mem::take(&mut self.has_orphans) {
            self.launch.mains.reap_orphans();
        }
    }

    fn hear(&mut self, number: u32, news: News) {
        match news {
            News::Started(family) => {
                tracing::info!(pid = family.main().as_raw_pid(), "the app is started");
                self.lives.started(number, family);
            }
            News::Healthy => {
                self.apply(Event::Healthy(number));
                self.look_at_swap(number);
            }
            News::Sick(reason) => {
                tracing::error!("the app {reason}: it is killed");
                self.apply(Event::Sick(number));
            }
            News::Ended(reason) => {
                self.lives.ended(number);
                let is_retired = !self.concerns(number);
                if is_retired {
                    tracing::info!("the old app {reason}");
                } else {
                    tracing::error!("the app {reason}");
                }
                self.reason = reason;
                self.apply(Event::Ended(number));
                self.look_at_swap(number);
            }
        }
    }

    /// Whether a life is not one that was told to end.
    fn concerns(&self, number: u32) -> bool {
        match self.machine.state() {
            State::Starting(it) | State::Serving(it) => it == number,
            State::Swapping { old, new } => old == number || new == number,
            State::Down | State::GivenUp | State::Stopping => false,
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Stop(until) => {
                self.stop_until = Some(until);
                self.route.close();
                self.apply(Event::Stop);
                self.lives.hurry(until);
            }
            Order::Look(answer) => {
                // Who asked may have gone away.
                let _ = answer.send(self.swaps.state(self.objection()));
            }
            Order::Swap(answer) => match (self.objection(), self.machine.state()) {
                (None, State::Serving(old)) => {
                    self.swaps.begin(old, answer);
                    self.apply(Event::Swap);
                }
                (why, _) => {
                    let none = || Objection { reason: "the app is down".into(), restart: false };
                    self.swaps.refuse(answer, why.unwrap_or_else(none));
                }
            },
        }
    }

    /// Why no swap can be done now.
    fn objection(&self) -> Option<Objection> {
        let now = |reason: &str| Some(Objection { reason: reason.into(), restart: false });
        match self.machine.state() {
            State::Serving(_) if self.swaps.is_under_way() => {
                now("the app of the last swap is still ending")
            }
            State::Serving(number) => self.lack_of_memory(number),
            State::Swapping { .. } => now("a swap is under way"),
            State::Starting(_) | State::Down => now("the app is being started"),
            State::GivenUp | State::Stopping => Some(Objection::ending()),
        }
    }

    /// Says if there is no room for another one like this.
    fn lack_of_memory(&self, number: u32) -> Option<Objection> {
        let family = self.lives.family(number)?;
        let app = processes::memory(family.members());
        let front = processes::memory([rustix::process::getpid()]);
        let limit = self.launch.limits.memory.bytes();
        (front + 2 * app > limit).then(|| {
            let megabytes = |bytes: u64| bytes >> 20;
            let (app, limit) = (megabytes(app), megabytes(limit));
            let reason =
                format!("two of the app, {app}M each, do not fit below limits.memory, {limit}M");
            Objection { reason, restart: true }
        })
    }

    fn look_at_swap(&mut self, number: u32) {
        let lives = &self.lives;
        self.swaps.look(number, |number| lives.has(number), &self.reason);
    }

    fn apply(&mut self, event: Event) {
        for action in self.machine.apply(event) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start(number) => {
                if matches!(self.machine.state(), State::Swapping { .. }) {
                    self.swaps.starts(number);
                    self.begin(number, self.launch.place.anew());
                } else {
                    self.shared.with(|figures| figures.restarts += 1);
                    self.begin(number, self.launch.place.again());
                }
            }
            Action::Open(number) => self.open(number),
            Action::Close => self.close(),
            Action::Retire(number) => {
                let until = Instant::now() + self.launch.limits.stop_timeout;
                self.lives.retire(number, self.stop_until.unwrap_or(until));
            }
            Action::Count => {
                let too_often = self.crashes.ended(&self.launch.limits);
                self.apply(Event::Counted { too_often });
            }
            Action::Pause => {
                // From start to start: one that served for longer is started again at once.
                let up = self.begun.elapsed();
                let delay = self.launch.limits.restart_delay.saturating_sub(up);
                let pauses = self.pauses.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    pauses.send(())
                });
            }
            Action::GiveUp => {
                self.standing.send_replace(Standing::GivenUp(self.reason.clone()));
            }
            Action::NotSwapped => {
                self.swaps.end(match self.machine.state() {
                    State::Stopping => Swapped::Refused(Objection::ending()),
                    _ => Swapped::Failed(self.reason.clone()),
                });
            }
            // `obey` has looked before.
            Action::RefuseSwap => {}
        }
    }

    fn begin(&mut self, number: u32, settings: Arc<Settings>) {
        self.begun = Instant::now();
        self.lives.begin(number, settings);
    }

    fn open(&mut self, number: u32) {
        let Some(generation) = self.lives.generation(number) else { return };
        self.route.open(Arc::clone(generation));
        self.swaps.opened(number);
        self.crashes.ready();
        (self.launch.alive)();
        let pid = self.lives.family(number).and_then(|family| id(family.main()));
        let contents = self.lives.family(number).map(Family::contents).cloned();
        self.shared.with(|figures| {
            figures.pid = pid;
            figures.contents = contents.unwrap_or_default();
            figures.generation = number;
            figures.healthy = true;
        });
        tracing::info!(pid, generation = number, "the app is well");
        self.standing.send_replace(Standing::Serving);
    }

    fn close(&self) {
        self.route.close();
        self.shared.with(|figures| {
            figures.pid = None;
            figures.healthy = false;
        });
        self.standing.send_replace(Standing::Down);
    }
}

/// Waits until a child of this process has ended; for ever where that cannot be heard of.
async fn a_child_ended(children: &mut Option<Signal>) {
    if let Some(signal) = children
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}
