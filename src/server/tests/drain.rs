use super::*;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

#[tokio::test]
async fn an_idle_connection_is_kept_for_the_linger_and_then_closed() {
    let mut server = Server::start(Gate::router().0, wide(), SOON);
    let mut client = server.connect().await;
    assert_eq!(client.get("/").await.body, "hello");
    server.begin_drain().await;
    assert_eq!(client.rest().await, "");
    server.drained().await;
}

#[tokio::test]
async fn a_request_on_an_idle_connection_is_answered_during_the_linger_and_is_the_last() {
    let mut server = Server::start(Gate::router().0, wide(), NEVER);
    let mut client = server.connect().await;
    assert!(!client.get("/").await.is_last());
    server.begin_drain().await;
    let answer = client.get("/").await;
    assert_eq!((answer.code(), answer.is_last()), (200, true));
    assert_eq!(client.rest().await, "");
    drop(client);
    server.drained().await;
}

#[tokio::test]
async fn a_half_sent_first_request_outlives_the_linger() {
    let mut server = Server::start(Gate::router().0, wide(), SOON);
    let mut idle = server.connect().await;
    idle.get("/").await;
    let mut halves = Vec::new();
    for half in ["G", "GET / HTTP/1.1\r\nHo"] {
        let mut client = server.connect().await;
        client.send(half).await;
        halves.push((client, half));
    }
    server.begin_drain().await;
    // The linger is over when the idle one is closed.
    assert_eq!(idle.rest().await, "");
    for (mut client, half) in halves {
        client.send(&"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[half.len()..]).await;
        let answer = client.answer().await;
        assert_eq!((answer.code(), answer.is_last()), (200, true));
    }
    server.drained().await;
}

#[tokio::test]
async fn a_half_sent_second_request_outlives_the_linger() {
    let mut server = Server::start(Gate::router().0, wide(), SOON);
    let mut idle = server.connect().await;
    idle.get("/").await;
    let mut client = server.connect().await;
    client.get("/").await;
    client.send("GET / HTTP/1.1\r\nHo").await;
    // In one piece with the request before it: hyper has the half in its own buffer.
    let mut pipelined = server.connect().await;
    pipelined.send("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHo").await;
    pipelined.answer().await;
    server.begin_drain().await;
    assert_eq!(idle.rest().await, "");
    for mut client in [client, pipelined] {
        client.send("st: x\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!((answer.code(), answer.is_last()), (200, true));
    }
    server.drained().await;
}

#[tokio::test]
async fn a_half_sent_body_outlives_the_linger() {
    let mut server = Server::start(Gate::router().0, wide(), SOON);
    let mut idle = server.connect().await;
    idle.get("/").await;
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf").await;
    server.begin_drain().await;
    assert_eq!(idle.rest().await, "");
    client.send("sent").await;
    let answer = client.answer().await;
    assert_eq!((answer.body.as_str(), answer.is_last()), ("halfsent", true));
    drop(client);
    server.drained().await;
}

#[tokio::test]
async fn a_request_in_flight_is_answered_whatever_its_time() {
    let (router, gate) = Gate::router();
    let mut server = Server::start(router, wide(), SOON);
    let mut idle = server.connect().await;
    idle.get("/").await;
    let mut client = server.connect().await;
    client.send("GET /gated HTTP/1.1\r\nHost: x\r\n\r\n").await;
    gate.begun.notified().await;
    server.begin_drain().await;
    assert_eq!(idle.rest().await, "");
    gate.open.notify_one();
    let answer = client.answer().await;
    assert_eq!((answer.body.as_str(), answer.is_last()), ("at last", true));
    drop(client);
    server.drained().await;
}

#[tokio::test]
async fn a_response_that_the_client_reads_slowly_arrives_whole() {
    // More than the buffers of both sides of the connection hold.
    let large = "x".repeat(16 << 20);
    let router =
        Router::new().route("/", get(async || "hello")).route("/large", get(async move || large));
    let mut server = Server::start(router, wide(), SOON);
    let mut idle = server.connect().await;
    idle.get("/").await;
    let mut client = server.connect().await;
    client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let answer = client.head().await;
    server.begin_drain().await;
    assert_eq!(idle.rest().await, "");
    // The response began before the drain, so it could not say that it is the last; after it the
    // connection is idle, and closed after the linger.
    assert!(!answer.is_last());
    assert_eq!(client.rest().await.len(), 16 << 20);
    drop(client);
    server.drained().await;
}

#[tokio::test]
async fn a_fresh_connection_is_kept_for_the_linger_and_served_if_it_speaks() {
    let mut server = Server::start(Gate::router().0, wide(), SOON);
    let mut silent = server.connect().await;
    server.connect().await.get("/").await;
    server.begin_drain().await;
    assert_eq!(silent.rest().await, "");
    server.drained().await;

    let mut server = Server::start(Gate::router().0, wide(), NEVER);
    let mut speaking = server.connect().await;
    // One queue: when this one is answered, the one before it has been accepted.
    server.connect().await.get("/").await;
    server.begin_drain().await;
    let answer = speaking.get("/").await;
    assert_eq!((answer.code(), answer.is_last()), (200, true));
    drop(speaking);
    server.drained().await;
}

#[tokio::test]
async fn while_a_drain_waits_it_is_known_how_many_are_left() {
    let mut server = Server::start(Gate::router().0, wide(), NEVER);
    let [first, _second] = [server.connect().await, server.connect().await];
    server.begin_drain().await;
    let one_leaves = async {
        assert_eq!(server.door.open(), 2);
        drop(first);
        while server.door.open() > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = server.door.wait_until_empty() => panic!("the second one is still there"),
        () = one_leaves => {}
    }
}

#[tokio::test]
async fn http2_is_told_at_once_and_finishes_what_it_has() {
    let (router, gate) = Gate::router();
    let mut server = Server::start(router, wide(), NEVER);
    let stream = server.connect().await.into_stream();
    let (mut sender, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let request =
        |path: &str| http::Request::get(format!("http://x{path}")).body(Empty::new()).unwrap();
    assert_eq!(sender.send_request(request("/")).await.unwrap().status(), 200);
    let gated = sender.send_request(request("/gated"));
    gate.begun.notified().await;
    server.begin_drain().await;
    gate.open.notify_one();
    let response = gated.await.unwrap();
    assert!(!response.headers().contains_key("connection"), "forbidden in HTTP/2");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "at last");
    let closed = tokio::time::timeout(client::DEADLINE, connection).await;
    closed.expect("the connection stays open").unwrap().unwrap();
    server.drained().await;
}
