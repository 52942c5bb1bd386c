//! Two instances of an app, of which the one helps the other.

use std::path::Path;

use tokio::io::AsyncReadExt as _;

use super::*;
use crate::server::control::ControlFolder;
use crate::server::figures::Figures;
use crate::server::relay;
use crate::server::router::{self, Health};
use crate::server::sockets::SocketFile;
use crate::unit::InstanceId;

/// An instance of an app with two: a control socket, a relay door, and a front.
pub(super) struct Instance {
    pub(super) fronted: Fronted,
    _files: [SocketFile; 2],
}

pub(super) fn instance(folder: &Path, id: u16) -> Instance {
    let id: InstanceId = id.to_string().parse().unwrap();
    let fronted = Fronted::closed(wide(), |_| {}, Some(Siblings::new(folder, id)));
    let figures = Arc::new(Figures::new(&settings(), Some(id), fronted.drain.clone()));
    let host = |handler| Arc::new(host(handler, Drain::default(), wide()));
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
async fn what_was_in_flight_in_a_crash_goes_to_no_sibling_but_to_its_own_app_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = [instance(folder.path(), 1), instance(folder.path(), 2)];
    let other = App::start().await;
    two.fronted.open(1, &other);
    let (crashing, mut asked) = stuck().await;
    let life = one.fronted.open(1, &crashing);
    let mut client = one.fronted.connect().await;
    client.send("GET /g HTTP/1.1\r\nHost: x\r\n\r\n").await;
    asked.recv().await.unwrap();
    one.fronted.route.close();
    life.end();
    crashing.kill().await;
    let own = App::with(answers("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown")).await;
    one.fronted.open(2, &own);
    assert_eq!(client.answer().await.body, "own");
    assert_eq!(own.seen()[0].line(), "GET /g");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn an_app_that_dies_of_what_a_sibling_brought_has_it_once_more_and_nobody_else_has() {
    let folder = tempfile::tempdir().unwrap();
    let instances = [1, 2, 3].map(|id| instance(folder.path(), id));
    let [one, two, three] = &instances;
    let mut client = one.fronted.connect().await;
    let (first, mut asked) = stuck().await;
    let mut life = two.fronted.open(1, &first);
    client.send("GET /kill HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut dying = first;
    for number in 2..=3 {
        asked.recv().await.unwrap();
        // From here on the others could take it.
        let others = [App::start().await, App::start().await];
        if number == 3 {
            one.fronted.open(1, &others[0]);
            three.fronted.open(1, &others[1]);
        }
        two.fronted.route.close();
        life.end();
        dying.kill().await;
        let (next, next_asked) = stuck().await;
        life = two.fronted.open(number, &next);
        (dying, asked) = (next, next_asked);
        if number == 3 {
            let answer = client.answer().await;
            assert_eq!(answer.code(), 502);
            assert!(answer.body.contains("in hand, at the second attempt ("), "{answer:?}");
            assert!(others.iter().all(|other| other.seen().is_empty()));
            assert!(dying.seen().is_empty());
        }
    }
}

#[tokio::test]
async fn what_a_sibling_lost_goes_to_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = [instance(folder.path(), 1), instance(folder.path(), 2)];
    // Its door is another's, who takes the request and closes.
    let door = two.fronted.front.relay_door().unwrap();
    std::fs::remove_file(&door).unwrap();
    let listener = tokio::net::UnixListener::bind(&door).unwrap();
    two.fronted.open(1, &App::start().await);
    let taking = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut bytes).await.unwrap();
        }
        drop(stream);
        let _ = listener.accept().await;
    });
    let mut client = one.fronted.connect().await;
    let answer = client.get("/").await;
    assert_eq!(answer.code(), 502);
    let says = "the instance that had the request broke off without an answer (";
    assert!(answer.body.contains(says), "{answer:?}");
    assert!(!taking.is_finished());
    taking.abort();
}
