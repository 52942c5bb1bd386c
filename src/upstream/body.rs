//! The body of an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::response::Parts;
use http_body::{Body, Frame, SizeHint};

use super::answer::{Framing, Head};
use super::chunked::{Decoder, Step};
use super::error::UpstreamError;
use super::exchange::{Exchange, LARGE};
use super::pool::{Pool, Terms};
use super::sending::BodyError;
use super::socket::Socket;

/// An answer, whose body is still to come.
#[derive(Debug)]
pub(crate) struct Answer<B> {
    pub(crate) parts: Parts,
    pub(crate) body: AnswerBody<B>,
}

/// The body of an answer. While it is polled, what is left of the request's body is sent.
#[derive(Debug)]
pub(crate) struct AnswerBody<B> {
    rest: Rest,
    /// None: the connection is back in its pool, or closed.
    exchange: Option<Exchange<B>>,
    /// Where the connection goes afterwards; none: it cannot be used again.
    home: Option<(Arc<Pool>, Terms)>,
    is_switch: bool,
    /// Bytes that are read in one go, at most.
    piece: usize,
}

/// What is still to come.
#[derive(Debug)]
enum Rest {
    Nothing,
    Length(u64),
    Chunks(Box<Decoder>),
    ToEnd,
}

/// A connection that speaks another protocol from now on.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) stream: Socket,
    /// What the app has said already.
    pub(crate) read: Bytes,
}

impl<B> AnswerBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
{
    pub(super) fn new(head: &Head, exchange: Exchange<B>, home: &Arc<Pool>) -> Self {
        let rest = match head.framing {
            Framing::Empty => Rest::Nothing,
            Framing::Length(length) => Rest::Length(length),
            Framing::Chunked => Rest::Chunks(Box::default()),
            Framing::ToEnd => Rest::ToEnd,
        };
        let terms = head.keep_alive.then(|| Terms::of(&head.parts.headers));
        let mut body = Self {
            rest,
            exchange: Some(exchange),
            home: terms.map(|terms| (Arc::clone(home), terms)),
            is_switch: head.parts.status == StatusCode::SWITCHING_PROTOCOLS,
            piece: LARGE,
        };
        if matches!(body.rest, Rest::Nothing) && !body.is_switch {
            body.finish();
        }
        body
    }

    /// Reads no more than this in one go.
    pub(crate) fn in_pieces_of(self, bytes: usize) -> Self {
        Self { piece: bytes, ..self }
    }

    /// The connection itself, after the answer that it speaks another protocol now. None as well where
    /// the request is not out yet: its rest would go into that protocol.
    pub(crate) fn into_tunnel(self) -> Option<Tunnel> {
        let exchange = self.exchange.filter(|_| self.is_switch)?;
        if !exchange.sending.is_done() {
            return None;
        }
        exchange.ends_in_order();
        Some(Tunnel { stream: exchange.socket, read: exchange.read.freeze() })
    }

    /// The answer is whole: the connection goes back, if nothing else is on it.
    fn finish(&mut self) {
        self.rest = Rest::Nothing;
        let (exchange, home) = (self.exchange.take(), self.home.take());
        let Some(exchange) = exchange else { return };
        exchange.ends_in_order();
        if let Some((pool, terms)) = home
            && exchange.sending.is_done()
            && exchange.read.is_empty()
        {
            pool.keep(exchange.socket, terms);
        }
    }

    fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        to_come: u64,
    ) -> Poll<Result<usize, UpstreamError>> {
        let Some(exchange) = &mut self.exchange else { return Poll::Ready(Ok(0)) };
        match ready!(exchange.poll_more(cx, to_come, self.piece)) {
            Ok(count) => Poll::Ready(Ok(count)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                Poll::Ready(Err(UpstreamError::Cut))
            }
            Err(error) => Poll::Ready(Err(UpstreamError::Broken(error))),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        if let Some(exchange) = &mut self.exchange
            && !exchange.sending.is_done()
            && let Poll::Ready(Err(error)) = exchange.sending.poll(cx, &mut exchange.socket)
        {
            return Poll::Ready(Some(Err(UpstreamError::Body(error))));
        }
        loop {
            let Some(exchange) = &mut self.exchange else { return Poll::Ready(None) };
            let read = &mut exchange.read;
            let to_come = match &mut self.rest {
                Rest::Nothing => return Poll::Ready(None),
                Rest::Length(left) => {
                    if let Some(data) = take(read, *left) {
                        *left -= data.len() as u64;
                        if *left == 0 {
                            self.finish();
                        }
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    *left
                }
                Rest::Chunks(decoder) => match decoder.decode(read)? {
                    Step::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Step::End(trailers) => {
                        self.finish();
                        let frame = (!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers)));
                        return Poll::Ready(frame);
                    }
                    Step::More => u64::MAX,
                },
                Rest::ToEnd => {
                    if let Some(data) = take(read, u64::MAX) {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    u64::MAX
                }
            };
            if ready!(self.poll_more(cx, to_come)?) == 0 {
                let is_whole = matches!(self.rest, Rest::ToEnd);
                if let Some(exchange) = self.exchange.take() {
                    exchange.ends_in_order();
                }
                let end = if is_whole { None } else { Some(Err(UpstreamError::Cut)) };
                return Poll::Ready(end);
            }
        }
    }
}

/// What there is, but no more than `most` bytes; none: nothing.
fn take(read: &mut BytesMut, most: u64) -> Option<Bytes> {
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(read.len());
    (count > 0).then(|| read.split_to(count).freeze())
}

impl<B> Body for AnswerBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let polled = self.poll(cx);
        if let Poll::Ready(Some(Err(_))) = polled {
            self.exchange = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.rest, Rest::Nothing)
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            Rest::Nothing => SizeHint::with_exact(0),
            Rest::Length(left) => SizeHint::with_exact(left),
            Rest::Chunks(_) | Rest::ToEnd => SizeHint::default(),
        }
    }
}
