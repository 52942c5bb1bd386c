use super::*;

#[tokio::test]
async fn a_head_that_does_not_arrive_in_time_is_answered_with_408() {
    let bounds = Bounds { head: SOON, ..wide() };
    let server = Server::start(Gate::router().0, bounds, NEVER);
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHo").await;
    assert_eq!(client.answer().await.code(), 408);
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_head_that_drips_is_no_reason_for_more_time() {
    let bounds = Bounds { head: SOON, ..wide() };
    let server = Server::start(Gate::router().0, bounds, NEVER);
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nCookie: ").await;
    // A client that by its nature pauses: a byte each time a tenth of the bound has passed.
    let mut drip = tokio::time::interval(SOON / 10);
    let answer = loop {
        tokio::select! {
            biased;
            answer = client.answer() => break answer,
            _ = drip.tick() => {}
        }
        client.send("a").await;
    };
    assert_eq!(answer.code(), 408);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let bounds = Bounds { head: SOON, ..wide() };
    let server = Server::start(Gate::router().0, bounds, NEVER);
    assert_eq!(server.connect().await.rest().await, "");
}

#[tokio::test]
async fn an_idle_connection_has_more_time_than_a_head() {
    let bounds = Bounds { head: SOON, ..wide() };
    let server = Server::start(Gate::router().0, bounds, NEVER);
    let mut idle = server.connect().await;
    idle.get("/").await;
    // The bound of a head has passed when one of them has met it.
    assert_eq!(server.connect().await.rest().await, "");
    assert_eq!(idle.get("/").await.code(), 200);

    let bounds = Bounds { park: SOON, keep_alive: SOON, ..wide() };
    let server = Server::start(Gate::router().0, bounds, NEVER);
    let mut idle = server.connect().await;
    idle.get("/").await;
    assert_eq!(idle.rest().await, "");
}

#[tokio::test]
async fn a_parked_connection_goes_on_as_if_nothing_had_been() {
    let bounds = Bounds { park: Duration::ZERO, ..wide() };
    let server = Server::start(Gate::router().0, bounds, NEVER);
    let mut client = server.connect().await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.body, "hello");
    }
    // In pieces, and two at once.
    client.send("GET / HT").await;
    client.send("TP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n").await;
    assert_eq!(client.answer().await.body, "hello");
    client.send("Host: x\r\n\r\n").await;
    assert_eq!(client.answer().await.body, "hello");
}

#[tokio::test]
async fn a_client_that_does_not_read_its_response_is_cut() {
    let large = "x".repeat(16 << 20);
    let router = Router::new().route("/", get(async move || large));
    let server = Server::start(router, Bounds { stall: SOON, ..wide() }, NEVER);
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    client.head().await;
    server.drained().await;
}

#[tokio::test]
async fn at_the_cap_the_next_connection_waits_for_one_to_end() {
    let server = Server::start(Gate::router().0, Bounds { connections: 1, ..wide() }, NEVER);
    let mut first = server.connect().await;
    first.get("/").await;
    let mut second = server.connect().await;
    second.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    first.get("/").await;
    assert_eq!(server.door.open(), 1);
    drop(first);
    assert_eq!(second.answer().await.code(), 200);
}

#[tokio::test]
async fn a_head_above_the_bound_is_refused_and_the_client_can_read_why() {
    let server = Server::start(Gate::router().0, wide(), NEVER);
    let mut client = server.connect().await;
    let cookie = "c".repeat(super::super::bounds::HEAD_SIZE);
    client.send(format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n")).await;
    assert_eq!(client.answer().await.code(), 431);
}

#[tokio::test]
async fn a_client_may_close_its_sending_side_after_the_request() {
    let (router, gate) = Gate::router();
    let server = Server::start(router, wide(), NEVER);
    let mut client = server.connect().await;
    client.send("GET /gated HTTP/1.1\r\nHost: x\r\n\r\n").await;
    gate.begun.notified().await;
    client.close_sending().await;
    gate.open.notify_one();
    assert_eq!(client.answer().await.body, "at last");
}

#[tokio::test]
async fn a_client_that_has_closed_its_side_and_hears_nothing_for_too_long_counts_as_gone() {
    let (router, gate) = Gate::router();
    let server = Server::start(router, Bounds { hang_up: SOON, ..wide() }, NEVER);
    let mut client = server.connect().await;
    client.send("GET /gated HTTP/1.1\r\nHost: x\r\n\r\n").await;
    gate.begun.notified().await;
    client.close_sending().await;
    server.drained().await;
    assert_eq!(client.rest_of_bytes().await, b"");
}
