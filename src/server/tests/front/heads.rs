//! What of the heads and of the form of requests and answers is passed on.

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

/// A request with these header lines, as the app has got it.
async fn asked(headers: &str, change: impl FnOnce(&mut Settings)) -> Asked {
    let app = App::start().await;
    let server = Fronted::with(&app, wide(), change);
    assert_eq!(server.connect().await.ask("GET", "/a?b", headers).await.code(), 200);
    app.seen().remove(0)
}

#[tokio::test]
async fn the_app_learns_who_asks() {
    let asked = asked("Cookie: a=1\r\n", |settings| settings.front.trusted_proxies.clear()).await;
    assert_eq!(asked.line(), "GET /a?b");
    assert_eq!(asked.all("host"), ["x"]);
    assert_eq!(asked.all("cookie"), ["a=1"]);
    assert_eq!(asked.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(asked.all("x-forwarded-proto"), ["http"]);
    assert_eq!(asked.all("x-forwarded-host"), ["x"]);
}

#[tokio::test]
async fn who_is_trusted_may_say_who_asks() {
    let said = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n";
    let believed = asked(said, |_| {}).await;
    assert_eq!(believed.all("x-forwarded-for"), ["6.6.6.6, 127.0.0.1"]);
    assert_eq!(believed.all("x-forwarded-proto"), ["https"]);
    let not = asked(said, |settings| settings.front.trusted_proxies.clear()).await;
    assert_eq!(not.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(not.all("x-forwarded-proto"), ["http"]);
}

#[tokio::test]
async fn one_id_is_in_the_request_and_in_the_answer() {
    let app = App::start().await;
    let server = Fronted::of(&app);
    let mut client = server.connect().await;
    let made = client.get("/").await;
    let kept = client.ask("GET", "/", "X-Request-Id: abc-1\r\n").await;
    let seen = app.seen();
    assert_eq!(seen[0].all("x-request-id"), [made.header("x-request-id").unwrap()]);
    assert_eq!(seen[1].all("x-request-id"), ["abc-1"]);
    assert_eq!(kept.header("x-request-id"), Some("abc-1"));
}

#[tokio::test]
async fn answers_without_a_body_are_passed_on_as_such() {
    for (method, text, length) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Some("5")),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", None),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", None),
    ] {
        let app = App::with(answers(text)).await;
        let server = Fronted::of(&app);
        let mut client = server.connect().await;
        for _ in 0..2 {
            client.send(format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n")).await;
            let answer = client.head().await;
            assert_eq!(answer.head.split_once(' ').unwrap().1[..3], text[9..12]);
            if length.is_some() {
                assert_eq!(answer.header("content-length"), length, "{text}");
            }
            assert_eq!(answer.header("transfer-encoding"), None, "{text}");
        }
    }
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
    5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n";

#[tokio::test]
async fn an_old_client_gets_a_chunked_answer_in_one_piece() {
    let app = App::with(answers(CHUNKED)).await;
    let server = Fronted::of(&app);
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.head().await.header("transfer-encoding"), None);
    assert_eq!(client.rest().await, "hello");
}

#[tokio::test]
async fn trailers_go_to_a_client_that_takes_them() {
    let app = App::with(answers(CHUNKED)).await;
    let server = Fronted::of(&app);
    for (headers, end) in
        [("", "0\r\n\r\n"), ("TE: trailers\r\nConnection: te\r\n", "0\r\nx-sum: 1\r\n\r\n")]
    {
        let mut client = server.connect().await;
        client.send(format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await;
        client.close_sending().await;
        let answer = client.rest().await;
        assert!(answer.to_ascii_lowercase().ends_with(&format!("hello\r\n{end}")), "{answer:?}");
    }
}

#[tokio::test]
async fn trailers_of_a_request_say_nothing_that_its_head_may_not_say() {
    const LINES: [(&str, &str); 8] = [
        ("checksum", "7"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x-request-id", "mine"),
        ("host", "evil"),
        ("authorization", "Basic eA=="),
    ];
    let app = App::start().await;
    // Whoever asks: the loopback is trusted here.
    let server = Fronted::of(&app);
    let lines = LINES.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    let mut client = server.connect().await;
    let head =
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: checksum\r\n\r\n";
    client.send(format!("{head}2\r\nhi\r\n0\r\n{lines}\r\n")).await;
    assert_eq!(client.answer().await.code(), 200);

    let stream = server.connect().await.into_stream();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut trailers = http::HeaderMap::new();
    for (name, value) in LINES {
        trailers.append(name, value.parse().unwrap());
    }
    let frames = [Frame::data(Bytes::from("hi")), Frame::trailers(trailers)];
    let frames = frames.map(Ok::<_, std::io::Error>);
    let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
    let request = http::Request::post("http://x/").body(body).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);

    for asked in app.seen() {
        assert_eq!((&asked.body[..], asked.trailers.as_str()), (&b"hi"[..], "checksum: 7"));
    }
    assert_eq!(app.seen().len(), 2);
}

#[tokio::test]
async fn trailers_of_an_answer_say_nothing_about_the_app_s_connection() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Keep-Alive\r\n\r\n\
        5\r\nhello\r\n0\r\nX-Sum: 1\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=1\r\nUpgrade: x\r\n\r\n";
    let app = App::with(answers(text)).await;
    let server = Fronted::of(&app);
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: te, close\r\n\r\n").await;
    let answer = client.rest().await.to_ascii_lowercase();
    assert!(answer.ends_with("hello\r\n0\r\nx-sum: 1\r\n\r\n"), "{answer:?}");

    let stream = server.connect().await.into_stream();
    let (mut sender, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("http://x/").header("te", "trailers").body(Empty::new());
    let response = sender.send_request(request.unwrap()).await.unwrap();
    let collected = response.into_body().collect().await.unwrap();
    let trailers = collected.trailers().unwrap();
    assert_eq!((trailers.len(), &trailers["x-sum"]), (1, &http::HeaderValue::from_static("1")));
}

#[tokio::test]
async fn what_is_between_app_and_front_does_not_reach_the_client() {
    let text = "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Own\r\nX-Own: 1\r\n\
        Keep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok";
    let app = App::with(answers(text)).await;
    let server = Fronted::of(&app);
    let answer = server.connect().await.get("/").await;
    for name in ["connection", "keep-alive", "x-own"] {
        assert_eq!(answer.header(name), None);
    }
    assert!(answer.header("date").is_some());
    assert_eq!(answer.body, "ok");
}

#[tokio::test]
async fn http2_becomes_plain_http1_for_the_app() {
    let app = App::start().await;
    let server = Fronted::of(&app);
    let stream = server.connect().await.into_stream();
    let (mut sender, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("http://x:81/a?b")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(Empty::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    let asked = app.seen().remove(0);
    assert_eq!(asked.line(), "GET /a?b");
    assert_eq!(asked.all("host"), ["x:81"]);
    assert_eq!(asked.all("cookie"), ["a=1; b=2"]);
    assert_eq!(asked.all("x-forwarded-host"), ["x:81"]);
}
