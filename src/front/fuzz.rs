//! Properties of what clients and files may bring, for the fuzzer: see `src/fuzz.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a property that does not hold ends in a panic"
)]

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Response, Uri, Version};
use http_body_util::{BodyExt as _, Collected, Empty};
use hyper::rt::ReadBufCursor;
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::app::env_file as read_env_file;
use super::framing::{Framing, Seen};
use super::{hop, strict};
use crate::fuzz::{Peer, drive, irregular, ways_to_cut};
use crate::upstream::fuzz::head_for_app;

/// Where the requests of some bytes end, and what each was made of; the last one may have no end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Followed {
    whole: Vec<(usize, Seen)>,
    rest: Option<Seen>,
    /// Where hyper gets something that it refuses, and the connection ends.
    endless: Option<usize>,
}

/// Follows bytes in pieces.
fn follow(bytes: &[u8], pieces: &[&[u8]]) -> Followed {
    let (mut framing, mut followed, mut at) = (Framing::default(), Followed::default(), 0);
    // Where the last one ended.
    let mut ended = 0;
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let count = framing.advance(rest);
            assert!(0 < count && count <= rest.len(), "{count} of {}", rest.len());
            (at, rest) = (at + count, &rest[count..]);
            if framing.is_endless() {
                followed.endless = Some(at);
                followed.rest = Some(framing.head());
                return followed;
            }
            if !framing.is_within() && has_begun(&bytes[ended..at]) {
                followed.whole.push((at, framing.head()));
                ended = at;
            }
        }
    }
    if at > ended {
        followed.rest = Some(framing.head());
    }
    followed
}

/// Whether there is a line besides the empty ones that may come before a request.
fn has_begun(bytes: &[u8]) -> bool {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.any(|line| line.ends_with(b"\n") && !matches!(line, b"\n" | b"\r\n"))
}

/// The connection of a client, as `server` watches it: hyper gets no byte of a next request together with
/// those of the present one.
struct Watched<'a> {
    peer: Peer<'a>,
    framing: Rc<RefCell<Framing>>,
}

impl hyper::rt::Read for Watched<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(piece) = self.peer.next(buffer.remaining()) {
            let count = self.framing.borrow_mut().advance(piece);
            match piece[..count].split_last() {
                Some((_, before)) if self.framing.borrow_mut().is_endless() => {
                    buffer.put_slice(before);
                    buffer.put_slice(&[0]);
                }
                _ => buffer.put_slice(&piece[..count]),
            }
            self.peer.take_back(&piece[count..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Watched<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.peer).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A request that the front would pass on, as hyper reads it.
struct Passed {
    parts: Parts,
    /// None: it does not come to its end.
    body: Option<Bytes>,
}

/// The requests on a connection, up to the first that is refused.
fn by_hyper(pieces: &[&[u8]]) -> Vec<Passed> {
    let framing = Rc::new(RefCell::new(Framing::default()));
    let passed = Rc::new(RefCell::new(Vec::new()));
    let (heads, requests) = (Rc::clone(&framing), Rc::clone(&passed));
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let (parts, body) = request.into_parts();
        let verdict = strict::check(&parts, Some(heads.borrow_mut().head()));
        let requests = Rc::clone(&requests);
        async move {
            let mut response = Response::new(Empty::<Bytes>::new());
            if verdict.is_err() {
                response.headers_mut().insert(CONNECTION, "close".parse().unwrap());
                return Ok::<_, Infallible>(response);
            }
            let body = body.collect().await.ok().map(Collected::to_bytes);
            requests.borrow_mut().push(Passed { parts, body });
            Ok(response)
        }
    });
    let peer = Peer::new(pieces.iter().copied());
    let io = Watched { peer, framing };
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).auto_date_header(false).half_close(false);
    // How hyper ends is its own affair.
    let _ = drive(builder.serve_connection(io, service));
    passed.take()
}

