//! What a connection is told while nobody serves.
//!
//! HTTP/1 gets 503 with the time of the next try, whatever it asks, and the end of the connection; HTTP/2 the same
//! and GOAWAY. What is neither, such as the protocol of an app in `mode = "inherit"` or a client that says
//! nothing, is closed without a word: there is nothing that it would understand.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// What every HTTP/2 connection begins with (RFC 9113, 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Most that is read of a request before it is answered.
const HEAD: usize = 4 << 10;

/// How long a client may take to send its request, and then to take its answer, and then to hang up. One that has a
/// request sends it with its connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The same where many are at it: a few round trips on this continent, and whoever is silent on purpose keeps nobody
/// from an answer for long.
pub(super) const HURRY: Duration = Duration::from_millis(100);

/// How long the streams of an HTTP/2 connection may be opened, by the patience.
const H2_PART: u32 = 10;

/// Streams of an HTTP/2 connection at the same time, their windows and buffers, in bytes: what is sent is one
/// sentence, and what comes is not read.
const H2_STREAMS: u32 = 8;
const H2_BUFFER: u32 = 16 << 10;

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http1 { is_head: bool },
    Http2,
    Other,
}

/// Tells a client that nobody serves, and to come back in `retry_after` seconds.
pub(super) async fn turn_away<S>(mut stream: S, retry_after: u64, patience: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut head = Vec::new();
    // What has come until then has to do.
    let _ = timeout(patience, read_head(&mut stream, &mut head)).await;
    match speaks(&head) {
        Speaks::Http1 { is_head } => {
            let answer = http1(retry_after, is_head);
            if let Ok(Ok(())) = timeout(patience, stream.write_all(answer.as_bytes())).await {
                say_farewell(stream, patience).await;
            }
        }
        Speaks::Http2 => {
            let _ =
                timeout(2 * patience, http2(head, stream, retry_after, patience / H2_PART)).await;
        }
        Speaks::Other => say_farewell(stream, patience).await,
    }
}

/// Reads until the head of a request is whole, or enough of it has come.
async fn read_head(stream: &mut (impl AsyncRead + Unpin), head: &mut Vec<u8>) {
    head.reserve(HEAD);
    while head.len() < HEAD && !is_whole(head) {
        let left = u64::try_from(HEAD - head.len()).unwrap_or(0);
        if !matches!((&mut *stream).take(left).read_buf(head).await, Ok(1..)) {
            return;
        }
    }
}

/// Whether no more has to be read: the head of a request, or the preface of HTTP/2, or neither of the two.
fn is_whole(head: &[u8]) -> bool {
    let common = head.len().min(H2_PREFACE.len());
    if head.starts_with(b"PRI ") && head[..common] == H2_PREFACE[..common] {
        return common == H2_PREFACE.len();
    }
    speaks(head) == Speaks::Other && !head.is_empty()
        || head.windows(4).any(|end| end == b"\r\n\r\n")
}

/// What the first bytes tell: a request of HTTP/1 begins with a method in capitals.
fn speaks(head: &[u8]) -> Speaks {
    if head.starts_with(H2_PREFACE) {
        return Speaks::Http2;
    }
    let method = head.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    match head.get(method) {
        _ if method == 0 => Speaks::Other,
        Some(b' ') | None => Speaks::Http1 { is_head: head.starts_with(b"HEAD ") },
        Some(_) => Speaks::Other,
    }
}

/// The one sentence.
fn sentence(retry_after: u64) -> String {
    format!(
        "503 Service Unavailable: the app crashed too often; it is tried again in {retry_after} s.\n"
    )
}

