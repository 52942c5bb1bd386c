//! What hyper takes for a request ends where the follower says, or the follower is lost.

use super::*;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncRead, ReadBuf, join, sink};

/// A client whose bytes come when the test says so.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<VecDeque<u8>>>);

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = self.0.borrow_mut();
        if bytes.is_empty() {
            return Poll::Pending;
        }
        while buffer.remaining() > 0
            && let Some(byte) = bytes.pop_front()
        {
            buffer.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

/// Where the requests end that hyper takes as a whole: after how many bytes.
fn ends_of_hyper(bytes: &[u8]) -> Vec<usize> {
    let wire = Wire::default();
    let whole = Rc::new(Cell::new(0));
    let noted = Rc::clone(&whole);
    let service = service_fn(move |request: Request<Incoming>| {
        let noted = Rc::clone(&noted);
        async move {
            if request.into_body().collect().await.is_ok() {
                noted.set(noted.get() + 1);
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    let io = TokioIo::new(join(wire.clone(), sink()));
    let connection = builder.header_read_timeout(None).serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let mut cx = Context::from_waker(Waker::noop());
    let mut ends = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        wire.0.borrow_mut().push_back(*byte);
        // Once for the byte, and once more for what has become ready by it.
        for _ in 0..3 {
            if connection.as_mut().poll(&mut cx).is_ready() {
                return ends;
            }
        }
        while ends.len() < whole.get() {
            ends.push(at + 1);
        }
    }
    ends
}

/// Where the requests end by the follower, as far as it is not lost; and where it is lost.
fn ends_of_follower(bytes: &[u8], cut: usize) -> (Vec<usize>, Vec<Seen>) {
    let (mut framing, mut ends, mut heads) = (Framing::default(), Vec::new(), Vec::new());
    let mut at = 0;
    for mut piece in bytes.chunks(cut) {
        while !piece.is_empty() {
            let count = framing.advance(piece);
            at += count;
            piece = &piece[count..];
            if framing.place == Place::End {
                ends.push(at);
                heads.push(framing.head());
            }
        }
    }
    (ends, heads)
}

/// Good requests: frequent enough for what comes after them to matter.
static GOOD: [&str; 4] = [
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
];

/// What requests are made of, and what is nearly that.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<String> = [
        "GET / HTTP/1.1\r\nHost: x\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\n",
        "POST / HTTP/1.0\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "Content-Length: 5\r\n",
        "content-length:5 \r\n",
        "Content-Length:\t0005\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length : 5\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\n",
        "transfer-encoding:chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        " folded\r\n",
        "Expect: 100-continue\r\n",
        "Connection: close\r\n",
        "5\r\nhello\r\n",
        "5;a=b\r\nhello\r\n",
        "5 \r\nhello\r\n",
        "5\t;\r\nhello\r\n",
        "5\nhello\r\n",
        "A\r\n0123456789\r\n",
        "5;a\nb\r\nhello\r\n",
        "0\r\n",
        "0\r\n\r\n",
        "0;last\r\n\r\n",
        "a: b\r\n",
        "a: b\n",
        "a: b\r",
        "_: \u{e4}\r\n",
        "hello",
        "0",
        ";",
        " ",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([
        format!("Content-Length: {}5\r\n", "0".repeat(60)),
        format!("Content-Length:{}5\r\n", " ".repeat(60)),
        format!("Transfer-Encoding:{}chunked\r\n", " ".repeat(60)),
        format!("X: {}\r\n", "x".repeat(60)),
        format!("X: {}\n", "x".repeat(60)),
        format!("{}5\r\nhello\r\n", "0".repeat(60)),
        format!("{}\r\n\r\n", "0".repeat(60)),
        format!("1{}5\r\nhello\r\n", "0".repeat(15)),
        format!("1{}5\r\nhello\r\n", "0".repeat(16)),
        format!("5;{}\r\nhello\r\n", "x".repeat(60)),
        format!("X: {}\r\n", "x".repeat(45)),
    ])
    .collect();
    let piece = prop_oneof![
        2 => prop::sample::select(&GOOD[..]).prop_map(str::to_owned),
        5 => prop::sample::select(pieces),
    ];
    prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_request_that_hyper_takes_ends_where_the_follower_says(bytes in bytes(), cut in 1usize..80) {
        let (ends, _) = ends_of_follower(&bytes, cut);
        for (number, end) in ends_of_hyper(&bytes).into_iter().enumerate() {
            // Lost before: this one and all after it are refused.
            let Some(here) = ends.get(number) else { break };
            prop_assert_eq!(*here, end, "{:?}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn what_is_said_of_a_request_does_not_depend_on_how_it_is_cut(bytes in bytes(), cut in 1usize..80) {
        let whole = ends_of_follower(&bytes, bytes.len());
        prop_assert_eq!(ends_of_follower(&bytes, cut), whole);
    }

    #[test]
    fn no_bytes_at_all_are_told_in_two_ways(bytes in any::<Vec<u8>>(), cut in 1usize..9) {
        prop_assume!(!bytes.is_empty());
        let whole = ends_of_follower(&bytes, bytes.len());
        prop_assert_eq!(ends_of_follower(&bytes, cut), whole);
    }
}

#[test]
fn the_two_are_compared_at_all() {
    let bytes =
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\
        GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let first = bytes.len() - 27;
    assert_eq!(ends_of_hyper(bytes), [first, bytes.len()]);
    assert_eq!(ends_of_follower(bytes, 7).0, [first, bytes.len()]);
}
