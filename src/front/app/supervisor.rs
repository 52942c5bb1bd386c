//! Does what the state machine says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Pid;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::life::{self, News};
use super::machine::{Action, Event, Machine, State};
use super::{Launch, Order, Shared, Standing, Told, id, processes};
use crate::clock::BootTime;
use crate::front::route::{Generation, Route};
use crate::guard::Guard;
use crate::health::SwapAnswer;

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
        route,
        shared,
        standing,
        machine: Machine::new(),
        lives: BTreeMap::new(),
        told,
        pauses,
        swap: None,
        stop_until: None,
        reason: String::new(),
        begun: Instant::now(),
    };
    tokio::spawn(supervisor.run(hears, over, orders));
}

struct Supervisor {
    launch: Arc<Launch>,
    guard: Option<Guard>,
    route: Arc<Route>,
    shared: Arc<Shared>,
    standing: watch::Sender<Standing>,
    machine: Machine,
    lives: BTreeMap<u32, Life>,
    told: mpsc::UnboundedSender<Told>,
    pauses: mpsc::UnboundedSender<()>,
    swap: Option<Swap>,
    /// Some: the app is being stopped for good, until then at the latest.
    stop_until: Option<Instant>,
    /// How the last life ended.
    reason: String,
    /// When the last one began.
    begun: Instant,
}

/// A life under way.
struct Life {
    generation: Arc<Generation>,
    pid: Option<Pid>,
    orders: watch::Sender<life::Order>,
}

/// A swap under way.
struct Swap {
    old: u32,
    new: u32,
    begun: Instant,
    moved: bool,
    answer: oneshot::Sender<SwapAnswer>,
}

impl Supervisor {
    async fn run(
        mut self,
        mut hears: mpsc::UnboundedReceiver<Told>,
        mut pauses_over: mpsc::UnboundedReceiver<()>,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) {
        self.begin(1);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_over() {
            tokio::select! {
                Some((number, news)) = hears.recv() => self.hear(number, news),
                Some(()) = pauses_over.recv() => self.apply(Event::Paused),
                Some(order) = orders.recv() => self.obey(order),
                _ = ticks.tick() => self.tick(),
            }
        }
        self.standing.send_replace(Standing::Stopped);
    }

    fn is_over(&self) -> bool {
        self.machine.state() == State::Stopping && self.lives.is_empty()
    }

    fn tick(&self) {
        if !matches!(self.machine.state(), State::Serving(_)) {
            (self.launch.alive)();
        }
        let own: Vec<Pid> = self.lives.values().filter_map(|life| life.pid).collect();
        processes::reap(&own);
    }

