//! Clients that hold what others need: places, and bytes of the budget.

use axum::body::Body;
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::super::bounds::{H2_MEMORY, H2_STREAM_MEMORY};
use super::*;

/// An answer that no kernel buffer takes as a whole.
const LARGE: usize = 16 << 20;

fn router() -> Router {
    let large = Bytes::from(vec![b'x'; LARGE]);
    Gate::router().0.route("/large", get(async move || large))
}

/// A server with so many places, and so many bytes for connections and for transfers each.
fn narrow(connections: usize, bytes: u64) -> Server {
    let bounds = Bounds { connections, ..wide() };
    Server::of(|drain| Host {
        budget: Budget::of(bytes, bytes),
        ..host(Handler::Router(router()), drain, bounds)
    })
}

const ASK: &str = "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
const UPLOAD: &str = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";

/// So many clients that send this, and nothing more; they read nothing either.
async fn crowd(server: &Server, count: usize, text: &str) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = server.connect().await;
        client.send(text).await;
        clients.push(client);
    }
    clients
}

#[tokio::test]
async fn the_beginning_of_a_preface_is_not_awaited_for_ever() {
    let server = Server::start(Gate::router().0, Bounds { head: SOON, ..wide() }, NEVER);
    for beginning in ["P", "PRI * HTTP/2.0\r\n\r\nSM\r\n"] {
        let mut client = server.connect().await;
        client.send(beginning).await;
        assert_eq!(client.rest_of_bytes().await, b"");
    }
}

#[tokio::test]
async fn those_who_wait_for_their_clients_give_way_to_others() {
    for text in ["", "P", "GET / HTTP/1.1\r\nX: ", UPLOAD, ASK, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let server = narrow(3, 1 << 20);
        let _crowd = crowd(&server, 9, text).await;
        assert_eq!(server.connect().await.get("/").await.code(), 200, "{text:?}");
    }
}

#[tokio::test]
async fn those_who_read_nothing_give_their_bytes_to_others() {
    // One answer has room.
    let server = narrow(100, 96 << 10);
    let _crowd = crowd(&server, 5, ASK).await;
    let mut client = server.connect().await;
    assert_eq!(client.get("/large").await.body.len(), LARGE);
}

#[tokio::test]
async fn a_large_head_waits_for_room_and_gets_it() {
    let server = narrow(100, 96 << 10);
    let half = format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {}", "c".repeat(20 << 10));
    let _crowd = crowd(&server, 5, &half).await;
    let mut client = server.connect().await;
    client.send(format!("{half}\r\n\r\n")).await;
    assert_eq!(client.answer().await.body, "hello");
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_answered_with_408() {
    let pace = Pace { rate: 1, grace: SOON, silence: NEVER };
    let server = Server::start(Gate::router().0, Bounds { pace, ..wide() }, NEVER);
    let mut client = server.connect().await;
    client.send(UPLOAD).await;
    assert_eq!(client.answer().await.code(), 408);

    // What comes in time is taken, whatever it is.
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab").await;
    assert_eq!(client.answer().await.body, "ab");
}

/// Bytes of HTTP/2, as a client sends them that sticks to nothing else.
struct Frames(BytesMut);

impl Frames {
    /// The beginning of a connection whose windows are as large as they may be.
    fn begin() -> Self {
        const MOST: u32 = (1 << 31) - 1;
        let mut frames = Self(BytesMut::from(&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..]));
        let mut settings = BytesMut::new();
        settings.put_u16(4);
        settings.put_u32(MOST);
        frames.frame(4, 0, 0, &settings);
        frames.frame(8, 0, 0, &(MOST - 65_535).to_be_bytes());
        frames
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.0.put_uint(payload.len() as u64, 3);
        self.0.put_slice(&[kind, flags]);
        self.0.put_u32(stream);
        self.0.put_slice(payload);
    }

    /// A request for a path, on its own stream.
    fn get(&mut self, stream: u32, path: &str) {
        let mut head = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
        head.extend_from_slice(path.as_bytes());
        head.extend_from_slice(b"\x01\x01x");
        self.frame(1, 5, stream, &head);
    }
}

#[tokio::test]
async fn streams_that_nobody_reads_hold_no_more_than_their_share() {
    let server = narrow(100, 4 << 20);
    let mut connections = Vec::new();
    for _ in 0..10 {
        let mut frames = Frames::begin();
        for stream in 0..100 {
            frames.get(2 * stream + 1, "/large");
        }
        let mut client = server.connect().await;
        client.send(&frames.0).await;
        connections.push(client);
    }
    let mut client = server.connect().await;
    assert_eq!(client.get("/large").await.body.len(), LARGE);
}

