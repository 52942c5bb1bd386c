//! What goes on on one connection, seen from outside of hyper.
//!
//! hyper alone cannot say whether a connection may be closed: a half-received request counts as
//! idle there. So [`Watched`] notes each byte on its way in and out, and the service notes where
//! a request begins and where its response has been handed over.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;

/// The state of one connection. Everything is written and read by the connection's own task, but
/// for the streams of HTTP/2, which run in tasks of their own; so nothing needs an order.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Requests whose response has not been handed over yet.
    in_flight: AtomicUsize,
    /// Requests so far.
    requests: AtomicU64,
    /// Bytes of a request came, and the request is not whole yet.
    partial: AtomicBool,
    /// A write was begun and not followed by a flush that finished.
    unflushed: AtomicBool,
    /// Bytes moved, in either direction.
    moved: AtomicU64,
    /// The client has closed its side.
    ended: AtomicBool,
    /// The stream, given back when the HTTP side lets go of it.
    released: Mutex<Option<Stream>>,
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

impl Activity {
    /// What the connection is doing now.
    pub(super) fn phase(&self) -> Phase {
        if self.in_flight.load(Relaxed) > 0 || self.unflushed.load(Relaxed) {
            Phase::Answering
        } else if self.partial.load(Relaxed) {
            Phase::Receiving
        } else {
            Phase::Idle
        }
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

    /// The stream, once the HTTP side has let go of it.
    pub(super) fn reclaim(&self) -> Option<Stream> {
        self.released.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A request is whole; it is in flight until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.partial.store(false, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(self))
    }

    fn received(&self, count: usize) {
        self.moved.fetch_add(count as u64, Relaxed);
        if count == 0 {
            self.ended.store(true, Relaxed);
        } else if self.in_flight.load(Relaxed) == 0 {
            self.partial.store(true, Relaxed);
        }
    }
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
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
}

impl Watched {
    pub(super) fn new(first: Bytes, stream: Stream, activity: Arc<Activity>) -> Self {
        Self { first, stream: Some(stream), activity }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut Stream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        *self.activity.released.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
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
            ready!(self.stream()?.poll_read(cx, buffer))?;
        } else {
            let count = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first[..count]);
            self.first.advance(count);
            if self.first.is_empty() {
                // An empty slice of it would keep its memory for as long as the connection lives.
                self.first = Bytes::new();
            }
        }
        self.activity.received(buffer.filled().len() - before);
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
        let count = ready!(self.stream()?.poll_write(cx, bytes))?;
        self.activity.moved.fetch_add(count as u64, Relaxed);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.activity.unflushed.store(true, Relaxed);
        let count = ready!(self.stream()?.poll_write_vectored(cx, slices))?;
        self.activity.moved.fetch_add(count as u64, Relaxed);
        Poll::Ready(Ok(count))
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
