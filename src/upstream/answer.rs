//! The head of an answer, from bytes (RFC 9112, 4 and 6.3). Pure.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{Response, StatusCode, Version, response};

/// Bytes of an answer's head, at most. Apps set many cookies, but clients take no more than this.
const HEAD_SIZE: usize = 64 << 10;

/// Lines of an answer's head, at most. Node and curl take more than a hundred of an app that sets many cookies.
const HEADERS: usize = 256;

/// What came is no answer; why not, as a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

impl Malformed {
    /// Made by `malformed!`, which begins the sentence.
    pub(crate) const fn new(sentence: &'static str) -> Self {
        Self(sentence)
    }

    /// Why it is no answer.
    pub(crate) const fn sentence(self) -> &'static str {
        self.0
    }
}

/// A [`Malformed`] whose sentence ends with this.
macro_rules! malformed {
    ($why:literal) => {
        $crate::upstream::answer::Malformed::new(concat!(
            "the app's answer is not HTTP/1.1: ",
            $why
        ))
    };
}
pub(super) use malformed;

/// How the end of an answer's body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Empty,
    Length(u64),
    Chunked,
    /// By the end of the connection.
    ToEnd,
}

/// A parsed head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) parts: response::Parts,
    pub(super) framing: Framing,
    /// Whether the app lets the connection be used again.
    pub(super) keep_alive: bool,
}

/// Takes the head of an answer from the begin of `read`; none: not all of it is there. `to_head`:
/// the request was a HEAD.
///
/// # Errors
/// Where it is not one, or could be read in more than one way.
pub(super) fn take(read: &mut BytesMut, to_head: bool) -> Result<Option<Head>, Malformed> {
    let mut lines = [const { MaybeUninit::uninit() }; HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut response, read, &mut lines) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_SIZE => length,
        Ok(httparse::Status::Partial) if read.len() < HEAD_SIZE => return Ok(None),
        Ok(_) => return Err(malformed!("its head is too large")),
        Err(httparse::Error::TooManyHeaders) => return Err(malformed!("it has too many headers")),
        Err(_) => return Err(malformed!("its head cannot be read")),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(malformed!("its status is none"))?;
    let version = if response.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    // The values stay where they are: each is a slice of the one buffer.
    let start = read.as_ptr().addr();
    let place = |line: &httparse::Header<'_>| {
        let (name, value) = (line.name.as_ptr().addr() - start, line.value.as_ptr().addr());
        (name, line.name.len(), value.wrapping_sub(start), line.value.len())
    };
    let places: Vec<_> = response.headers.iter().map(place).collect();
    let head = read.split_to(length).freeze();
    let mut headers = headers(&head, &places)?;

    let framing = framing(&headers, status, version, to_head)?;
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        // It may not be there (RFC 9110, 8.6), whatever the app says.
        headers.remove(CONTENT_LENGTH);
    } else if headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some()
        && let Some(length) = headers.remove(CONTENT_LENGTH)
    {
        // One that is said twice is said once (RFC 9112, 6.3).
        headers.insert(CONTENT_LENGTH, length);
    }
    let keep_alive = keeps_alive(&headers, version) && framing != Framing::ToEnd;
    let (mut parts, ()) = Response::new(()).into_parts();
    (parts.status, parts.version, parts.headers) = (status, version, headers);
    Ok(Some(Head { parts, framing, keep_alive }))
}

/// Whether `bytes` begin with the whole head of an answer. For the fuzzer: what it finds here is what
/// a front would meet.
#[must_use]
pub fn is_head(bytes: &[u8]) -> bool {
    matches!(take(&mut BytesMut::from(bytes), false), Ok(Some(_)))
}

fn headers(head: &Bytes, places: &[(usize, usize, usize, usize)]) -> Result<HeaderMap, Malformed> {
    let mut headers = HeaderMap::with_capacity(places.len());
    for (name, name_length, value, value_length) in places {
        let name = HeaderName::from_bytes(&head[*name..name + name_length])
            .map_err(|_| malformed!("the name of a header cannot be read"))?;
        // An empty value lies nowhere in particular.
        let value = if *value_length == 0 {
            Bytes::new()
        } else {
            head.slice(*value..value + value_length)
        };
        let value = HeaderValue::from_maybe_shared(value)
            .map_err(|_| malformed!("the value of a header cannot be read"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// RFC 9112, 6.3, and stricter: what could be read in two ways is refused.
fn framing(
    headers: &HeaderMap,
    status: StatusCode,
    version: Version,
    to_head: bool,
) -> Result<Framing, Malformed> {
    let length = length(headers)?;
    let chunked = match headers.get(TRANSFER_ENCODING) {
        None => false,
        Some(coding) => {
            let only = headers.get_all(TRANSFER_ENCODING).iter().count() == 1;
            if !only || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err(malformed!("its transfer coding is not `chunked`"));
            }
            if version < Version::HTTP_11 {
                return Err(malformed!("HTTP/1.0 has no transfer coding"));
            }
            true
        }
    };
    if chunked && length.is_some() {
        return Err(malformed!("it has a length and a transfer coding"));
    }
    let has_none = to_head
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    Ok(match length {
        _ if has_none => Framing::Empty,
        _ if chunked => Framing::Chunked,
        Some(0) => Framing::Empty,
        Some(length) => Framing::Length(length),
        None => Framing::ToEnd,
    })
}

fn length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let digits = value
            .to_str()
            .ok()
            .filter(|text| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()));
        let one = digits.and_then(|digits| digits.parse::<u64>().ok());
        let one = one.ok_or(malformed!("its length is no number"))?;
        if length.is_some_and(|length| length != one) {
            return Err(malformed!("it has two lengths"));
        }
        length = Some(one);
    }
    Ok(length)
}

fn keeps_alive(headers: &HeaderMap, version: Version) -> bool {
    let says = |word: &str| {
        let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|said| said.trim().eq_ignore_ascii_case(word))
    };
    if version < Version::HTTP_11 { says("keep-alive") } else { !says("close") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_said_once_and_only_where_it_may_be() {
        let twice = "Content-Length: 5\r\nContent-Length: 5\r\n\r\n";
        for (line, lengths) in [("200 OK", 1), ("304 Not Modified", 1), ("204 No Content", 0)] {
            for to_head in [false, true] {
                let mut read = BytesMut::from(format!("HTTP/1.1 {line}\r\n{twice}").as_bytes());
                let head = take(&mut read, to_head).unwrap().unwrap();
                let said = head.parts.headers.get_all(CONTENT_LENGTH).iter();
                assert_eq!(said.filter(|said| *said == "5").count(), lengths, "{line}");
            }
        }
    }
}
