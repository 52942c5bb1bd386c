//! Clients that leave before their answer has begun: the app learns of it, and nobody else has to do
//! with their request.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::siblings::instance;
use super::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// An app that never answers, and its connections with a request on them.
async fn silent() -> (App, mpsc::UnboundedReceiver<TcpStream>) {
    let (give, given) = mpsc::unbounded_channel();
    (App::with(move |_| Deed::Handed(Vec::new(), give.clone())).await, given)
}

/// Waits until the front has closed a connection of the app.
async fn closed(mut app_side: TcpStream) {
    let mut scrap = Vec::new();
    let read = app_side.read_to_end(&mut scrap);
    let read = tokio::time::timeout(client::DEADLINE, read).await.expect("it stays open");
    assert_eq!(read.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_request_to_the_app_and_holds_no_swap_and_no_drain() {
    let (app, mut given) = silent().await;
    let mut server = Fronted::with(&app, Bounds { hang_up: SOON, ..wide() }, |_| {});
    for request in [
        GET,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ] {
        let before = app.seen().len();
        let old = server.open(1, &app);
        let mut client = server.connect().await;
        client.send(request).await;
        let app_side = given.recv().await.unwrap();
        // All is read, so it is a FIN, as of a client that only closes its side.
        drop(client);
        closed(app_side).await;
        server.open(2, &app);
        tokio::time::timeout(client::DEADLINE, old.until_unused()).await.unwrap();
        assert_eq!(app.seen().len(), before + 1, "{request}: it was sent again");
    }
    server.begin_drain().await;
    server.drained().await;
}

#[tokio::test]
async fn a_client_that_resets_its_connection_is_gone_at_once() {
    let (app, mut given) = silent().await;
    let server = Fronted::of(&app);
    let mut client = server.connect().await;
    client.send(GET).await;
    let app_side = given.recv().await.unwrap();
    let stream = client.into_stream();
    set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
    closed(app_side).await;
    assert_eq!(app.seen().len(), 1);
}

#[tokio::test]
async fn what_is_held_for_an_app_that_is_down_is_dropped_with_its_client() {
    let server = Fronted::closed(Bounds { hang_up: SOON, ..wide() }, |_| {}, None);
    let mut client = server.connect().await;
    client.send(GET).await;
    while server.front.held_now() == 0 {
        tokio::task::yield_now().await;
    }
    drop(client);
    server.drained().await;
    let app = App::start().await;
    server.open(1, &app);
    assert_eq!(server.connect().await.get("/next").await.code(), 200);
    assert_eq!(app.seen().iter().map(Asked::line).collect::<Vec<_>>(), ["GET /next"]);
}

#[tokio::test]
async fn a_client_that_only_closes_its_side_gets_what_comes_soon() {
    let (give, mut given) = mpsc::unbounded_channel();
    let app = App::with(move |_| Deed::Handed(Vec::new(), give.clone())).await;
    let server = Fronted::of(&app);
    let mut client = server.connect().await;
    client.send(GET).await;
    client.close_sending().await;
    let mut app_side = given.recv().await.unwrap();
    app_side.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    assert_eq!(client.answer().await.body, "ok");
}

#[tokio::test]
async fn a_stream_of_http2_that_is_reset_ends_its_request_to_the_app_and_so_does_a_closed_connection()
 {
    let (app, mut given) = silent().await;
    let server = Fronted::of(&app);
    let stream = server.connect().await.into_stream().into_std().unwrap();
    let line = stream.try_clone().unwrap();
    let stream = TcpStream::from_std(stream).unwrap();
    let (mut sender, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = || http::Request::get("http://x/").body(Empty::new()).unwrap();
    let asked = tokio::spawn(sender.send_request(request()));
    let app_side = given.recv().await.unwrap();
    asked.abort();
    closed(app_side).await;
    let asked = tokio::spawn(sender.send_request(request()));
    let app_side = given.recv().await.unwrap();
    line.shutdown(std::net::Shutdown::Both).unwrap();
    closed(app_side).await;
    assert!(asked.await.unwrap().is_err());
    server.drained().await;
    assert_eq!(app.seen().len(), 2);
}

#[tokio::test]
async fn what_was_brought_to_a_sibling_ends_there_with_its_client() {
    let folder = tempfile::tempdir().unwrap();
    let [mut one, two] = [1, 2].map(|id| instance(folder.path(), id));
    let (app, mut given) = silent().await;
    let life = two.fronted.open(1, &app);
    let mut client = one.fronted.connect().await;
    client.send(GET).await;
    let app_side = given.recv().await.unwrap();
    let stream = client.into_stream();
    set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
    closed(app_side).await;
    tokio::time::timeout(client::DEADLINE, life.until_unused()).await.unwrap();
    one.fronted.begin_drain().await;
    one.fronted.drained().await;
    assert_eq!(app.seen().len(), 1);
}
