use super::app::{App, Asked, Deed};
use super::*;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::super::control::ControlFolder;
use super::super::figures::Figures;
use super::super::relay;
use super::super::router::{self, Health};
use crate::config::Settings;
use crate::front::{Entry, Front, Generation, Route, Siblings};
use crate::unit::InstanceId;
use crate::upstream::Address;

/// A front of an app, on a port of its own.
pub(super) struct Fronted {
    server: Server,
    route: Arc<Route>,
    front: Arc<Front>,
}

impl Deref for Fronted {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Fronted {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

fn settings() -> Settings {
    let mut settings = Settings::new("x".parse().unwrap(), PathBuf::from("/"));
    settings.limits.hold = NEVER;
    settings.reload.linger = SOON;
    settings
}

impl Fronted {
    pub(super) fn of(app: &App) -> Self {
        Self::with(app, wide(), |_| {})
    }

    pub(super) fn with(app: &App, bounds: Bounds, change: impl FnOnce(&mut Settings)) -> Self {
        let fronted = Self::closed(bounds, change, None);
        fronted.open(1, app);
        fronted
    }

    /// One whose app is not there yet.
    fn closed(
        bounds: Bounds,
        change: impl FnOnce(&mut Settings),
        siblings: Option<Siblings>,
    ) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let route = Arc::new(Route::default());
        let mut front = None;
        let handler = |drain: &Drain| {
            let made = Front::new(&settings, Arc::clone(&route), siblings, drain.token());
            Handler::Front(Arc::clone(front.insert(Arc::new(made))), Entry::Public)
        };
        let server = Server::with(handler, bounds, settings.reload.linger);
        Self { server, route, front: front.unwrap() }
    }

    fn open(&self, number: u32, app: &App) -> Arc<Generation> {
        let generation = Generation::new(number, Address::Tcp(app.address));
        self.route.open(Arc::clone(&generation));
        generation
    }
}

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

fn answers(text: &'static str) -> impl Fn(&Asked) -> Deed + Send + Sync + 'static {
    move |_| Deed::Answer(text.into())
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

/// An app that says when it is asked, and never answers.
async fn stuck() -> (App, mpsc::UnboundedReceiver<()>) {
    let (tell, told) = mpsc::unbounded_channel();
    let app = App::with(move |_| {
        tell.send(()).unwrap();
        Deed::Answer(Vec::new())
    });
    (app.await, told)
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

/// An instance of an app with two: a control socket, a relay door, and a front.
struct Instance {
    fronted: Fronted,
    _files: [super::super::sockets::SocketFile; 2],
}

fn instance(folder: &Path, id: u16) -> Instance {
    let id: InstanceId = id.to_string().parse().unwrap();
    let fronted = Fronted::closed(wide(), |_| {}, Some(Siblings::new(folder, id)));
    let figures = Arc::new(Figures::new(&settings(), Some(id), fronted.drain.clone()));
    let host = |handler| {
        let (answered, crowd) = (Arc::default(), Crowd::default());
        let drain = Drain::default();
        Arc::new(Host { handler, answered, drain, linger: NEVER, bounds: wide(), crowd })
    };
    let health = Health::new(figures, Arc::default());
    let control =
        ControlFolder::new(folder, id).serve(host(Handler::Router(router::control(health))));
    let relayed = Handler::Front(Arc::clone(&fronted.front), Entry::Relay);
    let relay = relay::serve(&fronted.front.relay_door().unwrap(), host(relayed));
    Instance { _files: [control.unwrap(), relay.unwrap()], fronted }
}

#[tokio::test]
async fn a_sibling_takes_over_what_an_app_that_is_down_cannot_answer() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = [instance(folder.path(), 1), instance(folder.path(), 2)];
    let app = App::start().await;
    two.fronted.open(1, &app);
    let mut client = one.fronted.connect().await;
    client
        .send("POST /p HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\r\nContent-Length: 2\r\n\r\nhi")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.body.as_str(), answer.header("x-request-id")), ("ok", Some("a")));
    let asked = app.seen().remove(0);
    assert_eq!((asked.line(), &asked.body[..]), ("POST /p", &b"hi"[..]));
    assert_eq!(asked.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(asked.all("x-request-id"), ["a"]);

    // When both are down, the request waits for its own.
    two.fronted.route.close();
    client.send("POST /q HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nho").await;
    let own = App::start().await;
    one.fronted.open(1, &own);
    assert_eq!(client.answer().await.body, "ok");
    assert_eq!(own.seen()[0].body, b"ho");
    assert_eq!(app.seen().len(), 1);
}

#[tokio::test]
async fn what_was_in_flight_in_a_crash_goes_to_a_sibling() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = [instance(folder.path(), 1), instance(folder.path(), 2)];
    let app = App::start().await;
    two.fronted.open(1, &app);
    let (crashing, mut asked) = stuck().await;
    one.fronted.open(1, &crashing);
    let mut client = one.fronted.connect().await;
    client.send("GET /g HTTP/1.1\r\nHost: x\r\n\r\n").await;
    asked.recv().await.unwrap();
    crashing.kill().await;
    assert_eq!(client.answer().await.body, "ok");
    assert_eq!(app.seen()[0].line(), "GET /g");
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
