//! Apps and clients that take too long, or send too much.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

#[tokio::test]
async fn a_body_above_the_limit_is_refused_however_it_comes() {
    let app = App::start().await;
    let server = Fronted::with(&app, wide(), |settings| {
        settings.limits.body = "100K".parse().unwrap();
    });
    let mut client = server.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n").await;
    assert_eq!(client.answer().await.code(), 413);

    let mut client = server.connect().await;
    let chunk = format!("c350\r\n{}\r\n", "x".repeat(0xc350));
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}{chunk}{chunk}{chunk}")).await;
    let answer = client.answer().await;
    assert_eq!((answer.code(), answer.is_last()), (413, true));
    assert!(app.seen().is_empty());
}

#[tokio::test]
async fn an_app_that_never_answers_is_a_504_in_the_end() {
    let (app, _asked) = stuck().await;
    let server = Fronted::with(&app, Bounds { silence: SOON, ..wide() }, |_| {});
    let mut client = server.connect().await;
    let answer = client.get("/").await;
    assert_eq!((answer.code(), answer.is_last()), (504, true));
}

#[tokio::test]
async fn an_app_may_think_for_longer_than_a_client_may_stall() {
    let (give, mut given) = mpsc::unbounded_channel();
    let app = App::with(move |_| Deed::Handed(Vec::new(), give.clone())).await;
    let server = Fronted::with(&app, Bounds { stall: SOON, ..wide() }, |_| {});
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut app_side = given.recv().await.unwrap();
    // The bound of a stall has passed when one of them has met it.
    let mut stalled = server.connect().await;
    stalled.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n").await;
    assert_eq!(stalled.answer().await.code(), 408);
    app_side.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    assert_eq!(client.answer().await.body, "ok");
}

#[tokio::test]
async fn an_endless_body_that_nobody_reads_is_held_back_and_then_cut() {
    // An app that takes the connection and reads nothing.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    let server = Fronted::closed(Bounds { stall: SOON, ..wide() }, |_| {}, None);
    server.route.open(Generation::new(1, address));
    let (mut answer, mut body) = server.connect().await.into_stream().into_split();
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    body.write_all(head).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let mut code = [0; 12];
    let mut sent = 0;
    loop {
        tokio::select! {
            biased;
            read = answer.read_exact(&mut code) => break read.map(drop).unwrap(),
            written = body.write_all(chunk.as_bytes()) => written.unwrap(),
        }
        sent += chunk.len();
        // What the kernel holds for four ends of connections (tcp(7), `tcp_rmem`), and no more.
        assert!(sent < 256 << 20, "{sent} bytes were taken");
    }
    assert_eq!(&code, b"HTTP/1.1 408");
    drop((answer, body));
    server.drained().await;
}