#[tokio::test]
async fn connections_of_http2_that_wait_for_room_give_their_places_to_others() {
    // Two of them have room, whose app is at work, and others hold the rest of the places.
    let (gated, _gate) = Gate::router();
    let bytes = 4 * (H2_MEMORY + 8 * H2_STREAM_MEMORY) as u64;
    let server = Server::of(|drain| Host {
        budget: Budget::of(bytes, 1 << 20),
        ..host(Handler::Router(gated), drain, Bounds { connections: 6, ..wide() })
    });
    let mut frames = Frames::begin();
    frames.get(1, "/gated");
    let mut crowd = Vec::new();
    for _ in 0..9 {
        let mut client = server.connect().await;
        client.send(&frames.0).await;
        crowd.push(client);
    }
    assert_eq!(server.connect().await.get("/").await.code(), 200);
}

#[tokio::test]
async fn the_answers_of_a_connection_take_turns() {
    let endless = || async {
        Body::from_stream(futures_util::stream::repeat_with(|| {
            Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 16 << 10]))
        }))
    };
    // Its length is not known before, so it waits for its turn as others do.
    let page = || async {
        Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("hello")]))
    };
    let router = router().route("/endless", get(endless)).route("/page", get(page));
    // One piece has room, and what is left of it is less than a second one.
    let server = Server::of(|drain| Host {
        budget: Budget::of(1 << 20, 160 << 10),
        ..host(Handler::Router(router), drain, wide())
    });
    let stream = TokioIo::new(server.connect().await.into_stream());
    let (mut sender, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = |path| http::Request::get(format!("http://x{path}")).body(Empty::new()).unwrap();
    for _ in 0..3 {
        let mut answer = sender.send_request(request("/endless")).await.unwrap().into_body();
        tokio::spawn(async move { while answer.frame().await.is_some() {} });
    }
    for _ in 0..10 {
        let answer = sender.send_request(request("/page")).await.unwrap();
        let page = tokio::time::timeout(client::DEADLINE, answer.into_body().collect());
        assert_eq!(page.await.expect("it waits for the others").unwrap().to_bytes(), "hello");
    }
}

#[tokio::test]
async fn an_http2_connection_without_progress_is_closed() {
    let server = Server::start(router(), Bounds { stall: SOON, ..wide() }, NEVER);
    let mut frames = Frames::begin();
    frames.get(1, "/large");
    let mut client = server.connect().await;
    client.send(&frames.0).await;
    server.drained().await;

    // A window of nothing, and pings that carry nothing.
    let mut frames = Frames(BytesMut::from(&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..]));
    frames.frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    frames.get(1, "/");
    let mut client = server.connect().await;
    client.send(&frames.0).await;
    let mut stream = client.into_stream();
    let (mut reads, mut writes) = stream.split();
    let pings = async {
        let mut every = tokio::time::interval(SOON / 10);
        loop {
            every.tick().await;
            let mut ping = Frames(BytesMut::new());
            ping.frame(6, 0, 0, &[0; 8]);
            if tokio::io::AsyncWriteExt::write_all(&mut writes, &ping.0).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let answers = async { tokio::io::copy(&mut reads, &mut tokio::io::sink()).await };
    tokio::select! {
        _ = answers => {}
        () = pings => {}
        () = tokio::time::sleep(client::DEADLINE) => panic!("it stays open"),
    }
}

#[tokio::test]
async fn a_slow_body_of_http2_ends_its_stream_and_not_the_others() {
    let pace = Pace { rate: 1, grace: SOON, silence: NEVER };
    let server = Server::start(router(), Bounds { pace, ..wide() }, NEVER);
    let mut frames = Frames::begin();
    // POST /echo, without the end of the stream.
    frames.frame(1, 4, 1, b"\x83\x86\x04\x05/echo\x01\x01x");
    let mut client = server.connect().await;
    client.send(&frames.0).await;
    // 408 has no place of its own in the table: it is a literal (RFC 7541, appendix A).
    let status = b"408";
    let mut came = Vec::new();
    while !came.windows(status.len()).any(|window| window == status) {
        came.extend(client.bytes(1).await);
    }
}
