//! Chunked bodies (RFC 9112, 7.1). Pure.

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, DATE, EXPECT, EXPIRES, HOST, HeaderMap, HeaderName, HeaderValue,
    IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LOCATION,
    MAX_FORWARDS, PRAGMA, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RANGE, RETRY_AFTER, SET_COOKIE,
    TE, TRAILER, TRANSFER_ENCODING, VARY, WARNING, WWW_AUTHENTICATE,
};

use super::answer::{Malformed, malformed};

/// Digits of a chunk's size: more do not fit into 64 bits.
const DIGITS: u8 = 16;

/// Bytes of the extensions of one chunk, which nobody uses.
const EXTENSION: u16 = 1024;

/// Bytes of the trailer section.
const TRAILERS: usize = 16 << 10;

/// Lines of the trailer section.
const TRAILER_LINES: usize = 64;

/// Takes a chunked body apart. What differs from the grammar by a byte is refused: two readers that
/// disagree about where a body ends are a hole.
#[derive(Debug, Default)]
pub struct Decoder(State);

#[derive(Debug, Clone, Copy)]
enum State {
    Size { size: u64, digits: u8 },
    Extension { size: u64, length: u16 },
    SizeEnd { size: u64 },
    Data(u64),
    DataCr,
    DataLf,
    Trailers,
    Over,
}

impl Default for State {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// More bytes are needed.
    More,
    /// A piece of the body.
    Data(Bytes),
    /// The body is whole; what its trailer section says.
    End(HeaderMap),
}

impl Decoder {
    /// Takes what it can from the begin of `read`.
    ///
    /// # Errors
    /// Where it is no chunked body.
    pub fn decode(&mut self, read: &mut BytesMut) -> Result<Step, Malformed> {
        loop {
            self.0 = match self.0 {
                State::Data(left) => {
                    if read.is_empty() {
                        return Ok(Step::More);
                    }
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(read.len());
                    let left = left - count as u64;
                    self.0 = if left == 0 { State::DataCr } else { State::Data(left) };
                    return Ok(Step::Data(read.split_to(count).freeze()));
                }
                State::Trailers => match trailers(read)? {
                    None => return Ok(Step::More),
                    Some(trailers) => {
                        self.0 = State::Over;
                        return Ok(Step::End(trailers));
                    }
                },
                State::Over => return Ok(Step::End(HeaderMap::new())),
                state => {
                    let Some(byte) = read.first().copied() else { return Ok(Step::More) };
                    read.advance(1);
                    state.next(byte)?
                }
            };
        }
    }
}

impl State {
    /// The state after one more byte of the lines around the data.
    fn next(self, byte: u8) -> Result<Self, Malformed> {
        Ok(match (self, byte) {
            (Self::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if digits == DIGITS {
                    return Err(malformed!("the size of a chunk has too many digits"));
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (Self::Size { size, digits: 1.. }, b';' | b' ' | b'\t') => {
                Self::Extension { size, length: 0 }
            }
            (Self::Size { size, digits: 1.. } | Self::Extension { size, .. }, b'\r') => {
                Self::SizeEnd { size }
            }
            (Self::Extension { size, length }, byte) if byte != b'\n' && byte != 0 => {
                if length == EXTENSION {
                    return Err(malformed!("the extension of a chunk is too long"));
                }
                Self::Extension { size, length: length + 1 }
            }
            (Self::SizeEnd { size: 0 }, b'\n') => Self::Trailers,
            (Self::SizeEnd { size }, b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::default(),
            _ => return Err(malformed!("a chunk cannot be read")),
        })
    }
}

/// Takes the trailer section; none: not all of it is there.
fn trailers(read: &mut BytesMut) -> Result<Option<HeaderMap>, Malformed> {
    if read.starts_with(b"\r\n") {
        read.advance(2);
        return Ok(Some(HeaderMap::new()));
    }
    let mut lines = [httparse::EMPTY_HEADER; TRAILER_LINES];
    let (length, lines) = match httparse::parse_headers(read, &mut lines) {
        Ok(httparse::Status::Complete(parsed)) => parsed,
        Ok(httparse::Status::Partial) if read.len() < TRAILERS => return Ok(None),
        _ => return Err(malformed!("the trailers cannot be read")),
    };
    if read[..length].split_inclusive(|byte| *byte == b'\n').any(|line| !line.ends_with(b"\r\n")) {
        return Err(malformed!("the lines of the trailers do not end as they must"));
    }
    let mut trailers = HeaderMap::new();
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes());
        let value = HeaderValue::from_bytes(line.value);
        if let (Ok(name), Ok(value)) = (name, value)
            && !is_forbidden(&name)
        {
            trailers.append(name, value);
        }
    }
    read.advance(length);
    Ok(Some(trailers))
}

/// What must not come after a body (RFC 9110, 6.5.1): what says how a message is read and where it
/// goes, who asks and may have it, and what is to be done with it; all that is decided before the body.
pub(super) fn is_forbidden(name: &HeaderName) -> bool {
    [
        AGE,
        AUTHORIZATION,
        CACHE_CONTROL,
        CONNECTION,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        CONTENT_TYPE,
        COOKIE,
        DATE,
        EXPECT,
        EXPIRES,
        HOST,
        IF_MATCH,
        IF_MODIFIED_SINCE,
        IF_NONE_MATCH,
        IF_RANGE,
        IF_UNMODIFIED_SINCE,
        LOCATION,
        MAX_FORWARDS,
        PRAGMA,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        RANGE,
        RETRY_AFTER,
        SET_COOKIE,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        VARY,
        WARNING,
        WWW_AUTHENTICATE,
    ]
    .contains(name)
}
