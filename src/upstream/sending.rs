//! A request on its way out.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::header::EXPECT;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body::Body;
use tokio::io::AsyncWrite;
use tokio::time::{Sleep, sleep};

use super::chunked::is_forbidden;
use super::head::{self, Framing};
use super::socket::Socket;

/// How long a client that waits for 100 is kept waiting by an app that does not know the word: it gets
/// the body then (RFC 9110, 10.1.1). For so long the app is waited for, and the client keeps its place.
const CONTINUE: Duration = Duration::from_millis(250);

/// What is still to be sent of one request.
#[derive(Debug)]
pub(super) struct Sending<B> {
    body: B,
    framing: Framing,
    /// Bytes to be written before `data`: the head, or the lines around chunks.
    lines: BytesMut,
    data: Bytes,
    /// Bytes of the body that are still to come, where their number is known.
    left: u64,
    /// Bytes of a chunk have been written whose line end is to come.
    in_chunk: bool,
    written: u64,
    /// The body was asked for a piece.
    touched: bool,
    stage: Stage,
    /// Some: the app was asked whether it wants the body, and has until then to say so.
    patience: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The body has more.
    Body,
    /// What is in the buffers is the rest.
    Rest,
    /// All is sent.
    Done,
    /// The app does not read on. What it has answered may still come.
    Broken,
}

/// Why a request cannot go on.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;

impl<B> Sending<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
{
    pub(super) fn new(parts: &Parts, body: B) -> Self {
        let framing = Framing::of(&body.size_hint(), body.is_end_stream());
        let mut lines = BytesMut::new();
        head::encode(parts, framing, &mut lines);
        let left = if let Framing::Length(length) = framing { length } else { 0 };
        let stage = if framing == Framing::Empty { Stage::Rest } else { Stage::Body };
        let asks = stage == Stage::Body && parts.headers.contains_key(EXPECT);
        Self {
            body,
            framing,
            lines,
            data: Bytes::new(),
            left,
            in_chunk: false,
            written: 0,
            touched: false,
            stage,
            patience: asks.then(|| Box::pin(sleep(CONTINUE))),
        }
    }

    /// Sends what can be sent now. Ready when there is nothing more to do.
    ///
    /// # Errors
    /// Where the body fails. That the app does not take it is no error here: its answer decides.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Socket,
    ) -> Poll<Result<(), BodyError>> {
        // The first piece goes out with the head, where it is there already.
        if self.stage == Stage::Body && !self.touched && self.patience.is_none() {
            let _ = self.poll_body(cx)?;
        }
        loop {
            if self.stage == Stage::Broken {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_write(cx, socket)).is_err() {
                self.stage = Stage::Broken;
                return Poll::Ready(Ok(()));
            }
            match self.stage {
                Stage::Rest | Stage::Done => {
                    self.stage = Stage::Done;
                    return Poll::Ready(Ok(()));
                }
                Stage::Body | Stage::Broken => {}
            }
            if let Some(patience) = &mut self.patience {
                ready!(patience.as_mut().poll(cx));
                self.patience = None;
            }
            ready!(self.poll_body(cx)?);
        }
    }

    /// The app wants the body.
    pub(super) fn go_on(&mut self) {
        self.patience = None;
    }

    /// The app has answered. If it was asked whether it wants the body and says something else, the body
    /// stays where it is (RFC 9110, 10.1.1).
    pub(super) fn answered(&mut self, status: StatusCode) {
        if self.patience.take().is_some() && !status.is_success() {
            self.stage = Stage::Broken;
        }
    }

    /// Whether the request has a body.
    pub(super) fn has_body(&self) -> bool {
        self.framing != Framing::Empty
    }

    /// Whether all of it was sent.
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Whether the app can have seen a byte.
    pub(super) fn has_written(&self) -> bool {
        self.written > 0
    }

    /// Whether the connection was closed before it took a byte.
    pub(super) fn was_refused(&self) -> bool {
        self.stage == Stage::Broken && !self.has_written()
    }

    /// The body, where it is as it was.
    pub(super) fn untouched(self) -> Option<B> {
        (!self.touched).then_some(self.body)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> Poll<io::Result<()>> {
        while !self.lines.is_empty() || !self.data.is_empty() {
            let socket = Pin::new(&mut *socket);
            let count = if self.data.is_empty() {
                ready!(socket.poll_write(cx, &self.lines))?
            } else {
                let slices = [IoSlice::new(&self.lines), IoSlice::new(&self.data)];
                ready!(socket.poll_write_vectored(cx, &slices))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count as u64;
            let of_lines = count.min(self.lines.len());
            self.lines.advance(of_lines);
            self.data.advance(count - of_lines);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes the next piece of the body into the buffers.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        self.touched = true;
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Err(error.into())),
            None => return Poll::Ready(self.end(None)),
        };
        let result = match frame.into_data() {
            Ok(data) => self.push(data),
            Err(frame) => self.end(frame.into_trailers().ok().as_ref()),
        };
        Poll::Ready(result)
    }

    fn push(&mut self, data: Bytes) -> Result<(), BodyError> {
        if data.is_empty() {
            return Ok(());
        }
        let length = data.len() as u64;
        match self.framing {
            Framing::Chunked => {
                self.end_chunk();
                // Writing to a buffer that grows cannot fail.
                let _ = io::Write::write_fmt(
                    &mut (&mut self.lines).writer(),
                    format_args!("{length:x}\r\n"),
                );
                self.in_chunk = true;
            }
            Framing::Length(_) if length <= self.left => {
                self.left -= length;
                if self.left == 0 {
                    self.stage = Stage::Rest;
                }
            }
            Framing::Length(_) | Framing::Empty => {
                return Err("it is longer than it was said to be".into());
            }
        }
        self.data = data;
        Ok(())
    }

    /// The body has no more.
    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), BodyError> {
        if self.left > 0 {
            return Err("it is shorter than it was said to be".into());
        }
        if self.framing == Framing::Chunked {
            self.end_chunk();
            self.lines.put_slice(b"0\r\n");
            let trailers = trailers.into_iter().flatten();
            for (name, value) in trailers.filter(|(name, _)| !is_forbidden(name)) {
                head::line(&mut self.lines, name.as_str().as_bytes(), value.as_bytes());
            }
            self.lines.put_slice(b"\r\n");
        }
        self.stage = Stage::Rest;
        Ok(())
    }

    fn end_chunk(&mut self) {
        if std::mem::take(&mut self.in_chunk) {
            self.lines.put_slice(b"\r\n");
        }
    }
}
