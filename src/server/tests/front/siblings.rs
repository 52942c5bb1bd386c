//! Two instances of an app, of which the one helps the other.

use std::path::Path;

use super::*;
use crate::server::control::ControlFolder;
use crate::server::figures::Figures;
use crate::server::relay;
use crate::server::router::{self, Health};
use crate::server::sockets::SocketFile;
use crate::unit::InstanceId;

/// An instance of an app with two: a control socket, a relay door, and a front.
struct Instance {
    fronted: Fronted,
    _files: [SocketFile; 2],
}

fn instance(folder: &Path, id: u16) -> Instance {
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
