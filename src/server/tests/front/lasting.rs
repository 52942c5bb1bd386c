//! What goes on for ever: tunnels and streams of events.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const UPGRADE: &str =
    "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// An app that changes to another protocol, and its connections.
async fn websocket(protocol: &str) -> (App, mpsc::UnboundedReceiver<tokio::net::TcpStream>) {
    let (give, given) = mpsc::unbounded_channel();
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
    );
    let app =
        App::with(move |_| Deed::Handed([head.as_bytes(), b"\x81\x02hi"].concat(), give.clone()));
    (app.await, given)
}

#[tokio::test]
async fn a_websocket_is_a_tunnel_until_a_drain_tells_its_client_to_come_back() {
    let (app, mut given) = websocket("websocket").await;
    let mut server = Fronted::of(&app);
    let mut client = server.connect().await;
    // The first frame in one piece with the request.
    client.send([UPGRADE.as_bytes(), b"\x81\x82kkkkab"].concat()).await;
    assert!(client.head().await.head.starts_with("HTTP/1.1 101"), "no upgrade");
    let mut app_side = given.recv().await.unwrap();
    let mut frame = [0; 8];
    app_side.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\x81\x82kkkkab");
    assert_eq!(app.seen()[0].all("connection"), ["upgrade"]);
    server.begin_drain().await;
    assert_eq!(client.bytes(8).await, b"\x81\x02hi\x88\x02\x03\xf4");
    client.send(b"\x88\x82kkkkhh").await;
    app_side.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\x88\x82kkkkhh");
    drop(app_side);
    assert_eq!(client.rest_of_bytes().await, b"");
    server.drained().await;
}

#[tokio::test]
async fn a_swap_waits_for_tunnels_and_tells_them() {
    let (app, mut given) = websocket("websocket").await;
    let server = Fronted::of(&app);
    let old = server.open(2, &app);
    let mut client = server.connect().await;
    client.send(UPGRADE).await;
    client.head().await;
    let app_side = given.recv().await.unwrap();
    assert_eq!(old.in_flight(), 1);
    server.open(3, &app);
    old.retire();
    assert_eq!(client.bytes(8).await, b"\x81\x02hi\x88\x02\x03\xf4");
    drop((client, app_side));
    tokio::time::timeout(client::DEADLINE, old.until_unused()).await.unwrap();
}

#[tokio::test]
async fn another_protocol_is_left_alone_and_either_side_may_close_first() {
    let (app, mut given) = websocket("other").await;
    let server = Fronted::of(&app);
    let mut client = server.connect().await;
    client.send(UPGRADE.replace("websocket", "other")).await;
    client.head().await;
    let mut app_side = given.recv().await.unwrap();
    client.close_sending().await;
    assert_eq!(app_side.read(&mut [0; 1]).await.unwrap(), 0);
    app_side.write_all(b"bye").await.unwrap();
    drop(app_side);
    assert_eq!(client.rest_of_bytes().await, b"\x81\x02hibye");
}

#[tokio::test]
async fn a_tunnel_on_which_nothing_is_said_ends() {
    let (app, mut given) = websocket("websocket").await;
    let bounds = Bounds { tunnel_idle: SOON, ..wide() };
    let fronted = Fronted::with(&app, bounds, |_| {});
    let mut client = fronted.connect().await;
    client.send(UPGRADE).await;
    assert_eq!(client.head().await.code(), 101);
    let _app = given.recv().await.unwrap();
    client.rest_of_bytes().await;
}

#[tokio::test]
async fn an_upgrade_that_nobody_asked_for_is_an_error_of_the_app() {
    let (app, _given) = websocket("websocket").await;
    let server = Fronted::of(&app);
    let answer = server.connect().await.get("/").await;
    assert_eq!(answer.code(), 502);
}

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";

#[tokio::test]
async fn an_event_stream_ends_between_two_events() {
    let (give, mut given) = mpsc::unbounded_channel();
    let app = App::with(move |_| Deed::Handed(EVENTS.into(), give.clone())).await;
    let mut server = Fronted::of(&app);
    let old = server.open(2, &app);
    for drain in [false, true] {
        let mut client = server.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        client.head().await;
        let mut app_side = given.recv().await.unwrap();
        assert_eq!(client.bytes(14).await, b"9\r\ndata: 1\n\n\r\n");
        // Half an event.
        app_side.write_all(b"5\r\ndata:\r\n").await.unwrap();
        assert_eq!(client.bytes(10).await, b"5\r\ndata:\r\n");
        if drain {
            server.begin_drain().await;
        } else {
            server.open(3, &app);
            old.retire();
        }
        app_side.write_all(b"4\r\n 2\n\n\r\n").await.unwrap();
        assert_eq!(client.bytes(14).await, b"4\r\n 2\n\n\r\n0\r\n\r\n");
        drop(client);
    }
    tokio::time::timeout(client::DEADLINE, old.until_unused()).await.unwrap();
    server.drained().await;
}

#[tokio::test]
async fn an_app_learns_at_once_that_the_listener_of_its_events_has_left() {
    let (give, mut given) = mpsc::unbounded_channel();
    let app = App::with(move |_| Deed::Handed(EVENTS.into(), give.clone())).await;
    let server = Fronted::of(&app);
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    client.head().await;
    let mut app_side = given.recv().await.unwrap();
    drop(client);
    let mut byte = [0; 1];
    let left = app_side.read(&mut byte);
    assert_eq!(tokio::time::timeout(client::DEADLINE, left).await.unwrap().unwrap_or(0), 0);
}