/// Where a request ends does not depend on how its bytes are cut. Of each that the front would pass on, hyper,
/// httparse and the follower have the same head and the same body, and its head can be read in one way only.
pub(crate) fn framing(bytes: &[u8]) {
    let followed = follow(bytes, &[bytes]);
    for pieces in ways_to_cut(bytes) {
        assert_eq!(follow(bytes, &pieces), followed, "{pieces:?}");
    }
    for pieces in [vec![bytes], irregular(bytes)] {
        let mut begin = 0;
        let passed = by_hyper(&pieces);
        for (at, Passed { parts, body }) in passed.iter().enumerate() {
            let end = followed.whole.get(at).map(|(end, _)| *end);
            let (framing, rest) = head(&bytes[begin..end.unwrap_or(bytes.len())], parts);
            match (end, body) {
                (Some(end), Some(body)) => {
                    is_body(rest, framing, body);
                    begin = end;
                }
                // Where one of them does not come to the end of it, or is lost on the way, it is the last.
                _ => assert_eq!(at + 1, passed.len(), "more is passed on behind it"),
            }
        }
    }
}

/// Reads the head of a request by itself: how its body ends, and the bytes behind it.
fn head<'a>(bytes: &'a [u8], parts: &Parts) -> (Option<(HeaderName, String)>, &'a [u8]) {
    let mut lines = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut lines);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        other => panic!("no head by itself: {other:?}"),
    };
    assert_eq!(request.method, Some(parts.method.as_str()));
    let target = request.path.unwrap_or_default();
    assert_eq!(target.parse::<Uri>().ok().as_ref(), Some(&parts.uri), "{target}");
    let (head, rest) = bytes.split_at(length);
    (sole_framing(head), rest)
}

/// Reads a body by itself, from all bytes that are said to be of it.
fn is_body(bytes: &[u8], framing: Option<(HeaderName, String)>, body: &[u8]) {
    match framing {
        None => assert!(bytes.is_empty() && body.is_empty(), "a body out of nothing"),
        Some((name, value)) if name == CONTENT_LENGTH => {
            assert_eq!(value.parse(), Ok(bytes.len()));
            assert_eq!(bytes, body);
        }
        Some((_, value)) => {
            assert!(value.eq_ignore_ascii_case("chunked"), "{value}");
            assert_eq!(unchunked(bytes).as_deref(), Some(body));
        }
    }
}

/// The one line of a head that says how its body ends. No line may end without CR, and there is one such line
/// at the most.
fn sole_framing(head: &[u8]) -> Option<(HeaderName, String)> {
    let text = head.strip_suffix(b"\r\n\r\n").expect("a head ends with an empty line");
    let mut found = None;
    // The last one has lost its line end above.
    for line in [text, b"\r"].concat().split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").expect("a line that ends without CR");
        assert!(!line.contains(&b'\r'), "a CR within a line");
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        let Ok(name) = HeaderName::from_bytes(name) else { continue };
        if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
            let value = std::str::from_utf8(value).expect("a framing of ASCII").to_owned();
            let before = found.replace((name, value));
            assert_eq!(before, None, "it can be read in two ways");
        }
    }
    found
}

/// What a chunked body of exactly these bytes holds, by a reader that looks at a whole one.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let (line, after) = (&rest[..end], &rest[end + 2..]);
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = std::str::from_utf8(&line[..digits]).ok()?.trim_start_matches('0');
        let size = if size.is_empty() { 0 } else { usize::from_str_radix(size, 16).ok()? };
        if size == 0 {
            rest = after;
            break;
        }
        body.extend_from_slice(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix(b"\r\n")?;
    }
    // The trailers: lines up to an empty one, which is the last.
    let mut lines = rest.split_inclusive(|byte| *byte == b'\n');
    let empty = lines.by_ref().find(|line| matches!(*line, b"\r\n" | b"\n"));
    (empty.is_some() && lines.next().is_none()).then_some(body)
}

