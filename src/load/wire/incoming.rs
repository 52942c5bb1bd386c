//! The bytes of one answer: its head, and what tells where its body ends.

use bytes::{Buf, BytesMut};
use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{BodyCheck, Pace};
use crate::load::loss::Loss;

/// Bytes asked for in one read: room for a small answer, and small enough to throttle.
const READ: usize = 16 * 1024;

/// Most header fields of an answer.
const MAX_FIELDS: usize = 100;

/// Most bytes of a head, of a chunk's size line or of the trailers: as generous as common servers
/// and proxies are. It bounds what a misbehaving server can make a client hold.
const MAX_HEAD: usize = 64 * 1024;

/// How the end of a body is told (RFC 9112, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// The header fields of an answer.
pub(in crate::load) struct Fields<'a>(&'a [httparse::Header<'a>]);

impl Fields<'_> {
    /// The members of all fields of this name, which is a list (RFC 9110, 5.6.1).
    pub(in crate::load) fn list(&self, name: &HeaderName) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name.as_str()))
            .filter_map(|field| str::from_utf8(field.value).ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
    }

    /// Whether `member` is in that list, in whatever case.
    pub(in crate::load) fn says(&self, name: &HeaderName, member: &str) -> bool {
        self.list(name).any(|said| said.eq_ignore_ascii_case(member))
    }
}

/// What every client needs of an answer's head.
pub(in crate::load) struct Head {
    pub(in crate::load) status: StatusCode,
    pub(super) framing: Framing,
    /// Whether the connection may carry a further request.
    pub(super) keep: bool,
}

impl Head {
    fn of(response: &httparse::Response<'_, '_>, fields: &Fields<'_>) -> Result<Self, Loss> {
        let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or_else(|| Loss::Malformed("it has no valid status".to_owned()))?;
        let bodiless = status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        let framing = if bodiless {
            Framing::Length(0)
        } else if let Some(coding) = fields.list(&TRANSFER_ENCODING).last() {
            if coding.eq_ignore_ascii_case("chunked") {
                Framing::Chunked
            } else {
                Framing::UntilClose
            }
        } else {
            let mut lengths = fields.list(&CONTENT_LENGTH).map(str::parse::<u64>);
            match lengths.next() {
                None => Framing::UntilClose,
                Some(Ok(length)) if lengths.all(|other| other == Ok(length)) => {
                    Framing::Length(length)
                }
                Some(_) => return Err(Loss::Malformed("its length is ambiguous".to_owned())),
            }
        };
        let says = |option: &str| fields.says(&CONNECTION, option);
        // HTTP/1.1 keeps the connection unless told otherwise, HTTP/1.0 the reverse.
        let keep = if response.version == Some(1) { !says("close") } else { says("keep-alive") };
        Ok(Self { status, framing, keep: keep && framing != Framing::UntilClose })
    }
}

/// The bytes of one answer, as they come.
pub(in crate::load) struct Incoming<'a, S> {
    stream: &'a mut S,
    pub(in crate::load) buffer: &'a mut BytesMut,
    /// Bytes of this answer so far, its head included.
    received: u64,
}

impl<'a, S: AsyncRead + Unpin> Incoming<'a, S> {
    /// Of a connection, and what was read from it before.
    pub(in crate::load) fn new(stream: &'a mut S, buffer: &'a mut BytesMut) -> Self {
        Self { stream, buffer, received: 0 }
    }

    /// Reads more into the buffer; false at the end of the connection.
    pub(in crate::load) async fn read(&mut self) -> Result<bool, Loss> {
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
    pub(in crate::load) async fn need_more(&mut self) -> Result<(), Loss> {
        if self.buffer.len() > MAX_HEAD {
            return Err(Loss::Malformed(format!("a part of it exceeds {MAX_HEAD} bytes")));
        }
        if self.read().await? { Ok(()) } else { Err(Loss::Ended { received: self.received }) }
    }

    /// Reads the head of the answer that counts, which an interim answer (RFC 9110, 15.2) may
    /// precede, and what `look` finds in it.
    pub(in crate::load) async fn head<T>(
        &mut self,
        look: impl Fn(&Fields<'_>) -> T,
    ) -> Result<(Head, T), Loss> {
        loop {
            let (head, found) = self.one_head(&look).await?;
            if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok((head, found));
            }
        }
    }

    async fn one_head<T>(&mut self, look: impl Fn(&Fields<'_>) -> T) -> Result<(Head, T), Loss> {
        loop {
            if !self.buffer.is_empty() {
                let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
                let mut response = httparse::Response::new(&mut fields);
                if let httparse::Status::Complete(length) =
                    response.parse(self.buffer).map_err(malformed)?
                {
                    let fields = Fields(response.headers);
                    let head = (Head::of(&response, &fields)?, look(&fields));
                    self.buffer.advance(length);
                    return Ok(head);
                }
            }
            self.need_more().await?;
        }
    }

    /// Uses `length` bytes as body; `whole` is the length of the whole body where it is known.
    pub(super) async fn body(
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
    pub(super) async fn rest(
        &mut self,
        check: &mut BodyCheck<'_>,
        pace: &mut impl Pace,
    ) -> Result<(), Loss> {
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

    pub(super) async fn chunk_size(&mut self) -> Result<u64, Loss> {
        loop {
            let parsed = httparse::parse_chunk_size(self.buffer).map_err(malformed)?;
            if let httparse::Status::Complete((length, size)) = parsed {
                self.buffer.advance(length);
                return Ok(size);
            }
            self.need_more().await?;
        }
    }

    pub(super) async fn end_of_chunk(&mut self) -> Result<(), Loss> {
        while self.buffer.len() < 2 {
            self.need_more().await?;
        }
        if !self.buffer.starts_with(b"\r\n") {
            return Err(Loss::Malformed("a chunk is longer than it says".to_owned()));
        }
        self.buffer.advance(2);
        Ok(())
    }

    pub(super) async fn trailers(&mut self) -> Result<(), Loss> {
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
