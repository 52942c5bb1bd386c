//! What goes on on one connection, seen from outside of hyper.
//!
//! hyper alone cannot say whether a connection may be closed: a half-received request counts as
//! idle there. So [`Watched`] notes each byte on its way in and out, and the service notes where
//! a request begins and where its response has been handed over.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::bounds::{HEAD_SIZE, SMALL_HEAD, SMALL_READ, UPLOAD_MEMORY};
use super::stream::Stream;
use crate::budget::{Account, Extra, Permit, Queue};
use crate::front::{Framing, Seen, Tunnel};

/// How often a client that has closed its side and takes its answer slowly is looked after, at most.
const LEAST_PATIENCE: Duration = Duration::from_millis(50);

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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
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

/// A stream whose bytes are noted in an [`Activity`]. It begins with the bytes that were read
/// from it before.
#[derive(Debug)]
pub(super) struct Watched {
    first: Bytes,
    /// Some until the drop.
    stream: Option<Stream>,
    activity: Arc<Activity>,
    room: Option<Room>,
    /// Some: the client has closed its side with a request in hand.
    leaving: Option<Leaving>,
}

/// What an HTTP/1 connection holds of the budget beyond its least.
#[derive(Debug)]
struct Room {
    account: Arc<Account>,
    /// For a large head, and for as long as the connection goes on.
    head: Option<Permit>,
    /// One who waits for that.
    queue: Option<Queue>,
    /// For a body that is read in large pieces.
    body: Option<Extra>,
}

/// A client that has closed its side: it still waits for its answer, or is gone. Nobody can tell before
/// something is sent to it.
#[derive(Debug)]
struct Leaving {
    /// Bytes that had moved when the time began to run.
    moved: u64,
    over: Pin<Box<Sleep>>,
}

impl Watched {
    /// Of an HTTP/1 connection.
    pub(super) fn of_http1(
        first: Bytes,
        stream: Stream,
        activity: Arc<Activity>,
        account: Arc<Account>,
    ) -> Self {
        let room = Room { account, head: None, queue: None, body: None };
        Self { first, stream: Some(stream), activity, room: Some(room), leaving: None }
    }

    /// Of an HTTP/2 connection, whose windows bound what comes.
    pub(super) fn of_http2(first: Bytes, stream: Stream, activity: Arc<Activity>) -> Self {
        Self { first, stream: Some(stream), activity, room: None, leaving: None }
    }

    /// Bytes that may be read now, at most. Ready when there is room for them.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let Some(room) = &mut self.room else { return Poll::Ready(usize::MAX) };
        if self.activity.in_flight.load(Relaxed) > 0 {
            if room.body.is_none() {
                room.body = room.account.extra(UPLOAD_MEMORY);
            }
            return Poll::Ready(if room.body.is_some() { usize::MAX } else { SMALL_READ });
        }
        room.body = None;
        if room.head.is_none() && self.activity.partial.load(Relaxed) >= SMALL_HEAD {
            let permit = ready!(room.account.poll_open(cx, HEAD_SIZE, &mut room.queue));
            room.head = Some(permit);
        }
        Poll::Ready(usize::MAX)
    }

    /// Ready when a client that has closed its side counts as gone: nothing was to be sent to it for too
    /// long.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let activity = &self.activity;
        let patience = Duration::from_millis(activity.patience.load(Relaxed));
        let leaving = self.leaving.get_or_insert_with(|| Leaving {
            moved: activity.moved(),
            over: Box::pin(sleep(patience)),
        });
        loop {
            ready!(leaving.over.as_mut().poll(cx));
            // One that takes its answer slowly is there: the kernel would say otherwise.
            if leaving.moved == activity.moved() && !activity.unflushed.load(Relaxed) {
                return Poll::Ready(());
            }
            leaving.moved = activity.moved();
            leaving.over.as_mut().reset(Instant::now() + patience.max(LEAST_PATIENCE));
        }
    }

    /// Takes back what of the bytes from `before` on belongs to a next request: each head is to be
    /// judged before another one is read.
    fn keep_next(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        let Some(framing) = &self.activity.framing else { return };
        let fresh = &buffer.filled()[before..];
        if fresh.is_empty() {
            return;
        }
        let count = lock(framing).advance(fresh);
        if count < fresh.len() {
            let mut next = BytesMut::from(&fresh[count..]);
            next.extend_from_slice(&self.first);
            self.first = next.freeze();
            buffer.set_filled(before + count);
        }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut Stream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let first = std::mem::take(&mut self.first);
        *lock(&self.activity.released) = self.stream.take().map(|stream| (stream, first));
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.first.is_empty() {
            let most = ready!(self.poll_room(cx));
            if most < buffer.remaining() {
                let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(most));
                ready!(self.stream()?.poll_read(cx, &mut piece))?;
                let count = piece.filled().len();
                buffer.advance(count);
            } else {
                ready!(self.stream()?.poll_read(cx, buffer))?;
            }
        } else {
            let count = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first[..count]);
            self.first.advance(count);
            if self.first.is_empty() {
                // An empty slice of it would keep its memory for as long as the connection lives.
                self.first = Bytes::new();
            }
        }
        self.keep_next(buffer, before);
        let count = buffer.filled().len() - before;
        self.activity.received(count);
        if count == 0 && self.activity.is_half_closed() {
            // hyper would end the connection. It is to ask again when the response is complete.
            *lock(&self.activity.half_closed) = Some(cx.waker().clone());
            return self.poll_gone(cx).map(Ok);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.activity.unflushed.store(true, Relaxed);
        let written = self.stream()?.poll_write(cx, bytes)?;
        self.activity.written(written).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.activity.unflushed.store(true, Relaxed);
        let written = self.stream()?.poll_write_vectored(cx, slices)?;
        self.activity.written(written).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper flushes only once its own buffer is empty, so a flush that finished means that every
    /// byte of the response is the kernel's.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream()?.poll_flush(cx))?;
        self.activity.unflushed.store(false, Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}
