use super::*;

/// A server with room for so many.
fn full_with(connections: usize, router: Router) -> Server {
    Server::start(router, Bounds { connections, ..wide() }, NEVER)
}

#[tokio::test]
async fn when_all_places_are_taken_the_one_that_waited_longest_gives_way() {
    let bounds = Bounds { connections: 2, park: Duration::ZERO, ..wide() };
    let server = Server::start(Gate::router().0, bounds, NEVER);
    let mut first = server.connect().await;
    first.get("/").await;
    let mut second = server.connect().await;
    second.get("/").await;
    let mut third = server.connect().await;
    assert_eq!(third.get("/").await.code(), 200);
    assert_eq!(first.rest().await, "");
    assert_eq!(third.get("/").await.code(), 200);
}

#[tokio::test]
async fn connections_that_say_nothing_shut_nobody_out() {
    let server = full_with(3, Gate::router().0);
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(server.connect().await);
    }
    assert_eq!(server.connect().await.get("/").await.code(), 200);
    assert!(server.door.open() <= 3);
}

#[tokio::test]
async fn who_is_being_answered_keeps_its_place() {
    let (router, gate) = Gate::router();
    let server = full_with(1, router);
    let mut working = server.connect().await;
    working.send("GET /gated HTTP/1.1\r\nHost: x\r\n\r\n").await;
    gate.begun.notified().await;
    let mut waiting = server.connect().await;
    waiting.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    gate.open.notify_one();
    assert_eq!(working.answer().await.body, "at last");
    drop(working);
    assert_eq!(waiting.answer().await.code(), 200);
}

#[tokio::test]
async fn heads_that_never_end_hold_their_places_for_a_short_time_only() {
    let bounds = Bounds { connections: 3, head: SOON, farewell: SOON, ..wide() };
    let server = Server::start(Gate::router().0, bounds, NEVER);
    let mut loris = Vec::new();
    for _ in 0..9 {
        let mut client = server.connect().await;
        client.send("GET / HTTP/1.1\r\nX: ").await;
        loris.push(client);
    }
    assert_eq!(server.connect().await.get("/").await.code(), 200);
}
