//! What counts as a failure of the one who answers, and so against a canary: nothing that a stranger can bring
//! about.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::super::super::figures::{Answers, Figures};
use super::super::super::site::Site;
use super::super::raw::corpus;
use super::*;
use crate::config::StaticSite;
use crate::roll::{Sample, compare};

/// What the health report says, as a canary is judged by it.
fn sample(answers: &Answers) -> Sample {
    Sample::of(&Figures::new(&settings(), None, Drain::default()).report(answers))
}

/// Sends every raw request of the corpus.
async fn flood(server: &Server) {
    for file in corpus() {
        let mut client = server.connect().await;
        client.send(std::fs::read(file).unwrap()).await;
        client.close_sending().await;
        let _ = client.rest_of_bytes().await;
    }
}

#[tokio::test]
async fn no_canary_is_worse_for_what_strangers_send_it_nor_better_for_what_they_send_its_siblings()
{
    let app = App::with(|asked| match asked.line() {
        "GET /broken" => Deed::Answer(answer(500)),
        _ => Deed::Answer(answer(200)),
    })
    .await;
    let front = Fronted::of(&app);
    let root = tempfile::tempdir().unwrap();
    let site =
        Site::new(&StaticSite { root: root.path().into(), fallback: None }, 4 << 10).unwrap();
    let router = Router::new().fallback(async move |request| site.answer(request).await);
    let site = Server::start(router, wide(), NEVER);
    let quiet = (sample(&Answers::default()), sample(&Answers::default()));
    for server in [&*front, &site] {
        let begin = sample(&server.answered);
        flood(server).await;
        let flooded = (begin, sample(&server.answered));
        assert!(server.answered.refused() > 20, "{}", server.answered.refused());
        assert_eq!(compare(flooded, &[quiet]), Ok(()));
        assert_eq!(compare(flooded, &[]), Ok(()));
    }

    // It fails as often as its sibling, which strangers flood.
    let other = Fronted::of(&app);
    let begin = (sample(&front.answered), sample(&other.answered));
    for server in [&front, &other] {
        for path in ["/broken", "/"].repeat(5) {
            server.connect().await.get(path).await;
        }
    }
    for _ in 0..200 {
        assert_eq!(other.connect().await.get("*").await.code(), 400);
    }
    let (ours, theirs) = (sample(&front.answered), sample(&other.answered));
    assert_eq!(compare((begin.0, ours), &[(begin.1, theirs)]), Ok(()));
    // One that fails alone is worse.
    assert!(compare((begin.0, ours), &[quiet]).is_err());
}

fn answer(code: u16) -> Vec<u8> {
    format!("HTTP/1.1 {code} X\r\nContent-Length: 0\r\n\r\n").into()
}

#[tokio::test]
async fn the_answers_of_an_app_count_by_their_code() {
    for (code, failed, refused) in [
        (200, 0, 0),
        (304, 0, 0),
        (400, 0, 1),
        (404, 0, 1),
        (408, 0, 1),
        (413, 0, 1),
        (416, 0, 1),
        (429, 0, 1),
        (431, 0, 1),
        (499, 0, 1),
        (500, 1, 0),
        (501, 0, 1),
        (502, 1, 0),
        (503, 1, 0),
        (504, 1, 0),
        (505, 0, 1),
        (507, 1, 0),
        (511, 0, 1),
    ] {
        let app = App::with(move |_| Deed::Answer(answer(code))).await;
        let server = Fronted::of(&app);
        assert_eq!(server.connect().await.get("/").await.code(), code);
        let counted = (server.answered.failed(), server.answered.refused());
        assert_eq!(counted, (failed, refused), "{code}");
    }
}

/// Where an app listens that reads what it is sent until it has read `until`, and closes then.
async fn gives_up_after(until: &'static str) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut came = Vec::new();
            while !came.windows(until.len()).any(|part| part == until.as_bytes()) {
                assert!(stream.read_buf(&mut came).await.unwrap() > 0);
            }
        }
    });
    address
}

#[tokio::test]
async fn an_app_that_gives_up_on_a_slow_client_is_not_one_that_fails() {
    for (body, failed) in [("hal", 0), ("half", 0), ("half a body", 1)] {
        let server = Fronted::closed(wide(), |_| {}, None);
        server.route.open(Generation::new(1, gives_up_after("hal").await));
        let mut client = server.connect().await;
        let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n";
        client.send(format!("{head}{body}")).await;
        assert_eq!(client.answer().await.code(), 502, "{body}");
        assert_eq!(server.answered.failed(), failed, "{body}");
    }
    let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    for (end, failed) in [("", 0), ("1", 0), ("0\r\n\r\n", 1), ("0\r\nX: y\r\n\r\n", 1)] {
        let server = Fronted::closed(wide(), |_| {}, None);
        // An app of which the front knows that it has all.
        let until = if failed == 1 { "0\r\n" } else { "half" };
        server.route.open(Generation::new(1, gives_up_after(until).await));
        let mut client = server.connect().await;
        client.send(format!("{chunked}{end}")).await;
        assert_eq!(client.answer().await.code(), 502, "{end}");
        assert_eq!(server.answered.failed(), failed, "{end}");
    }
}

/// A body that never ends after its first piece.
struct Slow(Option<Bytes>);

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test]
async fn nor_is_it_over_http2() {
    let server = Fronted::closed(wide(), |_| {}, None);
    server.route.open(Generation::new(1, gives_up_after("half").await));
    let stream = TokioIo::new(server.connect().await.into_stream());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post("http://x/").body(Slow(Some("half".into()))).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 502);
    assert_eq!((server.answered.failed(), server.answered.refused()), (0, 1));
}

#[tokio::test]
async fn an_app_that_is_down_has_failed_whoever_asks() {
    let server = Fronted::closed(wide(), |settings| settings.limits.hold = SOON, None);
    let mut client = server.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhalf").await;
    assert_eq!(client.answer().await.code(), 503);
    assert_eq!(server.answered.failed(), 1);
}
