//! One connection among the others: what it is at, and whether it is to leave.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::super::activity::{Activity, Phase, lock};
use super::Need;
use super::standing::{Kind, Rank, Standing};
use crate::budget::Account;

/// How long a rate is measured before it counts: many round trips of a usual client, and a quarter of
/// the time in which a newcomer is to be answered.
pub(super) const WINDOW: Duration = Duration::from_millis(250);

/// One connection among the others.
#[derive(Debug)]
pub(in super::super) struct Member {
    stage: Mutex<Stage>,
    leaves: AtomicBool,
    /// It is to leave for its place, and not only for the bytes that it holds.
    gives_place: AtomicBool,
    waker: AtomicWaker,
}

/// What a connection is at.
#[derive(Debug)]
pub(in super::super) enum Stage {
    /// It waits for a request, since then.
    Waiting(Instant),
    /// The first bytes of a request came then.
    Begun(Instant),
    /// It has said something and waits for room, which is not its client's doing.
    Queued,
    /// It waits for the room that a connection of HTTP/2 takes, since then: few can be had at a time.
    QueuedForMany(Instant),
    /// Requests are received and answered.
    Serving(Serving),
    /// It speaks another protocol. When a byte was moved last.
    Tunnel(Arc<Mutex<Instant>>),
    /// It was told that nothing more comes, then.
    Leaving(Instant),
}

/// How a connection gets on that serves requests.
#[derive(Debug)]
pub(in super::super) struct Serving {
    activity: Arc<Activity>,
    account: Arc<Account>,
    is_http1: bool,
    /// What it was like when it was measured last.
    sample: Option<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    moved: u64,
    requests: u64,
    /// Bytes a second in the window before; none: there was none.
    rate: Option<u64>,
}

impl Default for Member {
    fn default() -> Self {
        Self {
            stage: Mutex::new(Stage::Waiting(Instant::now())),
            leaves: AtomicBool::new(false),
            gives_place: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }
}

impl Member {
    /// What it is at from now on.
    pub(in super::super) fn is(&self, stage: Stage) {
        *lock(&self.stage) = stage;
    }

    /// Whether it was asked to leave, and is still one that gives way: its client may have gone on since.
    /// Tells the task that asks when it is.
    pub(in super::super) fn poll_leave(&self, cx: &Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        if !self.leaves.load(Relaxed) {
            return Poll::Pending;
        }
        let need = if self.gives_place.load(Relaxed) { Need::Place } else { Need::Bytes };
        if self.rank(Instant::now(), need).is_some() {
            return Poll::Ready(());
        }
        self.stays();
        Poll::Pending
    }

    /// Waits until it is asked to leave.
    pub(in super::super) async fn asked_to_leave(&self) {
        poll_fn(|cx| self.poll_leave(cx)).await;
    }

    /// It does not leave: it was asked in vain, since its client has gone on.
    pub(in super::super) fn stays(&self) {
        self.leaves.store(false, Relaxed);
        self.gives_place.store(false, Relaxed);
    }

    /// Asks it to leave; whether it was not asked before.
    pub(super) fn ask_to_leave(&self, need: Need) -> bool {
        self.gives_place.fetch_or(need == Need::Place, Relaxed);
        let is_new = !self.leaves.swap(true, Relaxed);
        self.waker.wake();
        is_new
    }

    /// Where it stands among the others; none: it does not give way.
    pub(super) fn rank(&self, now: Instant, need: Need) -> Option<Rank> {
        self.standing(now)?.rank(need)
    }

    /// Bytes a second, where it waits for its own client and is slow; none: it does not, or it is not.
    pub(super) fn slow_rate(&self, now: Instant) -> Option<u64> {
        self.standing(now)?.slow_rate()
    }

    fn standing(&self, now: Instant) -> Option<Standing> {
        match &mut *lock(&self.stage) {
            Stage::Queued => None,
            Stage::QueuedForMany(since) => Some(Standing::since(Kind::Queued, *since, now)),
            Stage::Waiting(since) => Some(Standing::since(Kind::Idle, *since, now)),
            Stage::Begun(since) => Some(Standing::since(Kind::Head, *since, now)),
            Stage::Leaving(since) => Some(Standing::since(Kind::Leaving, *since, now)),
            Stage::Tunnel(last) => Some(Standing::since(Kind::Tunnel, *lock(last), now)),
            Stage::Serving(serving) => serving.standing(now),
        }
    }
}

impl Stage {
    /// Requests are received and answered from now on.
    pub(in super::super) fn serving(
        activity: &Arc<Activity>,
        account: &Arc<Account>,
        is_http1: bool,
    ) -> Self {
        Self::Serving(Serving {
            activity: Arc::clone(activity),
            account: Arc::clone(account),
            is_http1,
            sample: None,
        })
    }
}

impl Serving {
    fn standing(&mut self, now: Instant) -> Option<Standing> {
        let rate = self.rate(now);
        let phase = self.activity.phase();
        // What HTTP/2 has of an answer may wait for a window when its request is done.
        let phase = if self.account.unsent() > 0 { Phase::Answering } else { phase };
        let since = |kind| Some(Standing::since(kind, self.activity.since(), now));
        match phase {
            Phase::Answering if self.waits_for_client() => {
                let rate = if self.is_stuck(now) { 0 } else { rate? };
                Some(Standing { kind: Kind::Slow { rate }, age: WINDOW })
            }
            // The app is at work.
            Phase::Answering => None,
            // Frames between two requests are no request.
            Phase::Receiving if self.is_http1 => since(Kind::Head),
            Phase::Idle | Phase::Receiving => since(Kind::IdleWithBytes),
        }
    }

    /// Whether nothing has moved for the whole window.
    fn is_stuck(&self, now: Instant) -> bool {
        let since = [self.account.awaiting_since(), self.activity.blocked_since()];
        let is_long = |since| now.saturating_duration_since(since) >= WINDOW;
        // On HTTP/2 one stream may be stuck while others get on.
        self.is_http1 && since.into_iter().flatten().any(is_long)
    }

    /// Whether the client is to bring or to take something.
    fn waits_for_client(&self) -> bool {
        self.account.awaiting_since().is_some()
            || if self.is_http1 {
                self.activity.is_sending()
            } else {
                self.activity.is_replying() || self.account.unsent() > 0
            }
    }

    /// Bytes a second in the last window; none: it is not over yet, or another request has begun in it.
    fn rate(&mut self, now: Instant) -> Option<u64> {
        // Frames that carry nothing are no progress.
        let moved = if self.is_http1 { self.activity.moved() } else { self.account.progress() };
        // The end of the request before was progress, too.
        let requests = if self.is_http1 { self.activity.requests() } else { 0 };
        let old = self.sample.filter(|old| old.requests == requests);
        let passed = old.map_or(WINDOW, |old| now.saturating_duration_since(old.at));
        if passed < WINDOW {
            return old?.rate;
        }
        let milliseconds = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let rate = old.map(|old| (moved - old.moved).saturating_mul(1000) / milliseconds);
        self.sample = Some(Sample { at: now, moved, requests, rate });
        rate
    }
}
