//! One request and its answer on one connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Method, StatusCode};
use http_body::Body;
use tokio_util::io::poll_read_buf;

use super::answer::{self, Head, malformed};
use super::error::{Sent, UpstreamError};
use super::sending::{BodyError, Sending};
use super::socket::Socket;

/// Bytes that are read in one go while a head is expected: nearly every small answer fits as a whole.
const SMALL: usize = 8 << 10;

/// Bytes that are read in one go of a large body, at most.
pub(super) const LARGE: usize = 64 << 10;

/// One such piece in so many bytes of memory: with little of it many answers have room at a time.
const PIECES: u64 = 1024;

/// Bytes that are read in one go of a large body by a front that may use `memory` bytes.
pub(crate) fn piece(memory: u64) -> usize {
    usize::try_from(memory / PIECES).unwrap_or(LARGE).clamp(SMALL, LARGE)
}

/// Room that is worth a read.
const LEAST: usize = 1 << 10;

/// Answers that are only on the way to the final one (100, 102, 103), at most.
const INTERIM: u32 = 16;

/// A connection with a request on it.
#[derive(Debug)]
pub(super) struct Exchange<B> {
    pub(super) socket: Socket,
    pub(super) sending: Sending<B>,
    pub(super) read: BytesMut,
    to_head: bool,
    interim: u32,
    /// A byte of an answer came.
    answered: bool,
}

impl<B> Exchange<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
{
    pub(super) fn new(socket: Socket, parts: &Parts, body: B) -> Self {
        let sending = Sending::new(parts, body);
        if sending.has_body() {
            // Until it is done in order: the exchange may end at any moment.
            socket.ends_with_reset(true);
        }
        Self {
            socket,
            sending,
            read: BytesMut::new(),
            to_head: parts.method == Method::HEAD,
            interim: 0,
            answered: false,
        }
    }

    /// Sends what can be sent and waits for the head of the final answer.
    pub(super) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, UpstreamError>> {
        if let Poll::Ready(Err(error)) = self.sending.poll(cx, &mut self.socket) {
            return Poll::Ready(Err(UpstreamError::Body(error)));
        }
        if self.sending.was_refused() {
            // What may lie in the buffer was said before, and is no answer to this.
            return Poll::Ready(Err(UpstreamError::Closed));
        }
        loop {
            while !self.read.is_empty() {
                let Some(head) = answer::take(&mut self.read, self.to_head)? else { break };
                if !is_interim(head.parts.status) {
                    self.sending.answered(head.parts.status);
                    return Poll::Ready(Ok(head));
                }
                self.interim += 1;
                if self.interim > INTERIM {
                    return Poll::Ready(Err(malformed!("it never comes to its end").into()));
                }
                if head.parts.status == StatusCode::CONTINUE {
                    self.sending.go_on();
                    if let Poll::Ready(Err(error)) = self.sending.poll(cx, &mut self.socket) {
                        return Poll::Ready(Err(UpstreamError::Body(error)));
                    }
                }
            }
            match ready!(self.poll_read(cx, SMALL)) {
                Ok(0) | Err(_) if self.answered => return Poll::Ready(Err(UpstreamError::Cut)),
                Ok(0) => return Poll::Ready(Err(UpstreamError::Closed)),
                Ok(_) => self.answered = true,
                Err(error) => return Poll::Ready(Err(UpstreamError::Broken(error))),
            }
        }
    }

    /// Reads more: `wanted` bytes in one go, at most. 0: the app has closed its side.
    fn poll_read(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        if self.read.capacity() - self.read.len() < LEAST {
            self.read.reserve(wanted);
        }
        poll_read_buf(Pin::new(&mut self.socket), cx, &mut self.read)
    }

    /// Reads more of a body of which so many bytes are still to come, for all one knows; `most` in one go.
    pub(super) fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        to_come: u64,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let wanted = usize::try_from(to_come).unwrap_or(most).clamp(SMALL, most);
        self.poll_read(cx, wanted)
    }

    /// All that was to be said is said: the connection is to be kept, or closed in order.
    pub(super) fn ends_in_order(&self) {
        if self.sending.has_body() && self.sending.is_done() {
            self.socket.ends_with_reset(false);
        }
    }

    /// What the app can have seen of the request.
    pub(super) fn sent(&self) -> Sent {
        if self.sending.has_written() { Sent::Perhaps } else { Sent::Nothing }
    }
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}
