//! How many bytes clients may make an instance hold, over all of their connections and streams.
//!
//! What a client can make a server buffer is taken from one budget before it is buffered, and given back
//! when the bytes are gone. It has two pools, so that those who wait for the one never keep the other
//! from being given back:
//!
//! - `connections`: what an active connection costs at the least, from the first bytes of a request on.
//!   Those that bring many requests at a time have no more than a part of it (`MULTIPLEXED`);
//! - `transfers`: answers on their way out, and whatever is worth having where there is room.
//!
//! Each connection is sure of one piece of an answer at a time (`Lane`): it waits for that until others give
//! something back, and holds nothing meanwhile. All beyond it is *extra*, and a connection has only as
//! much of that as a share of what is free (`SHARE`): the fuller the pool, the less each may add, so that
//! no number of greedy ones empties it (the dynamic thresholds of switches with a shared buffer; Choudhury
//! and Hahne, 1998).
//!
//! | part | holds |
//! |---|---|
//! | here | the pools, and what a connection has of them |
//! | `lane` | one answer on its way, its pieces counted until the last copy is gone |

mod lane;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::PollSemaphore;

pub(crate) use lane::Lane;

/// Bytes of one unit that is counted. A small piece costs a whole one: what it takes to keep a piece is
/// of that order, however short it is.
const UNIT: usize = 1 << 10;

/// A connection's extras are at most this part of what is free. Ten greedy connections then leave
/// four ninths of a pool free, a hundred of them a fourteenth.
const SHARE: usize = 8;

/// What connections that bring many requests at a time may have of the bytes for connections: one in so
/// many.
const MULTIPLEXED: u64 = 2;

/// The bytes of an instance. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Pools>);

#[derive(Debug)]
struct Pools {
    connections: Arc<Semaphore>,
    /// What of these those connections may have that bring many requests at a time. Each costs as much as
    /// many others, and those would wait behind it.
    multiplexed: Arc<Semaphore>,
    transfers: Arc<Semaphore>,
    /// How many wait for something to be given back.
    waiting: AtomicUsize,
    /// Told when somebody begins to wait.
    short: Notify,
}

impl Budget {
    /// A budget of so many bytes for connections, and so many for transfers.
    pub(crate) fn of(connections: u64, transfers: u64) -> Self {
        let pool = |bytes: u64| {
            let units = usize::try_from(bytes / UNIT as u64).unwrap_or(usize::MAX);
            Arc::new(Semaphore::new(units.clamp(1, Semaphore::MAX_PERMITS)))
        };
        Self(Arc::new(Pools {
            connections: pool(connections),
            multiplexed: pool(connections / MULTIPLEXED),
            transfers: pool(transfers),
            waiting: AtomicUsize::new(0),
            short: Notify::new(),
        }))
    }

    /// A budget that nobody empties: for doors that few come in by, and those are trusted.
    pub(crate) fn unbounded() -> Self {
        Self::of(u64::MAX, u64::MAX)
    }

    /// The account of a new connection.
    pub(crate) fn account(&self) -> Arc<Account> {
        Arc::new(Account {
            budget: self.clone(),
            extras: AtomicUsize::new(0),
            is_sure_taken: AtomicBool::new(false),
            lanes: AtomicU64::new(0),
            unsent: AtomicUsize::new(0),
            progress: AtomicU64::new(0),
            awaited: Mutex::default(),
            line: Mutex::default(),
        })
    }

    /// How many wait for something to be given back.
    pub(crate) fn waiting(&self) -> usize {
        self.0.waiting.load(Relaxed)
    }

    /// Waits until somebody begins to wait, or did since the last call.
    pub(crate) async fn runs_short(&self) {
        self.0.short.notified().await;
    }

    /// Bytes of transfers that are free.
    #[cfg(test)]
    fn free(&self) -> [usize; 2] {
        let free = |pool: &Semaphore| pool.available_permits() * UNIT;
        [free(&self.0.connections), free(&self.0.transfers)]
    }
}

/// Bytes of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _units: OwnedSemaphorePermit,
    _multiplexed: Option<OwnedSemaphorePermit>,
}

