//! The head of a request, as bytes (RFC 9112, 3 and 5). Pure.

use std::io::Write as _;

use bytes::{BufMut as _, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Method};
use http_body::SizeHint;

/// How the end of a request's body is told (RFC 9112, 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Empty,
    /// By its length.
    Length(u64),
    /// By chunks.
    Chunked,
}

impl Framing {
    /// That of a body.
    pub(super) fn of(hint: &SizeHint, is_empty: bool) -> Self {
        match hint.exact() {
            _ if is_empty => Self::Empty,
            Some(0) => Self::Empty,
            Some(length) => Self::Length(length),
            None => Self::Chunked,
        }
    }
}

/// Writes the head. The framing is told by us, whatever the headers say of it; hop-by-hop headers
/// have been removed by whoever forwards.
pub(super) fn encode(parts: &Parts, framing: Framing, out: &mut BytesMut) {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let headers = &parts.headers;
    out.reserve(64 + path.len() + headers.len() * 48);
    out.put_slice(parts.method.as_str().as_bytes());
    out.put_u8(b' ');
    if !path.starts_with(['/', '*']) {
        out.put_u8(b'/');
    }
    out.put_slice(path.as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    for (name, value) in headers {
        if *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING {
            continue;
        }
        line(out, name.as_str().as_bytes(), value.as_bytes());
    }
    match framing {
        Framing::Empty if says_length_of_nothing(&parts.method, headers) => {
            out.put_slice(b"content-length: 0\r\n");
        }
        Framing::Empty => {}
        // Writing to a buffer that grows cannot fail.
        Framing::Length(length) => {
            let _ = write!(out.writer(), "content-length: {length}\r\n");
        }
        Framing::Chunked => out.put_slice(b"transfer-encoding: chunked\r\n"),
    }
    out.put_slice(b"\r\n");
}

/// Whether a request without a body says so: where its method usually has one (RFC 9110, 8.6), or its
/// client did.
fn says_length_of_nothing(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
        || headers.contains_key(CONTENT_LENGTH)
}

/// One line of a head or of a trailer.
pub(super) fn line(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(request: http::Request<()>, framing: Framing) -> String {
        let mut out = BytesMut::new();
        encode(&request.into_parts().0, framing, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_request_without_a_body_says_nothing_of_one() {
        let request = http::Request::get("/a?b=c").header("host", "x").header("a", "b");
        assert_eq!(
            encoded(request.body(()).unwrap(), Framing::Empty),
            "GET /a?b=c HTTP/1.1\r\nhost: x\r\na: b\r\n\r\n"
        );
        let request = http::Request::post("/").body(()).unwrap();
        assert_eq!(
            encoded(request, Framing::Empty),
            "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"
        );
    }

    #[test]
    fn the_framing_is_ours() {
        let request = || {
            let request = http::Request::get("/").header("content-length", "9");
            request.header("transfer-encoding", "chunked").body(()).unwrap()
        };
        assert_eq!(
            encoded(request(), Framing::Length(5)),
            "GET / HTTP/1.1\r\ncontent-length: 5\r\n\r\n"
        );
        assert_eq!(
            encoded(request(), Framing::Chunked),
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
        );
    }
}