    fn hear(&mut self, number: u32, news: News) {
        match news {
            News::Started(pid) => {
                if let Some(life) = self.lives.get_mut(&number) {
                    life.pid = Some(pid);
                }
                tracing::info!(pid = pid.as_raw_pid(), "the app is started");
            }
            News::Healthy => {
                self.apply(Event::Healthy(number));
                self.end_swap(number);
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
                self.end_swap(number);
            }
        }
        self.show();
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
            }
            Order::Swap(answer) => {
                if let Some((reason, restart)) = self.objection() {
                    return self.refuse(answer, reason, restart);
                }
                let State::Serving(old) = self.machine.state() else { return };
                self.swap =
                    Some(Swap { old, new: old, begun: Instant::now(), moved: false, answer });
                self.apply(Event::Swap);
            }
        }
        self.show();
    }

    /// Why no swap can be done now, and whether a restart would do.
    fn objection(&self) -> Option<(String, bool)> {
        if let Some(reason) = self.no_swap() {
            return Some((reason.into(), false));
        }
        let State::Serving(number) = self.machine.state() else { return None };
        let mark = format!("{}-{number}", std::process::id());
        let app = processes::resident(processes::marked(&mark));
        let front = processes::resident([rustix::process::getpid()]);
        let limit = self.launch.memory;
        (front + 2 * app > limit).then(|| {
            let megabytes = |bytes: u64| bytes >> 20;
            let (app, limit) = (megabytes(app), megabytes(limit));
            (format!("two of the app, {app}M each, do not fit below limits.memory, {limit}M"), true)
        })
    }

    fn no_swap(&self) -> Option<&'static str> {
        match self.machine.state() {
            State::Serving(_) if self.swap.is_some() => {
                Some("the app of the last swap is still ending")
            }
            State::Serving(_) => None,
            State::Swapping { .. } => Some("a swap is under way"),
            State::Starting(_) | State::Down => Some("the app is being started"),
            State::GivenUp | State::Stopping => Some("the instance is ending"),
        }
    }

    fn refuse(&self, answer: oneshot::Sender<SwapAnswer>, reason: String, restart: bool) {
        self.settle(answer, SwapAnswer { reason: Some(reason), restart, ..Default::default() });
    }

    /// Keeps what came of a swap, and tells it to the one who asked.
    fn settle(&self, answer: oneshot::Sender<SwapAnswer>, outcome: SwapAnswer) {
        self.shared.with(|figures| {
            figures.swaps += 1;
            figures.last_swap = Some(outcome.clone());
        });
        // Who asked may have gone away.
        let _ = answer.send(outcome);
    }

    /// A life has ended: that may have been the last thing that a swap waited for.
    fn end_swap(&mut self, number: u32) {
        let Some(swap) = &self.swap else { return };
        let is_lost = number == swap.new && !swap.moved;
        let is_done = swap.moved && !self.lives.contains_key(&swap.old);
        if !is_lost && !is_done {
            return;
        }
        let Some(swap) = self.swap.take() else { return };
        let outcome = if is_done {
            let took = u64::try_from(swap.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            let generation = Some(swap.new);
            SwapAnswer { swapped: true, took_ms: Some(took), generation, ..Default::default() }
        } else {
            let reason = Some(format!("the new app {}", self.reason));
            SwapAnswer { reason, ..Default::default() }
        };
        self.settle(swap.answer, outcome);
    }

    fn apply(&mut self, event: Event) {
        for action in self.machine.apply(event) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start(number) => {
                if let (Some(swap), State::Swapping { .. }) = (&mut self.swap, self.machine.state())
                {
                    swap.new = number;
                } else {
                    self.shared.with(|figures| figures.restarts += 1);
                }
                self.begin(number);
            }
            Action::Open(number) => self.open(number),
            Action::Close => self.close(),
            Action::Retire(number) => {
                let until = Instant::now() + self.launch.stop_timeout;
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
                let delay = self.launch.restart_delay.saturating_sub(up);
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
                if let Some(swap) = self.swap.take() {
                    let reason = Some(format!("the new app {}", self.reason));
                    self.settle(swap.answer, SwapAnswer { reason, ..Default::default() });
                }
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
        self.lives.insert(number, Life { generation, pid: None, orders });
    }

    fn open(&mut self, number: u32) {
        let Some(life) = self.lives.get(&number) else { return };
        self.route.open(Arc::clone(&life.generation));
        if let Some(swap) = &mut self.swap
            && swap.new == number
        {
            swap.moved = true;
        }
        if let Some(guard) = &self.guard
            && let Err(error) = guard.ready(BootTime::now())
        {
            tracing::warn!("{error}");
        }
        (self.launch.alive)();
        let pid = life.pid.and_then(id);
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
    fn count(&self) -> bool {
        let Some(guard) = &self.guard else { return false };
        match guard.child_ended(BootTime::now(), self.launch.min_uptime) {
            Ok(state) => state.crashes >= self.launch.max_restarts,
            Err(error) => {
                tracing::warn!("{error}");
                false
            }
        }
    }

    /// Renews what others see.
    fn show(&self) {
        let no_swap = self.no_swap();
        self.shared.with(|figures| figures.no_swap = no_swap);
    }
}
