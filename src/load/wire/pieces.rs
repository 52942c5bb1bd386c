//! Reads a body piece by piece, for a client that looks into it before its end.

use bytes::{Buf, Bytes};
use tokio::io::AsyncRead;

use super::incoming::{Framing, Head, Incoming};
use crate::load::loss::Loss;

/// Where in its body an answer is.
pub(in crate::load) enum Pieces {
    /// So many bytes are left, of a body whose length was told.
    Length(u64),
    /// So many bytes are left of a chunk.
    InChunk(u64),
    /// The next is the size of a chunk.
    BeforeChunk,
    /// The body ends with the connection.
    UntilClose,
    /// It has ended.
    Over,
}

impl Pieces {
    /// Of an answer whose head was just read.
    pub(in crate::load) fn of(head: &Head) -> Self {
        match head.framing {
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::BeforeChunk,
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Whether the last piece was a whole one, so that a further one, or the end, would be next.
    pub(in crate::load) fn is_between(&self) -> bool {
        matches!(self, Self::BeforeChunk | Self::UntilClose | Self::Over)
    }

    /// The next piece of the body, as soon as it is there; none: the body has ended as it should.
    ///
    /// # Errors
    /// Where it is malformed, or the connection ends or breaks before the body does.
    pub(in crate::load) async fn next<S: AsyncRead + Unpin>(
        &mut self,
        incoming: &mut Incoming<'_, S>,
    ) -> Result<Option<Bytes>, Loss> {
        loop {
            match self {
                Self::Over | Self::Length(0) => return Ok(None),
                Self::BeforeChunk => {
                    *self = match incoming.chunk_size().await? {
                        0 => {
                            incoming.trailers().await?;
                            Self::Over
                        }
                        size => Self::InChunk(size),
                    };
                }
                Self::InChunk(0) => {
                    incoming.end_of_chunk().await?;
                    *self = Self::BeforeChunk;
                }
                Self::Length(left) | Self::InChunk(left) => {
                    if incoming.buffer.is_empty() {
                        incoming.need_more().await?;
                    }
                    let there = incoming.buffer.len();
                    let length = usize::try_from(*left).map_or(there, |left| left.min(there));
                    *left -= length as u64;
                    return Ok(Some(incoming.buffer.copy_to_bytes(length)));
                }
                Self::UntilClose => {
                    if incoming.buffer.is_empty() && !incoming.read().await? {
                        *self = Self::Over;
                    } else {
                        return Ok(Some(incoming.buffer.split().freeze()));
                    }
                }
            }
        }
    }
}
