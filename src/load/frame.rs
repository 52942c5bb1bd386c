//! The frames of a WebSocket, as a client writes and reads them (RFC 6455, 5).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::loss::Loss;

/// Longest frame that a client takes, in bytes: far above what it sends, so that only a broken
/// length exceeds it.
const MAX_PAYLOAD: u64 = 1 << 20;

/// Longest payload of a control frame, in bytes (RFC 6455, 5.5).
const MAX_CONTROL: u64 = 125;

/// The length that says that the real one follows in two bytes, and in eight (RFC 6455, 5.2).
const IN_TWO_BYTES: u8 = 126;
const IN_EIGHT_BYTES: u8 = 127;

/// The bit beside the length that says that a mask follows.
const MASKED: u8 = 0x80;

/// What a frame is (RFC 6455, 5.2 and 11.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    /// A further part of a message.
    Continuation = 0x0,
    /// The first or only part of a text.
    Text = 0x1,
    /// The first or only part of a message of bytes.
    Binary = 0x2,
    /// The last frame of a side.
    Close = 0x8,
    /// To be answered with a pong.
    Ping = 0x9,
    /// The answer to a ping.
    Pong = 0xA,
}

impl Opcode {
    fn of(byte: u8) -> Result<Self, Loss> {
        [Self::Continuation, Self::Text, Self::Binary, Self::Close, Self::Ping, Self::Pong]
            .into_iter()
            .find(|opcode| *opcode as u8 == byte & 0x0F)
            .ok_or_else(|| malformed(format!("a frame has the unknown opcode {}", byte & 0x0F)))
    }

    fn is_control(self) -> bool {
        self as u8 >= Self::Close as u8
    }
}

/// A frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Whether it is the last of its message.
    pub(super) last: bool,
    pub(super) opcode: Opcode,
    pub(super) payload: Bytes,
}

impl Frame {
    /// Takes the first frame off `buffer`; none: more bytes have to come.
    ///
    /// # Errors
    /// Where what is there cannot become a frame that a server may send.
    pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Self>, Loss> {
        let &[first, second, ..] = &buffer[..] else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(malformed("a frame uses an extension that was not agreed on"));
        }
        if second & MASKED != 0 {
            return Err(malformed("a frame of the server is masked"));
        }
        let (opcode, last) = (Opcode::of(first)?, first & 0x80 != 0);
        let after = &buffer[2..];
        let (length, head) = match second {
            IN_TWO_BYTES => match after.first_chunk() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
                None => return Ok(None),
            },
            IN_EIGHT_BYTES => match after.first_chunk() {
                Some(length) => (u64::from_be_bytes(*length), 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        if opcode.is_control() && (length > MAX_CONTROL || !last) {
            return Err(malformed("a control frame is too long or in parts"));
        }
        let length = usize::try_from(length)
            .ok()
            .filter(|_| length <= MAX_PAYLOAD)
            .ok_or_else(|| malformed(format!("a frame says that it has {length} bytes")))?;
        if buffer.len() < head + length {
            return Ok(None);
        }
        buffer.advance(head);
        Ok(Some(Self { last, opcode, payload: buffer.split_to(length).freeze() }))
    }

    /// The status that a close frame carries; none: it carries none (RFC 6455, 5.5.1).
    pub(super) fn status(&self) -> Option<u16> {
        self.payload.first_chunk().map(|status| u16::from_be_bytes(*status))
    }
}

/// A whole message in one frame, masked as a client has to (RFC 6455, 5.3).
pub(super) fn masked(opcode: Opcode, payload: &[u8], mask: [u8; 4]) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + 14);
    frame.put_u8(0x80 | opcode as u8);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..=125), _) => frame.put_u8(MASKED | length),
        (_, Ok(length)) => {
            frame.put_u8(MASKED | IN_TWO_BYTES);
            frame.put_u16(length);
        }
        _ => {
            frame.put_u8(MASKED | IN_EIGHT_BYTES);
            frame.put_u64(payload.len() as u64);
        }
    }
    frame.put_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame.freeze()
}

fn malformed(what: impl Into<String>) -> Loss {
    Loss::Malformed(what.into())
}
