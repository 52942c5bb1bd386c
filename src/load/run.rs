//! One run of a mix: what its clients share, and the account of every request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::client;
use super::gauge::Gauge;
use super::loss::Loss;
use super::mix::{Group, Mix};
use super::report::Failure;
use super::tally::Tally;

/// How many failures are kept in full. The first ones tell the cause; all of them are counted.
const FAILURES: usize = 50;

/// Pause of a client after a loss, so that a closed port is not hammered. The next request is a
/// new one, never the lost one again.
const PAUSE_AFTER_LOSS: Duration = Duration::from_millis(10);

/// What the clients of a run share.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) mix: Mix,
    /// One for each group of the mix, in its order.
    pub(super) tallies: Vec<Tally>,
    /// Good answers of all groups.
    pub(super) answered: Gauge,
    /// Set: no client starts a request any more.
    pub(super) stop: CancellationToken,
    /// Set: no client has a request in hand any more.
    pub(super) over: CancellationToken,
    failures: Mutex<Vec<Failure>>,
    /// Requests that may still be started.
    left: AtomicU64,
    started: Instant,
    lasted: OnceLock<Duration>,
}

impl Run {
    /// A run that has not begun.
    pub(super) fn new(mix: Mix) -> Arc<Self> {
        Arc::new(Self {
            tallies: mix.groups.iter().map(|_| Tally::default()).collect(),
            answered: Gauge::default(),
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
            failures: Mutex::default(),
            left: AtomicU64::new(mix.most),
            started: Instant::now(),
            lasted: OnceLock::new(),
            mix,
        })
    }

    /// Time from the start to the end, or to now.
    pub(super) fn lasted(&self) -> Duration {
        self.lasted.get().copied().unwrap_or_else(|| self.started.elapsed())
    }

    /// Takes the first failures out of the run.
    pub(super) fn take_failures(&self) -> Vec<Failure> {
        std::mem::take(&mut self.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes one request from what the mix allows; false where nothing is left.
    fn take_one(&self) -> bool {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }
}

/// Runs all clients until they are told to stop and have finished what they have in hand.
pub(super) async fn drive(ending: Arc<Ending>) {
    let run = &ending.0;
    let mut clients = JoinSet::new();
    for group in 0..run.mix.groups.len() {
        for number in 0..run.mix.groups[group].clients {
            clients.spawn(client::run(Client { ending: Arc::clone(&ending), group, number }));
        }
    }
    let stop_when_too_long = async {
        tokio::select! {
            () = run.stop.cancelled() => {}
            () = sleep(run.mix.longest) => run.stop.cancel(),
        }
    };
    // A client that panics has its request counted as lost by `Attempt`: nothing to do here.
    let all_ended = async { while clients.join_next().await.is_some() {} };
    tokio::join!(stop_when_too_long, async {
        all_ended.await;
        run.stop.cancel();
    });
}

/// Marks the run as over when the last of its clients has dropped it, also where the runtime ends
/// them early.
#[derive(Debug)]
pub(super) struct Ending(Arc<Run>);

impl Ending {
    /// Of a run that is about to begin.
    pub(super) fn of(run: &Arc<Run>) -> Arc<Self> {
        Arc::new(Self(Arc::clone(run)))
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let run = &self.0;
        let _: &Duration = run.lasted.get_or_init(|| run.started.elapsed());
        run.answered.close();
        for tally in &run.tallies {
            tally.answered.close();
        }
        run.over.cancel();
    }
}

/// One client's place in a run.
#[derive(Debug)]
pub(super) struct Client {
    ending: Arc<Ending>,
    group: usize,
    /// Its number within its group, from 0.
    number: usize,
}

impl Client {
    /// What the client does.
    pub(super) fn group(&self) -> &Group {
        &self.run().mix.groups[self.group]
    }

    /// The mix it belongs to.
    pub(super) fn mix(&self) -> &Mix {
        &self.run().mix
    }

    /// The numbers of its group.
    pub(super) fn tally(&self) -> &Tally {
        &self.run().tallies[self.group]
    }

    /// Decides to send a request: counts it as sent. None: the client has to end.
    pub(super) fn begin(&self) -> Option<Attempt> {
        if self.run().stop.is_cancelled() {
            return None;
        }
        if !self.run().take_one() {
            self.run().stop.cancel();
            return None;
        }
        self.tally().numbers().sent += 1;
        Some(Attempt {
            run: Arc::clone(self.run()),
            group: self.group,
            started: Instant::now(),
            paused: Duration::ZERO,
            settled: false,
        })
    }

    /// Waits for the gap after an answer; ends early when the run stops. `first`: the gap is
    /// shortened by the client's number, so that the clients of a group spread over it.
    pub(super) async fn gap(&self, first: bool, lost: bool) {
        let gap = self.group().kind.gap();
        let gap = if first { self.share_of(gap) } else { gap };
        let gap = if lost { gap.max(PAUSE_AFTER_LOSS) } else { gap };
        if !gap.is_zero() {
            tokio::select! {
                biased;
                () = self.run().stop.cancelled() => {}
                () = sleep(gap) => {}
            }
        }
    }

    fn run(&self) -> &Arc<Run> {
        &self.ending.0
    }

    fn share_of(&self, gap: Duration) -> Duration {
        let share = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        gap / share(self.group().clients).max(1) * share(self.number + 1)
    }
}

/// One request, from the decision to send it to its outcome. However it ends, it is counted
/// exactly once: one that is dropped without an outcome is lost.
#[derive(Debug)]
pub(super) struct Attempt {
    run: Arc<Run>,
    group: usize,
    started: Instant,
    paused: Duration,
    settled: bool,
}

impl Attempt {
    /// A pause that belongs to the behaviour of the client and not to the time it waits.
    pub(super) async fn pause(&mut self, duration: Duration) {
        let begin = Instant::now();
        sleep(duration).await;
        self.paused += begin.elapsed();
    }

    /// Counts the outcome.
    pub(super) fn settle(mut self, outcome: Result<(), Loss>) {
        match outcome {
            Ok(()) => self.answered(),
            Err(loss) => self.lost(loss),
        }
    }

    fn answered(&mut self) {
        self.settled = true;
        let tally = &self.run.tallies[self.group];
        let mut numbers = tally.numbers();
        numbers.ok += 1;
        numbers.waits.record(self.started.elapsed().saturating_sub(self.paused));
        drop(numbers);
        tally.answered.add();
        self.run.answered.add();
    }

    fn lost(&mut self, loss: Loss) {
        self.settled = true;
        let mut numbers = self.run.tallies[self.group].numbers();
        numbers.lost += 1;
        numbers.refused += u64::from(matches!(loss, Loss::Refused(_)));
        drop(numbers);
        let mut failures = self.run.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < FAILURES {
            failures.push(Failure {
                kind: self.run.mix.groups[self.group].name(),
                since_start: self.run.started.elapsed(),
                loss,
            });
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.settled {
            self.lost(Loss::Abandoned);
        }
    }
}
