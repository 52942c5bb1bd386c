//! What goes on on one connection, seen from outside of hyper.
//!
//! hyper alone cannot say whether a connection may be closed: a half-received request counts as
//! idle there. So [`Watched`] notes each byte on its way in and out, and the service notes where
//! a request begins and where its response has been handed over.

mod watched;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

pub(super) use self::watched::Watched;
use super::stream::Stream;
use crate::front::{Framing, Seen, Tunnel};

/// The state of one connection. Everything is written and read by the connection's own task, but
/// for the streams of HTTP/2, which run in tasks of their own; so nothing needs an order.
#[derive(Debug)]
pub(super) struct Activity {
    /// When it began.
    begin: Instant,
    /// Microseconds from then on to the last change of phase.
    changed: AtomicU64,
    /// Requests whose response has not been handed over yet.
    in_flight: AtomicUsize,
    /// Those of them that the one who answers has in hand.
    in_hand: AtomicUsize,
    /// Requests so far.
    requests: AtomicU64,
    /// Bytes of a head that came, and that is not whole yet.
    partial: AtomicUsize,
    /// A write was begun and not followed by a flush that finished.
    unflushed: AtomicBool,
    /// Microseconds to the moment since which the kernel takes nothing more; 0: it takes all.
    blocked: AtomicU64,
    /// Bytes moved, in either direction.
    moved: AtomicU64,
    /// The client has closed its side.
    ended: AtomicBool,
    /// Who is to learn of that when the response is complete.
    half_closed: Mutex<Option<Waker>>,
    /// How long a client that has closed its side may wait for a byte, in milliseconds.
    patience: AtomicU64,
    /// An answer to the last request has begun, or is about to.
    answered: AtomicBool,
    /// That answer is of no use to a client that has closed its side.
    needs_client: AtomicBool,
    /// Where in a request the bytes are; none: not HTTP/1.
    framing: Option<Mutex<Framing>>,
    /// The stream, given back when the HTTP side lets go of it, and bytes of it that hyper has not had.
    released: Mutex<Option<(Stream, Bytes)>>,
    /// What follows the last response.
    tunnel: Mutex<Option<Box<Tunnel>>>,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is under way.
    Idle,
    /// A request has begun to arrive.
    Receiving,
    /// A request is being answered, or its response is being sent.
    Answering,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            begin: Instant::now(),
            changed: AtomicU64::default(),
            in_flight: AtomicUsize::default(),
            in_hand: AtomicUsize::default(),
            requests: AtomicU64::default(),
            partial: AtomicUsize::default(),
            unflushed: AtomicBool::default(),
            blocked: AtomicU64::default(),
            moved: AtomicU64::default(),
            ended: AtomicBool::default(),
            half_closed: Mutex::default(),
            answered: AtomicBool::default(),
            needs_client: AtomicBool::default(),
            patience: AtomicU64::default(),
            framing: None,
            released: Mutex::default(),
            tunnel: Mutex::default(),
        }
    }
}

impl Activity {
    /// Of an HTTP/1 connection, whose requests are followed on the wire.
    pub(super) fn of_http1() -> Self {
        Self { framing: Some(Mutex::default()), ..Self::default() }
    }

    /// What the connection is doing now.
    pub(super) fn phase(&self) -> Phase {
        if self.in_flight.load(Relaxed) > 0 || self.unflushed.load(Relaxed) {
            Phase::Answering
        } else if self.partial.load(Relaxed) > 0 {
            Phase::Receiving
        } else {
            Phase::Idle
        }
    }

    /// Notes that the phase has changed.
    pub(super) fn change(&self, now: Instant) {
        self.changed.store(self.passed(now), Relaxed);
    }