fn http1(retry_after: u64, is_head: bool) -> String {
    let body = sentence(retry_after);
    let length = body.len();
    let body = if is_head { "" } else { &body };
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: {retry_after}\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {length}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Answers the streams of a connection until its client leaves, or has had the time to open some. `first`: what was
/// read of it.
async fn http2<S>(first: Vec<u8>, stream: S, retry_after: u64, opens: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = move |request: Request<Incoming>| {
        let is_head = *request.method() == Method::HEAD;
        let body = if is_head { String::new() } else { sentence(retry_after) };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(RETRY_AFTER, retry_after.into());
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, text);
        std::future::ready(Ok::<_, Infallible>(response))
    };
    let (read, write) = tokio::io::split(stream);
    let io = TokioIo::new(tokio::io::join(std::io::Cursor::new(first).chain(read), write));
    let mut connection = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(H2_STREAMS)
            .initial_stream_window_size(H2_BUFFER)
            .initial_connection_window_size(H2_BUFFER)
            .max_header_list_size(H2_BUFFER)
            .max_send_buf_size(H2_BUFFER as usize)
            .serve_connection(io, service_fn(answer))
    );
    // GOAWAY in two steps around a ping: what the client has sent by then is answered.
    let begun = timeout(opens, connection.as_mut()).await;
    if begun.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// Ends a connection so that the client can read what was sent: closing a socket while the client still sends
/// would reset the connection (RFC 9112, 9.6).
async fn say_farewell(mut stream: impl AsyncRead + AsyncWrite + Unpin, patience: Duration) {
    let farewell = async {
        stream.shutdown().await?;
        let mut scrap = [0; 1 << 10];
        while stream.read(&mut scrap).await? > 0 {}
        std::io::Result::Ok(())
    };
    // However it ends, the connection is over.
    let _ = timeout(patience, farewell).await;
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Empty};
    use tokio::io::duplex;

    use super::*;

    /// What comes back of these bytes, until the end.
    async fn told(sent: &[u8]) -> String {
        let (mut client, server) = duplex(64 << 10);
        let serving = tokio::spawn(turn_away(server, 42, PATIENCE));
        client.write_all(sent).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        drop(client);
        serving.await.unwrap();
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_gets_503_with_the_time_of_the_next_try_and_the_end_of_its_connection() {
        let long = [b"POST / HTTP/1.1\r\nCookie: ".as_slice(), &[b'x'; 10_000]].concat();
        for request in [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(),
            b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfour",
            b"GET / HTTP/1.1\r\nHost: half",
            b"OPTI",
            b"P",
            &long,
        ] {
            let answer = told(request).await;
            assert!(
                answer.starts_with("HTTP/1.1 503 Service Unavailable\r\nretry-after: 42\r\n"),
                "{answer}"
            );
            assert!(answer.contains("\r\nconnection: close\r\n"));
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{answer}");
            assert!(body.ends_with("the app crashed too often; it is tried again in 42 s.\n"));
        }
        let head = told(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 503 ") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_request_is_closed_without_a_word() {
        for sent in [
            b"".as_slice(),
            b"\x16\x03\x01\x02\0",
            b"*1\r\n$4\r\nPING\r\n",
            b"hello\r\n",
            b"EHLO-x",
        ] {
            assert_eq!(told(sent).await, "", "{sent:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_hangs_up_is_left() {
        let (mut client, server) = duplex(64 << 10);
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        // Ends although the client neither reads nor closes.
        turn_away(server, 1, HURRY).await;
        let (mut mute, server) = duplex(16);
        mute.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        turn_away(server, 1, HURRY).await;
    }

    #[tokio::test]
    async fn each_stream_of_http2_is_told_the_same_and_the_connection_ends() {
        let (client, server) = duplex(64 << 10);
        let serving = tokio::spawn(turn_away(server, 42, PATIENCE));
        let io = TokioIo::new(client);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = || Request::get("http://a/").body(Empty::<Bytes>::new()).unwrap();
        let both =
            tokio::join!(sender.send_request(request()), sender.clone().send_request(request()));
        for response in [both.0.unwrap(), both.1.unwrap()] {
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[RETRY_AFTER], "42");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, sentence(42));
        }
        // Its GOAWAY, while the client would go on.
        connection.await.unwrap().unwrap();
        serving.await.unwrap();
    }
}