/// One who waits for bytes of a pool.
#[derive(Debug)]
struct Waiting {
    budget: Budget,
    queue: PollSemaphore,
}

impl Waiting {
    fn for_pool(budget: &Budget, pool: &Arc<Semaphore>) -> Self {
        budget.0.waiting.fetch_add(1, Relaxed);
        budget.0.short.notify_one();
        Self { budget: budget.clone(), queue: PollSemaphore::new(Arc::clone(pool)) }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.budget.0.waiting.fetch_sub(1, Relaxed);
    }
}

/// What one connection has of the budget.
#[derive(Debug)]
pub(crate) struct Account {
    budget: Budget,
    /// Units of its extras.
    extras: AtomicUsize,
    /// The room that it is sure of is taken, or waited for.
    is_sure_taken: AtomicBool,
    /// Answers so far.
    lanes: AtomicU64,
    /// Bytes of answers that were handed over and are not the kernel's yet.
    unsent: AtomicUsize,
    /// Bytes of answers that became the kernel's, and of requests' bodies that came.
    progress: AtomicU64,
    /// Bodies of requests whose next bytes are waited for, and since when they are.
    awaited: Mutex<(usize, Option<Instant>)>,
    /// Answers that wait for room, the one whose turn it is first. It is called when the connection has given
    /// something back.
    line: Mutex<VecDeque<(u64, Waker)>>,
}

impl Account {
    /// Bytes for the connection itself; waits until there are as many.
    pub(crate) async fn open(&self, bytes: usize) -> Permit {
        let mut waiting = None;
        poll_fn(|cx| self.poll_open(cx, bytes, &mut waiting)).await
    }

    /// The same for one who polls. `waiting` is to be kept until it is ready.
    pub(crate) fn poll_open(
        &self,
        cx: &mut Context<'_>,
        bytes: usize,
        waiting: &mut Option<Queue>,
    ) -> Poll<Permit> {
        let units = ready!(self.poll_pool(cx, &self.budget.0.connections, bytes, waiting));
        Poll::Ready(Permit { _units: units, _multiplexed: None })
    }

    /// As [`Account::open`], for a connection that brings many requests at a time.
    pub(crate) async fn open_multiplexed(&self, bytes: usize) -> Permit {
        let mut waiting = None;
        let pool = &self.budget.0.multiplexed;
        let multiplexed = poll_fn(|cx| self.poll_pool(cx, pool, bytes, &mut waiting)).await;
        Permit { _multiplexed: Some(multiplexed), ..self.open(bytes).await }
    }

    /// So many bytes more, if they are within the connection's share of what is free.
    pub(crate) fn extra(self: &Arc<Self>, bytes: usize) -> Option<Extra> {
        self.extra_of(bytes, SHARE)
    }

    /// The same for what the connection keeps to its end: half of its share is left for its answers.
    pub(crate) fn lasting_extra(self: &Arc<Self>, bytes: usize) -> Option<Extra> {
        self.extra_of(bytes, 2 * SHARE)
    }

    fn extra_of(self: &Arc<Self>, bytes: usize, share: usize) -> Option<Extra> {
        let (pool, units) = (&self.budget.0.transfers, units_of(bytes));
        let held = self.extras.load(Relaxed);
        if held + units > pool.available_permits() / share {
            return None;
        }
        let permit = Arc::clone(pool).try_acquire_many_owned(u32::try_from(units).ok()?).ok()?;
        self.extras.fetch_add(units, Relaxed);
        Some(Extra { account: Arc::clone(self), units: Some(permit) })
    }

