//! Requests to an app that is down, and those that get lost on their way to it.

use super::*;
use crate::server::tests::client::Answer;

#[tokio::test]
async fn a_request_to_an_app_that_is_down_is_held_until_it_is_back() {
    let server = Fronted::closed(wide(), |_| {}, None);
    let mut client = server.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi").await;
    let app = App::start().await;
    server.open(1, &app);
    assert_eq!(client.answer().await.body, "ok");
    assert_eq!(app.seen()[0].body, b"hi");
}

#[tokio::test]
async fn a_request_is_not_held_for_ever() {
    let server = Fronted::closed(wide(), |settings| settings.limits.hold = SOON, None);
    let mut client = server.connect().await;
    let answer = client.get("/").await;
    assert_eq!((answer.code(), answer.header("retry-after")), (503, Some("1")));
    assert!(answer.body.contains(answer.header("x-request-id").unwrap()), "{answer:?}");
    // The connection is as good as before.
    let app = App::start().await;
    server.open(1, &app);
    assert_eq!(client.get("/").await.code(), 200);
}

#[tokio::test]
async fn what_was_in_flight_in_a_crash_goes_again_if_twice_is_as_good_as_once() {
    for (request, code) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", 200),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", 502),
    ] {
        let (crashing, mut asked) = stuck().await;
        let server = Fronted::of(&crashing);
        let mut client = server.connect().await;
        client.send(request).await;
        asked.recv().await.unwrap();
        crashing.kill().await;
        let app = App::start().await;
        server.open(2, &app);
        let answer = client.answer().await;
        assert_eq!(answer.code(), code, "{request}");
        if code == 200 {
            let body = request.split("\r\n\r\n").nth(1).unwrap();
            assert_eq!(app.seen()[0].body, body.as_bytes());
        } else {
            assert!(app.seen().is_empty());
        }
    }
}