    fn passed(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.begin).as_micros();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }

    /// When the phase changed last, as far as somebody has noted it.
    pub(super) fn since(&self) -> Instant {
        self.begin + Duration::from_micros(self.changed.load(Relaxed))
    }

    /// Since when the kernel takes nothing of what is to be sent.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        let passed = self.blocked.load(Relaxed);
        (passed > 0).then(|| self.begin + Duration::from_micros(passed))
    }

    /// Notes whether the kernel takes something.
    fn written(&self, written: Poll<usize>) -> Poll<usize> {
        match written {
            Poll::Ready(count) => {
                self.moved.fetch_add(count as u64, Relaxed);
                self.blocked.store(0, Relaxed);
            }
            Poll::Pending if self.blocked.load(Relaxed) == 0 => {
                self.blocked.store(self.passed(Instant::now()).max(1), Relaxed);
            }
            Poll::Pending => {}
        }
        written
    }

    /// Whether bytes of an answer are on their way into the kernel.
    pub(super) fn is_sending(&self) -> bool {
        self.unflushed.load(Relaxed)
    }

    /// Whether an answer is there that the connection has not taken yet: on HTTP/2, where each stream has
    /// a window of its own.
    pub(super) fn is_replying(&self) -> bool {
        self.in_flight.load(Relaxed) > self.in_hand.load(Relaxed)
    }

    /// Requests so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Bytes moved so far.
    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Relaxed)
    }

    /// Whether the client has closed its side.
    pub(super) fn ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Whether the client has done its part of what is under way, so that the server is waited for.
    pub(super) fn client_waits(&self) -> bool {
        !self.unflushed.load(Relaxed) && !self.is_within_request()
    }

    /// Whether part of a request's body is still to come.
    pub(super) fn is_within_request(&self) -> bool {
        self.framing.as_ref().is_some_and(|framing| lock(framing).is_within())
    }

    /// Whether a client that has closed its side may still wait for what it has asked for: its request
    /// is whole, and the answer is one that it can do with (RFC 9112, 9.6).
    fn is_half_closed(&self) -> bool {
        self.framing.is_some()
            && self.in_flight.load(Relaxed) > 0
            && !self.needs_client.load(Relaxed)
            && !self.is_within_request()
    }

    /// Says how long a client that has closed its side may wait for a next byte before it counts as gone.
    pub(super) fn expect_back(&self, patience: Duration) {
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.patience.store(patience, Relaxed);
    }

    /// Whether an answer to the last request has begun.
    pub(super) fn is_answered(&self) -> bool {
        self.answered.load(Relaxed)
    }

    /// An answer to the last request is about to begin; a tunnel may follow it. `endless`: it goes on
    /// for as long as the client is there, and one that closes its side is not.
    pub(super) fn answers(&self, endless: bool, tunnel: Option<Box<Tunnel>>) {
        self.answered.store(true, Relaxed);
        self.needs_client.store(endless, Relaxed);
        if tunnel.is_some() {
            *lock(&self.tunnel) = tunnel;
        }
    }

    /// What follows the last response.
    pub(super) fn tunnel(&self) -> Option<Box<Tunnel>> {
        lock(&self.tunnel).take()
    }

    /// The stream, once the HTTP side has let go of it, and what of it hyper has not had.
    pub(super) fn reclaim(&self) -> Option<(Stream, Bytes)> {
        lock(&self.released).take()
    }

    /// The head of a request is whole; it is in flight until the guard is dropped. What the head was
    /// made of: none where that is not followed.
    pub(super) fn begin(self: &Arc<Self>) -> (InFlight, Option<Seen>) {
        self.partial.store(0, Relaxed);
        self.answered.store(false, Relaxed);
        self.needs_client.store(false, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        self.in_hand.fetch_add(1, Relaxed);
        let seen = self.framing.as_ref().map(|framing| lock(framing).head());
        (InFlight { activity: Arc::clone(self), in_hand: true }, seen)
    }

    fn received(&self, count: usize) {
        self.moved.fetch_add(count as u64, Relaxed);
        if count == 0 {
            self.ended.store(true, Relaxed);
        } else if self.in_flight.load(Relaxed) == 0 {
            self.partial.fetch_add(count, Relaxed);
        }
    }
}

/// Locks, also after a panic of somebody else: each of these states is whole at any moment.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    activity: Arc<Activity>,
    /// The one who answers has it in hand, and not the client's connection.
    in_hand: bool,
}

impl InFlight {
    /// Says whether the one who answers has it in hand.
    pub(super) fn is_in_hand(&mut self, in_hand: bool) {
        if self.in_hand != in_hand {
            self.in_hand = in_hand;
            if in_hand {
                self.activity.in_hand.fetch_add(1, Relaxed);
            } else {
                self.activity.in_hand.fetch_sub(1, Relaxed);
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.is_in_hand(false);
        self.activity.in_flight.fetch_sub(1, Relaxed);
        if self.activity.ended()
            && let Some(waker) = lock(&self.activity.half_closed).take()
        {
            waker.wake();
        }
    }
}
