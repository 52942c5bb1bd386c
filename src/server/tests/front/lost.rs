//! Requests to an app that is down, and those that get lost on their way to it.

use super::*;

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
