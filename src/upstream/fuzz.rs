//! Properties of the codec, for the fuzzer: see `src/fuzz.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a property that does not hold ends in a panic"
)]

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;

use super::answer::{self, Framing};
use super::chunked::{Decoder, Step};
use super::head;
use crate::fuzz::{Peer, drive, irregular, ways_to_cut};

/// What became of a chunked body: what it held and how many bytes are left behind it; none: it is not whole.
type Decoded = Result<Option<(Vec<u8>, HeaderMap, usize)>, String>;

fn decode(pieces: &[&[u8]]) -> Decoded {
    let (mut decoder, mut read, mut body) = (Decoder::default(), BytesMut::new(), Vec::new());
    for (at, piece) in pieces.iter().enumerate() {
        read.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut read).map_err(|error| error.to_string())? {
                Step::More => break,
                Step::Data(data) => {
                    assert!(!data.is_empty(), "a piece of nothing");
                    body.extend_from_slice(&data);
                }
                Step::End(trailers) => {
                    let later: usize = pieces[at + 1..].iter().map(|piece| piece.len()).sum();
                    return Ok(Some((body, trailers, read.len() + later)));
                }
            }
        }
    }
    Ok(None)
}

/// What a chunked body comes to does not depend on how it is cut; the bytes before its end are a body that
/// is not whole; and hyper, where it reads it too, reads the same.
pub(crate) fn chunked(bytes: &[u8]) {
    let whole = decode(&[bytes]);
    for pieces in ways_to_cut(bytes) {
        assert_eq!(decode(&pieces), whole, "{pieces:?}");
    }
    if let Ok(Some((body, trailers, left))) = whole {
        let used = &bytes[..bytes.len() - left];
        for end in 0..used.len() {
            assert_eq!(decode(&[&used[..end]]).map(|some| some.is_some()), Ok(false), "{end}");
        }
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        if let Some(by_hyper) = exchange(&[&head[..], used].concat(), "GET") {
            assert_eq!(by_hyper.body, body);
            for name in trailers.keys() {
                let ours: Vec<_> = trailers.get_all(name).iter().collect();
                assert_eq!(by_hyper.trailers.get_all(name).iter().collect::<Vec<_>>(), ours);
            }
        }
    }
}

/// An answer as hyper's client reads it.
struct ByHyper {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: HeaderMap,
}

/// What hyper makes of an answer to such a request; none: it is none, or not whole.
fn exchange(bytes: &[u8], method: &str) -> Option<ByHyper> {
    drive(async {
        let peer = Peer::new(irregular(bytes));
        let (mut sender, connection) = http1::handshake(peer).await.ok()?;
        let request = Request::builder().method(method).uri("/").header("host", "x");
        let request = request.body(Empty::<Bytes>::new()).ok()?;
        let exchange = async {
            let (parts, body) = sender.send_request(request).await.ok()?.into_parts();
            let collected = body.collect().await.ok()?;
            let trailers = collected.trailers().cloned().unwrap_or_default();
            let body = collected.to_bytes().to_vec();
            Some(ByHyper { status: parts.status, headers: parts.headers, body, trailers })
        };
        futures_util::future::join(exchange, connection).await.0
    })
}

/// A head is whole with its last byte and not before, and what comes behind it changes nothing. Where hyper
/// reads the answer too, it has the same code, the same headers and a body of the same bytes.
pub(crate) fn answer(bytes: &[u8]) {
    for (method, to_head) in [("GET", false), ("HEAD", true)] {
        let mut read = BytesMut::from(bytes);
        let Ok(Some(head)) = answer::take(&mut read, to_head) else { continue };
        let length = bytes.len() - read.len();
        for end in 0..length {
            let part = answer::take(&mut BytesMut::from(&bytes[..end]), to_head);
            assert!(matches!(part, Ok(None)), "of {end} of {length} bytes: {part:?}");
        }
        let alone = answer::take(&mut BytesMut::from(&bytes[..length]), to_head);
        let alone = alone.ok().flatten().expect("a head that needs what is behind it");
        assert_eq!(alone.framing, head.framing);
        assert_eq!(alone.keep_alive, head.keep_alive);
        assert_eq!(alone.parts.headers, head.parts.headers);
        if head.parts.status.is_informational() {
            // hyper goes on to the next one, and we do elsewhere.
            continue;
        }
        let rest = &bytes[length..];
        let body = match head.framing {
            Framing::Empty => Some(Vec::new()),
            Framing::Length(length) => usize::try_from(length)
                .ok()
                .and_then(|length| rest.get(..length))
                .map(<[u8]>::to_vec),
            Framing::ToEnd => Some(rest.to_vec()),
            Framing::Chunked => decode(&[rest]).ok().flatten().map(|(body, ..)| body),
        };
        let (Some(body), Some(by_hyper)) = (body, exchange(bytes, method)) else { continue };
        assert_eq!(by_hyper.status, head.parts.status);
        assert_eq!(by_hyper.headers, head.parts.headers);
        assert_eq!(by_hyper.body, body);
    }
}

/// The head that the app gets for a request with a body of this length; none: of a length that is not known.
pub(crate) fn head_for_app(parts: &Parts, length: Option<u64>) -> Vec<u8> {
    let framing = match length {
        Some(0) => head::Framing::Empty,
        Some(length) => head::Framing::Length(length),
        None => head::Framing::Chunked,
    };
    let mut out = BytesMut::new();
    head::encode(parts, framing, &mut out);
    out.to_vec()
}
