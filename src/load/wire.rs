//! Reads an HTTP/1.1 answer from a connection and compares it with the expected one (RFC 9112).

use bytes::{Buf, BytesMut};
use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::loss::Loss;
use super::mix::{Body, Request};

/// Most bytes of a head, of a chunk's size line or of the trailers: as generous as common servers
/// and proxies are. It bounds what a misbehaving server can make a client hold.
const MAX_HEAD: usize = 64 * 1024;

/// Most header fields of an answer.
const MAX_FIELDS: usize = 100;

/// Bytes asked for in one read: room for a small answer, and small enough to throttle.
const READ: usize = 16 * 1024;

/// What is told of the body as it comes, so that a slow reader can pause.
pub(super) trait Pace {
    /// `bytes` more of the body are used; `length` is that of the whole body where it is known.
    async fn read(&mut self, bytes: usize, length: Option<u64>);
}

/// Reads as fast as it comes.
pub(super) struct AtOnce;

impl Pace for AtOnce {
    async fn read(&mut self, _bytes: usize, _length: Option<u64>) {}
}

/// Reads one answer to its end. True: the connection may carry a further request.
///
/// # Errors
/// Where the answer is not whole or not the expected one.
pub(super) async fn read_answer<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    request: &Request,
    pace: &mut impl Pace,
) -> Result<bool, Loss> {
    let mut incoming = Incoming { stream, buffer, received: 0 };
    let head = loop {
        let head = incoming.head().await?;
        // An interim answer (RFC 9110, 15.2) precedes the one that counts.
        if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
            break head;
        }
    };
    if head.status != request.status {
        return Err(Loss::Status { expected: request.status, got: head.status });
    }
    let mut body = BodyCheck::new(&request.answer);
    match head.framing {
        Framing::Length(length) => incoming.body(length, Some(length), &mut body, pace).await?,
        Framing::Chunked => {
            loop {
                let size = incoming.chunk_size().await?;
                if size == 0 {
                    break;
                }
                incoming.body(size, None, &mut body, pace).await?;
                incoming.end_of_chunk().await?;
            }
            incoming.trailers().await?;
        }
        Framing::UntilClose => incoming.rest(&mut body, pace).await?,
    }
    body.finish()?;
    if !incoming.buffer.is_empty() {
        return Err(Loss::Unasked(incoming.buffer.len()));
    }
    Ok(head.keep)
}

/// Compares a body with the expected one as it comes.
pub(super) struct BodyCheck<'a> {
    expected: &'a Body,
    received: u64,
}

impl<'a> BodyCheck<'a> {
    pub(super) fn new(expected: &'a Body) -> Self {
        Self { expected, received: 0 }
    }

    /// The next bytes of the body.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Loss> {
        let at = self.received;
        self.received += bytes.len() as u64;
        if self.expected_length().is_some_and(|expected| self.received > expected) {
            return self.finish();
        }
        if let Body::Exact(expected) = self.expected {
            let at_index = usize::try_from(at).unwrap_or(usize::MAX);
            if expected.get(at_index..).is_none_or(|rest| !rest.starts_with(bytes)) {
                return Err(Loss::Differs { at });
            }
        }
        Ok(())
    }

    /// The body has ended.
    pub(super) fn finish(&self) -> Result<(), Loss> {
        match self.expected_length() {
            Some(expected) if expected != self.received => {
                Err(Loss::Length { expected, got: self.received })
            }
            _ => Ok(()),
        }
    }

    fn expected_length(&self) -> Option<u64> {
        match self.expected {
            Body::Any => None,
            Body::Length(length) => Some(*length),
            Body::Exact(bytes) => Some(bytes.len() as u64),
        }
    }
}

/// How the end of a body is told (RFC 9112, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// What the client needs of an answer's head.
struct Head {
    status: StatusCode,
    framing: Framing,
    keep: bool,
}