    /// Bytes of answers that were handed over and that the client has not taken.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent.load(Relaxed)
    }

    /// Bytes that the client has taken of answers, and brought of requests' bodies, so far.
    pub(crate) fn progress(&self) -> u64 {
        self.progress.load(Relaxed)
    }

    /// Bytes of a request's body have come.
    pub(crate) fn received(&self, bytes: usize) {
        self.progress.fetch_add(bytes as u64, Relaxed);
    }

    /// Says that the next bytes of a request's body are waited for, until it is dropped.
    pub(crate) fn awaits(self: &Arc<Self>) -> Awaited {
        let mut awaited = lock(&self.awaited);
        if awaited.0 == 0 {
            awaited.1 = Some(Instant::now());
        }
        awaited.0 += 1;
        Awaited(Arc::clone(self))
    }

    /// Since when the client is waited for in the middle of a request; none: it is not.
    pub(crate) fn awaiting_since(&self) -> Option<Instant> {
        lock(&self.awaited).1
    }

    fn poll_pool(
        &self,
        cx: &mut Context<'_>,
        pool: &Arc<Semaphore>,
        bytes: usize,
        waiting: &mut Option<Queue>,
    ) -> Poll<OwnedSemaphorePermit> {
        let units = u32::try_from(units_of(bytes)).unwrap_or(u32::MAX);
        if waiting.is_none() {
            if let Ok(permit) = Arc::clone(pool).try_acquire_many_owned(units) {
                return Poll::Ready(permit);
            }
            *waiting = Some(Queue(Waiting::for_pool(&self.budget, pool)));
        }
        let Some(queue) = waiting else { return Poll::Pending };
        // Nobody closes a pool.
        let Some(permit) = ready!(queue.0.queue.poll_acquire_many(cx, units)) else {
            return Poll::Pending;
        };
        *waiting = None;
        Poll::Ready(permit)
    }

    /// Units of an extra are not needed any more.
    fn give_back(&self, units: OwnedSemaphorePermit) {
        self.extras.fetch_sub(units.num_permits(), Relaxed);
        // Before anybody is told.
        drop(units);
        self.call_next();
    }

    /// Whether nobody stands before this answer.
    fn is_turn_of(&self, lane: u64) -> bool {
        lock(&self.line).front().is_none_or(|(first, _)| *first == lane)
    }

    /// At the end of the line, or where it stands already.
    fn stand_in_line(&self, lane: u64, cx: &Context<'_>) {
        let mut waiting = lock(&self.line);
        match waiting.iter_mut().find(|(number, _)| *number == lane) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => waiting.push_back((lane, cx.waker().clone())),
        }
    }

    /// It does not wait any more. The next one may find something, too.
    fn leave_line(&self, lane: u64) {
        let mut waiting = lock(&self.line);
        let count = waiting.len();
        waiting.retain(|(number, _)| *number != lane);
        let has_left = waiting.len() < count;
        drop(waiting);
        if has_left {
            self.call_next();
        }
    }

    /// Calls the one whose turn it is.
    fn call_next(&self) {
        let next = lock(&self.line).front().map(|(_, waker)| waker.clone());
        if let Some(waker) = next {
            waker.wake();
        }
    }
}

/// The client is waited for.
#[derive(Debug)]
pub(crate) struct Awaited(Arc<Account>);

impl Drop for Awaited {
    fn drop(&mut self) {
        let mut awaited = lock(&self.0.awaited);
        awaited.0 -= 1;
        if awaited.0 == 0 {
            awaited.1 = None;
        }
    }
}

/// A place in the queue for bytes of a pool.
#[derive(Debug)]
pub(crate) struct Queue(Waiting);

/// Bytes beyond what a connection is sure of; given back when dropped.
#[derive(Debug)]
pub(crate) struct Extra {
    account: Arc<Account>,
    /// Some until the drop.
    units: Option<OwnedSemaphorePermit>,
}

impl Extra {
    /// Gives back what is more than so many bytes.
    fn shrink(&mut self, bytes: usize) {
        if let Some(rest) = self.units.as_mut().and_then(|units| shrunk(units, bytes)) {
            self.account.give_back(rest);
        }
    }
}

impl Drop for Extra {
    fn drop(&mut self) {
        if let Some(units) = self.units.take() {
            self.account.give_back(units);
        }
    }
}

/// What of these units is more than so many bytes need.
fn shrunk(units: &mut OwnedSemaphorePermit, bytes: usize) -> Option<OwnedSemaphorePermit> {
    let surplus = units.num_permits().saturating_sub(units_of(bytes));
    units.split(surplus)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn units_of(bytes: usize) -> usize {
    bytes.div_ceil(UNIT).max(1)
}
