//! The clients against servers that misbehave on purpose.

mod events;
mod http1;
mod http2;
mod running;
mod slow;
mod websocket;
mod wire;

use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const FLAT_OUT: Kind = Kind::KeepAlive { gap: Duration::ZERO };

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const OK_AND_CLOSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// A request for `/` whose answer is `ok`.
fn page() -> Request {
    Request::get(PathAndQuery::from_static("/")).expecting_body(Body::Exact("ok".into()))
}

/// The address of a server that hands each connection to `serve`, for as long as the test lasts.
async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> std::net::SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Reads the head of a request (and nothing else, as these clients do not pipeline); false where
/// the client closed instead.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(count) if count > 0 => {}
            _ => return false,
        }
    }
    true
}

/// Answers each request of a connection with `answer`.
async fn answer_all(mut stream: TcpStream, answer: &'static str) {
    while read_request(&mut stream).await && stream.write_all(answer.as_bytes()).await.is_ok() {}
}

/// One client of a kind that sends `count` requests to `address`.
async fn send(address: std::net::SocketAddr, kind: Kind, request: &Request, count: u64) -> Report {
    let report = start(Mix::new(address).clients(kind, 1, request).at_most(count)).finish().await;
    assert_eq!(report.sent(), count);
    assert_eq!(report.total().ok + report.lost(), count);
    assert_eq!(report.failures().len() as u64, report.lost().min(50));
    report
}
