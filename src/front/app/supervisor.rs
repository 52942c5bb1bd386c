//! Does what the state machine says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::life::{self, News};
use super::machine::{Action, Event, Machine, State};
use super::processes::Family;
use super::swap::{Objection, Swapped, Swaps};
use super::{Launch, Order, Shared, Standing, Told, id, processes};
use crate::clock::BootTime;
use crate::front::route::{Generation, Route};
use crate::guard::{self, Guard};

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
    let supervisor = Supervisor {
        launch: Arc::new(launch),
        guard,
        count: guard::State::default(),
        route,
        shared,
        standing,
        machine: Machine::new(),
        lives: BTreeMap::new(),
        told,
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
    guard: Option<Guard>,
    /// Stands in for the guard's file where there is none: by hand.
    count: guard::State,
    route: Arc<Route>,
    shared: Arc<Shared>,
    standing: watch::Sender<Standing>,
    machine: Machine,
    lives: BTreeMap<u32, Life>,
    told: mpsc::UnboundedSender<Told>,
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

/// A life under way.
struct Life {
    generation: Arc<Generation>,
    /// None: its process is not there yet.
    family: Option<Family>,
    orders: watch::Sender<life::Order>,
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
        self.begin(1);
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
                if let Some(life) = self.lives.get_mut(&number) {
                    life.family = Some(family);
                }
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
                self.lives.remove(&number);
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
                self.hurry(until);
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

    /// Gives those that were told to end no longer than until then.
    fn hurry(&self, until: Instant) {
        for life in self.lives.values() {
            life.orders.send_if_modified(|order| match order {
                life::Order::Retire(at) if *at > until => {
                    *at = until;
                    true
                }
                _ => false,
            });
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
        let family = self.lives.get(&number)?.family.as_ref()?;
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
        self.swaps.look(number, |number| lives.contains_key(&number), &self.reason);
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
                } else {
                    self.shared.with(|figures| figures.restarts += 1);
                }
                self.begin(number);
            }
            Action::Open(number) => self.open(number),
            Action::Close => self.close(),
            Action::Retire(number) => {
                let until = Instant::now() + self.launch.limits.stop_timeout;
                if let Some(life) = self.lives.get(&number) {
                    let until = self.stop_until.unwrap_or(until);
                    life.orders.send_replace(life::Order::Retire(until));
                }
            }
            Action::Count => {
                let too_often = self.count();
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

    fn begin(&mut self, number: u32) {
        self.begun = Instant::now();
        let address = match life::address(&self.launch, number) {
            Ok(address) => address,
            Err(error) => {
                let reason = format!("has no port to listen on: {error}");
                let _ = self.told.send((number, News::Ended(reason)));
                return;
            }
        };
        let generation = Generation::new(number, address);
        let (orders, obeys) = watch::channel(life::Order::Run);
        let told = self.told.clone();
        tokio::spawn(life::live(Arc::clone(&self.launch), Arc::clone(&generation), obeys, told));
        self.lives.insert(number, Life { generation, family: None, orders });
    }

    fn open(&mut self, number: u32) {
        let Some(life) = self.lives.get(&number) else { return };
        self.route.open(Arc::clone(&life.generation));
        self.swaps.opened(number);
        let now = BootTime::now();
        self.count = self.count.ready(now);
        if let Some(guard) = &self.guard
            && let Err(error) = guard.ready(now)
        {
            tracing::warn!("{error}");
        }
        (self.launch.alive)();
        let pid = life.family.as_ref().and_then(|family| id(family.main()));
        self.shared.with(|figures| {
            figures.pid = pid;
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

    /// Tells the crash guard; whether the app has crashed too often.
    fn count(&mut self) -> bool {
        let (now, min_uptime) = (BootTime::now(), self.launch.limits.min_uptime);
        self.count = self.count.child_ended(now, min_uptime);
        let counted = self.guard.as_ref().map(|guard| guard.child_ended(now, min_uptime));
        let state = counted.unwrap_or(Ok(self.count)).unwrap_or_else(|error| {
            tracing::warn!("{error}");
            self.count
        });
        state.crashes > 0 && state.crashes >= self.launch.limits.max_restarts
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
