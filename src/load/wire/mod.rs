//! Reads an HTTP/1.1 answer from a connection and compares it with the expected one (RFC 9112).

mod incoming;
mod pieces;

use bytes::BytesMut;
use tokio::io::AsyncRead;

use super::loss::Loss;
use super::mix::{Body, Request};
use incoming::Framing;

pub(super) use incoming::{Fields, Incoming};
pub(super) use pieces::Pieces;

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
    let mut incoming = Incoming::new(stream, buffer);
    let (head, ()) = incoming.head(|_| ()).await?;
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