/// What an app is asked is what the front has judged: a head that was accepted, stripped of what is for one
/// connection only and written for the app, is read back as the same request, and as one.
pub(crate) fn request(bytes: &[u8]) {
    let mut lines = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut lines);
    let Ok(httparse::Status::Complete(length)) = request.parse(bytes) else { return };
    let Some(mut parts) = parts_of(&request) else { return };
    if strict::check(&parts, None).is_err() {
        return;
    }
    is_of_one_host(&parts);
    let may_upgrade = bytes.len() == length;
    let asked = hop::strip_request(&mut parts.headers, may_upgrade);
    assert!(may_upgrade || !asked.upgrade);
    for name in ["keep-alive", "proxy-connection", "proxy-authorization", "http2-settings"] {
        assert!(!parts.headers.contains_key(name), "{name}");
    }
    assert_eq!(parts.headers.contains_key(UPGRADE), asked.upgrade);
    assert_eq!(parts.headers.contains_key(CONNECTION), asked.upgrade || asked.trailers);

    let body = (bytes.len() - length) as u64;
    for length in [Some(0), Some(body), None] {
        let head = head_for_app(&parts, length);
        let mut lines = [httparse::EMPTY_HEADER; 160];
        let mut read = httparse::Request::new(&mut lines);
        assert_eq!(read.parse(&head), Ok(httparse::Status::Complete(head.len())));
        assert_eq!(read.method, Some(parts.method.as_str()));
        // `http://x?a` asks for the root of x.
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with(['/', '*']) { path } else { &format!("/{path}") };
        assert_eq!(read.path, Some(path));
        let framing = sole_framing(&head);
        match length {
            Some(0) => assert!(framing.is_none_or(|(_, value)| value == "0")),
            Some(length) => assert_eq!(framing, Some((CONTENT_LENGTH, length.to_string()))),
            None => assert_eq!(framing, Some((TRANSFER_ENCODING, "chunked".into()))),
        }
        let is_framing = |name: &str| {
            name.eq_ignore_ascii_case("content-length")
                || name.eq_ignore_ascii_case("transfer-encoding")
        };
        let lines = read.headers.iter().filter(|line| !is_framing(line.name));
        let mut told: Vec<_> =
            lines.map(|line| (line.name.to_owned(), line.value.to_vec())).collect();
        let mut given: Vec<_> = parts
            .headers
            .iter()
            .filter(|(name, _)| !is_framing(name.as_str()))
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect();
        told.sort();
        given.sort();
        assert_eq!(told, given);
    }
}

/// A request as hyper makes it of what httparse has read; none: it would refuse it.
fn parts_of(request: &httparse::Request<'_, '_>) -> Option<Parts> {
    let mut made = Request::builder()
        .method(request.method?)
        .uri(request.path?)
        .version(if request.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 });
    for line in request.headers.iter() {
        made = made.header(line.name, line.value);
    }
    Some(made.body(()).ok()?.into_parts().0)
}

/// A request that was accepted names one host, as those read it who route by it, and a path there.
fn is_of_one_host(parts: &Parts) {
    let hosts: Vec<_> = parts.headers.get_all(HOST).iter().collect();
    assert!(hosts.len() <= 1, "{hosts:?}");
    let host = hosts.first().map(|host| host.to_str().expect("a host of ASCII"));
    if let Some(host) = host {
        // Of a percent sign, which a host may have (RFC 3986, 3.2.2), that type knows nothing.
        let read = host.replace('%', "a").parse::<http::uri::Authority>();
        let read = read.expect("a host that can be read");
        assert!(!host.contains('@'), "a user in {host}");
        assert!(!read.host().is_empty());
    }
    if let Some(authority) = parts.uri.authority() {
        assert!(host.is_none_or(|host| host.eq_ignore_ascii_case(authority.as_str())));
    } else {
        assert!(host.is_some() || parts.version < Version::HTTP_11);
    }
    let path = parts.uri.path();
    assert!(path.starts_with('/') || path == "*" && parts.method == Method::OPTIONS, "{path}");
}

/// What is read of a file of variables can be set, does not depend on the line ends, and is read back where
/// it is written with quotes.
pub(crate) fn env_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = read_env_file(text);
    for (name, value) in &read {
        assert!(!name.is_empty() && !name.contains(['=', '\0', ' ', '\n']), "{name:?}");
        assert!(!value.contains('\0'), "{value:?}");
    }
    let unix = text.replace('\r', "");
    let windows = unix.replace('\n', "\r\n");
    assert_eq!(read_env_file(&windows), read_env_file(&unix), "its line ends");

    let mut written = String::new();
    for (name, value) in &read {
        let mut quoted = String::new();
        for c in value.chars() {
            match c {
                '"' | '\\' | '`' | '$' => quoted.extend(['\\', c]),
                // As it stands it would be a part of a line end.
                '\r' => quoted.push_str("\\r"),
                c => quoted.push(c),
            }
        }
        writeln!(written, "export {name}=\"{quoted}\" # said").unwrap();
    }
    assert_eq!(read_env_file(&written), read, "as it is written: {written}");
}
