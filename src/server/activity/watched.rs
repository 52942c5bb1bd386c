//! The stream of a connection, on which each byte is noted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::poll_proceed;
use tokio::time::{Instant, Sleep, sleep};

use super::super::bounds::{HEAD_SIZE, SMALL_HEAD, SMALL_READ, UPLOAD_MEMORY};
use super::super::stream::Stream;
use super::{Activity, lock};
use crate::budget::{Account, Extra, Permit, Queue};

/// Bytes that are read for one unit of a turn, of which it has 128: of HTTP/1, whose bytes cost less the
/// more there are, and of HTTP/2, where nine may be a frame.
const H1_UNIT: usize = 4 << 10;
const H2_UNIT: usize = 1 << 10;

/// How often a client that has closed its side and takes its answer slowly is looked after, at most.
const LEAST_PATIENCE: Duration = Duration::from_millis(50);

/// A stream whose bytes are noted in an [`Activity`]. It begins with the bytes that were read
/// from it before.
#[derive(Debug)]
pub(in super::super) struct Watched {
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
    pub(in super::super) fn of_http1(
        first: Bytes,
        stream: Stream,
        activity: Arc<Activity>,
        account: Arc<Account>,
    ) -> Self {
        let room = Room { account, head: None, queue: None, body: None };
        Self { first, stream: Some(stream), activity, room: Some(room), leaving: None }
    }

    /// Of an HTTP/2 connection, whose windows bound what comes.
    pub(in super::super) fn of_http2(
        first: Bytes,
        stream: Stream,
        activity: Arc<Activity>,
    ) -> Self {
        Self { first, stream: Some(stream), activity, room: None, leaving: None }
    }

    /// Bytes that may be read now, at most. Ready when there is room for them.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let Some(room) = &mut self.room else { return Poll::Ready(usize::MAX) };
        if self.activity.in_flight.load(Relaxed) > 0 {
            if !self.activity.is_within_request() {
                // hyper looks whether the client has left; at the most a next head comes.
                return Poll::Ready(SMALL_HEAD);
            }
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
        let mut framing = lock(framing);
        let count = framing.advance(fresh);
        let is_endless = framing.is_endless();
        drop(framing);
        if count < fresh.len() {
            let mut next = BytesMut::from(&fresh[count..]);
            next.extend_from_slice(&self.first);
            self.first = next.freeze();
            buffer.set_filled(before + count);
        }
        if let Some(end) = buffer.filled_mut().last_mut().filter(|_| is_endless) {
            // hyper takes the two largest numbers for signs of its own, and answers as to a head that is too
            // large; and it would read zeros for ever. No line ends like this, and no digit looks like it:
            // it answers as to any other length that is none.
            *end = 0;
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
        take_turn(count / if self.room.is_some() { H1_UNIT } else { H2_UNIT }, cx);
        if count == 0 && self.activity.is_half_closed() {
            // hyper would end the connection. It is to ask again when the response is complete.
            *lock(&self.activity.half_closed) = Some(cx.waker().clone());
            return self.poll_gone(cx).map(Ok);
        }
        Poll::Ready(Ok(()))
    }
}

/// Counts what was read for the turn that this connection has among the others: tokio counts reads, of which a
/// turn has a hundred, and so many frames that say nothing would keep all others waiting.
fn take_turn(units: usize, cx: &mut Context<'_>) {
    for _ in 0..units {
        let Poll::Ready(unit) = poll_proceed(cx) else { return };
        unit.made_progress();
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