#[tokio::test]
async fn a_connection_that_the_app_has_closed_costs_no_request() {
    // Without a word, where the request may be repeated; and with one.
    for (method, head) in [("GET", ""), ("POST", "Connection: close\r\n")] {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}Content-Length: 2\r\n\r\nok");
        let app = App::with(move |_| Deed::Close(answer.clone().into())).await;
        let server = Fronted::of(&app);
        let mut client = server.connect().await;
        for _ in 0..20 {
            client.send(format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n")).await;
            assert_eq!(client.answer().await.code(), 200);
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_cut_and_not_repeated() {
    let (give, mut given) = mpsc::unbounded_channel();
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    let app = App::with(move |_| Deed::Handed(half.into(), give.clone())).await;
    let server = Fronted::of(&app);
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    client.head().await;
    assert_eq!(client.bytes(4).await, b"half");
    drop(given.recv().await.unwrap());
    assert_eq!(client.rest().await, "");
    assert_eq!(app.seen().len(), 1);
}

/// What became of a request to an app that answers each one so: the answer, and how often it was asked.
async fn outcome(
    request: &str,
    deed: impl Fn(&Asked) -> Deed + Send + Sync + 'static,
) -> (Answer, usize) {
    let app = App::with(deed).await;
    let server = Fronted::of(&app);
    let mut client = server.connect().await;
    client.send(request).await;
    let answer = client.answer().await;
    (answer, app.seen().len())
}

#[tokio::test]
async fn an_app_that_closes_without_an_answer_gets_a_request_twice_at_the_most() {
    for (request, hits, says) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 2, "without an answer, twice"),
        ("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", 2, "without an answer, twice"),
        ("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", 2, "without an answer, twice"),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", 1, "without an answer"),
    ] {
        let (answer, seen) = outcome(request, |_| Deed::Close(Vec::new())).await;
        assert_eq!((answer.code(), seen), (502, hits), "{request}");
        assert!(
            answer.body.contains(&format!("the app closed the connection {says} (")),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_answer_is_told_at_once_and_never_asked_for_again() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let (lengths, both) = ("Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n");
    for (bytes, closes, says) in [
        ("220 mail.example.org ESMTP\r\n".to_owned(), false, "its head cannot be read"),
        ("\0\u{1}\u{2}".to_owned(), false, "its head cannot be read"),
        (format!("{ok}X: {}", "x".repeat(70_000)), false, "its head is too large"),
        ("\r\n".repeat(40_000), false, "its head is too large"),
        (format!("{ok}{}", "X: y\r\n".repeat(300)), false, "it has too many headers"),
        (format!("{ok}{lengths}Content-Length: 2\r\n\r\nx"), false, "it has two lengths"),
        (format!("{ok}{lengths}{both}\r\n"), false, "it has a length and a transfer coding"),
        ("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17), false, "it never comes to its end"),
        ("HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000), false, "it never comes to its end"),
        (format!("{ok}X: "), true, "closed the connection in the middle of its answer"),
        ("HTTP/1.1 103 Early Hints\r\n\r\n".to_owned(), true, "in the middle of its answer"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(), false, "not asked for"),
    ] {
        let deed = move |_: &Asked| {
            let bytes = bytes.clone().into_bytes();
            if closes { Deed::Close(bytes) } else { Deed::Answer(bytes) }
        };
        let (answer, seen) = outcome("GET / HTTP/1.1\r\nHost: x\r\n\r\n", deed).await;
        assert_eq!((answer.code(), seen), (502, 1), "{says}");
        assert!(answer.body.contains(says), "{answer:?}");
    }
}

#[tokio::test]
async fn what_breaks_off_in_the_body_is_cut_off_behind_what_came_before() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    for (bytes, comes) in [
        (format!("{ok}{chunked}zz\r\nhel"), " GMT\r\n\r\n"),
        (format!("{ok}{chunked}5\r\nhello\r\nzz\r\n"), "5\r\nhello\r\n"),
        (format!("{ok}{chunked}0\r\nX: {}", "x".repeat(100_000)), " GMT\r\n\r\n"),
        (format!("{ok}Content-Length: 50\r\n\r\nhello"), "\r\n\r\nhello"),
    ] {
        for method in ["GET", "POST"] {
            let bytes = bytes.clone().into_bytes();
            let app = App::with(move |_| Deed::Close(bytes.clone())).await;
            let server = Fronted::of(&app);
            let mut client = server.connect().await;
            let length = "Content-Length: 0\r\n";
            client.send(format!("{method} / HTTP/1.1\r\nHost: x\r\n{length}\r\n")).await;
            let came = String::from_utf8(client.rest_of_bytes().await).unwrap();
            assert!(came.starts_with(ok) && came.ends_with(comes), "{method} {came:?}");
        }
    }
}

#[tokio::test]
async fn a_request_that_kills_its_app_gets_one_more_of_it_and_no_third() {
    let server = Fronted::closed(wide(), |_| {}, None);
    let mut client = server.connect().await;
    client.send("GET /kill?token=1 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    for number in 1..=2 {
        let (app, mut asked) = stuck().await;
        let life = server.open(number, &app);
        asked.recv().await.unwrap();
        server.route.close();
        life.end();
        app.kill().await;
    }
    let third = App::start().await;
    server.open(3, &third);
    let answer = client.answer().await;
    assert_eq!(answer.code(), 502);
    let says = "the app ended with the request in hand, at the second attempt (";
    assert!(answer.body.contains(says), "{answer:?}");
    assert!(third.seen().is_empty());
}

#[tokio::test]
async fn a_request_whose_app_died_is_not_held_for_ever() {
    let (app, mut asked) = stuck().await;
    let server = Fronted::with(&app, wide(), |settings| settings.limits.hold = SOON);
    let life = server.open(1, &app);
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    asked.recv().await.unwrap();
    server.route.close();
    life.end();
    app.kill().await;
    let answer = client.answer().await;
    assert_eq!(answer.code(), 502);
    assert!(answer.body.contains("in hand, and is not back yet ("), "{answer:?}");
}

#[tokio::test]
async fn an_app_that_takes_no_connections_is_not_said_to_be_down() {
    let app = App::start().await;
    let address = app.address;
    app.kill().await;
    let server = Fronted::closed(wide(), |settings| settings.limits.hold = SOON, None);
    server.route.open(Generation::new(1, Address::Tcp(address)));
    let answer = server.connect().await.get("/").await;
    assert_eq!(answer.code(), 503);
    assert!(answer.body.contains("the app takes no connections at the moment ("), "{answer:?}");
}