impl Head {
    fn of(response: &httparse::Response<'_, '_>) -> Result<Self, Loss> {
        let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or_else(|| Loss::Malformed("it has no valid status".to_owned()))?;
        let fields = |name: http::HeaderName| {
            response
                .headers
                .iter()
                .filter(move |field| field.name.eq_ignore_ascii_case(name.as_str()))
                .filter_map(|field| str::from_utf8(field.value).ok())
                .flat_map(|value| value.split(','))
                .map(str::trim)
        };
        let bodiless = status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        let framing = if bodiless {
            Framing::Length(0)
        } else if let Some(coding) = fields(TRANSFER_ENCODING).last() {
            if coding.eq_ignore_ascii_case("chunked") {
                Framing::Chunked
            } else {
                Framing::UntilClose
            }
        } else {
            let mut lengths = fields(CONTENT_LENGTH).map(str::parse::<u64>);
            match lengths.next() {
                None => Framing::UntilClose,
                Some(Ok(length)) if lengths.all(|other| other == Ok(length)) => {
                    Framing::Length(length)
                }
                Some(_) => return Err(Loss::Malformed("its length is ambiguous".to_owned())),
            }
        };
        let says = |option: &str| fields(CONNECTION).any(|said| said.eq_ignore_ascii_case(option));
        // HTTP/1.1 keeps the connection unless told otherwise, HTTP/1.0 the reverse.
        let keep = if response.version == Some(1) { !says("close") } else { says("keep-alive") };
        Ok(Self { status, framing, keep: keep && framing != Framing::UntilClose })
    }
}

/// The bytes of one answer, as they come.
struct Incoming<'a, S> {
    stream: &'a mut S,
    buffer: &'a mut BytesMut,
    /// Bytes of this answer so far, its head included.
    received: u64,
}

impl<S: AsyncRead + Unpin> Incoming<'_, S> {
    /// Reads more into the buffer; false at the end of the connection.
    async fn read(&mut self) -> Result<bool, Loss> {
        self.buffer.reserve(READ);
        match self.stream.read_buf(self.buffer).await {
            Ok(count) => {
                self.received += count as u64;
                Ok(count > 0)
            }
            Err(source) => Err(Loss::Receive { received: self.received, source }),
        }
    }

    /// Reads more into the buffer, which must not grow without bounds.
    async fn need_more(&mut self) -> Result<(), Loss> {
        if self.buffer.len() > MAX_HEAD {
            return Err(Loss::Malformed(format!("a part of it exceeds {MAX_HEAD} bytes")));
        }
        if self.read().await? { Ok(()) } else { Err(Loss::Ended { received: self.received }) }
    }

    async fn head(&mut self) -> Result<Head, Loss> {
        loop {
            if !self.buffer.is_empty() {
                let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
                let mut response = httparse::Response::new(&mut fields);
                if let httparse::Status::Complete(length) =
                    response.parse(self.buffer).map_err(malformed)?
                {
                    let head = Head::of(&response)?;
                    self.buffer.advance(length);
                    return Ok(head);
                }
            }
            self.need_more().await?;
        }
    }

    /// Uses `length` bytes as body; `whole` is the length of the whole body where it is known.
    async fn body(
        &mut self,
        length: u64,
        whole: Option<u64>,
        check: &mut BodyCheck<'_>,
        pace: &mut impl Pace,
    ) -> Result<(), Loss> {
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() {
                self.need_more().await?;
            }
            let piece =
                usize::try_from(left).map_or(self.buffer.len(), |left| left.min(self.buffer.len()));
            check.feed(&self.buffer[..piece])?;
            self.buffer.advance(piece);
            left -= piece as u64;
            pace.read(piece, whole).await;
        }
        Ok(())
    }

    /// Uses everything up to the end of the connection as body.
    async fn rest(&mut self, check: &mut BodyCheck<'_>, pace: &mut impl Pace) -> Result<(), Loss> {
        loop {
            let piece = self.buffer.len();
            check.feed(self.buffer)?;
            self.buffer.clear();
            pace.read(piece, None).await;
            if !self.read().await? {
                return Ok(());
            }
        }
    }

    async fn chunk_size(&mut self) -> Result<u64, Loss> {
        loop {
            let parsed = httparse::parse_chunk_size(self.buffer).map_err(malformed)?;
            if let httparse::Status::Complete((length, size)) = parsed {
                self.buffer.advance(length);
                return Ok(size);
            }
            self.need_more().await?;
        }
    }

    async fn end_of_chunk(&mut self) -> Result<(), Loss> {
        while self.buffer.len() < 2 {
            self.need_more().await?;
        }
        if !self.buffer.starts_with(b"\r\n") {
            return Err(Loss::Malformed("a chunk is longer than it says".to_owned()));
        }
        self.buffer.advance(2);
        Ok(())
    }

    async fn trailers(&mut self) -> Result<(), Loss> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
            let parsed = httparse::parse_headers(self.buffer, &mut fields).map_err(malformed)?;
            if let httparse::Status::Complete((length, _fields)) = parsed {
                self.buffer.advance(length);
                return Ok(());
            }
            self.need_more().await?;
        }
    }
}

fn malformed(error: impl std::fmt::Display) -> Loss {
    Loss::Malformed(error.to_string())
}
