use std::os::fd::AsFd as _;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use super::*;
use crate::server::handoff::wire::{self, GO, MOST, OFFER};
use crate::server::handoff::{self, HandOver};
use crate::server::sockets::SocketFile;

/// A folder with the doors of siblings.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn control(&self, id: &str) -> PathBuf {
        self.0.path().join(format!("{id}.sock"))
    }

    fn door(&self, id: &str) -> PathBuf {
        handoff::door_beside(&self.control(id))
    }

    /// A server that answers with its id and takes over what is brought to its door.
    fn server(&self, id: &'static str, bounds: Bounds) -> Taking {
        let (server, gate) = leaving(id, bounds, NEVER);
        let count = Arc::default();
        let file = handoff::open(&self.door(id), &server.door, &count).unwrap();
        Taking { server, gate, count, _file: file }
    }

    /// A door behind which nobody looks yet.
    fn listener(&self, id: &str) -> UnixListener {
        UnixListener::bind(self.door(id)).unwrap()
    }

    async fn hand_over(&self, ids: &[&str]) -> HandOver {
        let controls: Vec<PathBuf> = ids.iter().map(|id| self.control(id)).collect();
        HandOver::to(&controls).await.unwrap()
    }
}

struct Taking {
    server: Server,
    gate: Gate,
    count: Arc<AtomicU64>,
    _file: SocketFile,
}

impl Taking {
    fn taken(&self) -> u64 {
        self.count.load(Relaxed)
    }
}

/// A server that answers with its id.
fn leaving(id: &'static str, bounds: Bounds, linger: Duration) -> (Server, Gate) {
    let (router, gate) = Gate::router();
    (Server::start(router.route("/id", get(async move || id)), bounds, linger), gate)
}

/// Clients that were answered, each on a connection of its own.
async fn clients(server: &Server, id: &str, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = server.connect().await;
        assert_eq!(client.get("/id").await.body, id);
        clients.push(client);
    }
    clients
}

/// Drains with these siblings until nothing is left.
async fn drain(server: &mut Server, mut hand_over: HandOver) {
    begin(server).await;
    finish(server, &mut hand_over).await;
}

async fn begin(server: &mut Server) {
    let waiting = server.stop_accepting().await;
    server.drain.begin();
    server.door.admit(waiting);
}

async fn finish(server: &Server, hand_over: &mut HandOver) {
    tokio::select! {
        () = server.drained() => {}
        never = hand_over.run(&server.door) => match never {},
    }
}

#[tokio::test]
async fn idle_connections_go_on_at_a_sibling() {
    let folder = Folder::new();
    let second = folder.server("second", wide());
    // Parked ones, which hyper knows nothing of, and those that it waits on.
    for park in [NEVER, Duration::ZERO] {
        let (mut first, _) = leaving("first", Bounds { park, ..wide() }, NEVER);
        let idle = clients(&first, "first", 10).await;
        let mut fresh = first.connect().await;
        drain(&mut first, folder.hand_over(&["second"]).await).await;
        assert_eq!(first.door.open(), 0);
        for mut client in idle {
            for _ in 0..2 {
                let answer = client.get("/id").await;
                assert_eq!((answer.body.as_str(), answer.is_last()), ("second", false));
            }
        }
        assert_eq!(fresh.get("/id").await.body, "second");
    }
    assert_eq!(second.taken(), 22);
}

#[tokio::test]
async fn what_is_under_way_is_finished_and_goes_on_at_a_sibling_then() {
    let folder = Folder::new();
    let _second = folder.server("second", wide());
    let (mut first, gate) = leaving("first", wide(), NEVER);
    let mut half = first.connect().await;
    half.send("GET /id HTTP/1.1\r\nHo").await;
    let mut gated = first.connect().await;
    gated.send("GET /gated HTTP/1.1\r\nHost: x\r\n\r\n").await;
    gate.begun.notified().await;
    // The first half was accepted before, but need not have been read.
    let mut body = first.connect().await;
    body.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf").await;
    let mut hand_over = folder.hand_over(&["second"]).await;
    begin(&mut first).await;
    let clients = async {
        half.send("st: x\r\n\r\n").await;
        assert!(!half.answer().await.is_last());
        body.send("sent").await;
        let answer = body.answer().await;
        assert_eq!((answer.body.as_str(), answer.is_last()), ("halfsent", false));
        gate.open.notify_one();
        let answer = gated.answer().await;
        assert_eq!((answer.body.as_str(), answer.is_last()), ("at last", false));
    };
    tokio::join!(finish(&first, &mut hand_over), clients);
    for client in [&mut half, &mut body, &mut gated] {
        assert_eq!(client.get("/id").await.body, "second");
    }
}

#[tokio::test]
async fn a_request_that_was_sent_while_a_socket_changes_hands_goes_along() {
    let folder = Folder::new();
    let door = folder.listener("second");
    let (mut first, _) = leaving("first", wide(), NEVER);
    let mut client = clients(&first, "first", 1).await.remove(0);
    let mut hand_over = folder.hand_over(&["second"]).await;
    begin(&mut first).await;
    let second = folder.server("real", wide());
    let between = async {
        let (from, _) = door.accept().await.unwrap();
        let (byte, sockets) = wire::receive(&from).await.unwrap();
        assert_eq!((byte, sockets.len()), (OFFER, 1));
        client.send("GET /id HTTP/1.1\r\nHost: x\r\n\r\n").await;
        // What is passed on is passed on once more, with the request in it.
        let to = UnixStream::connect(folder.door("real")).await.unwrap();
        wire::send(&to, OFFER, &[sockets[0].as_fd()]).await.unwrap();
        assert_eq!(wire::receive(&to).await.unwrap().0, 1);
        wire::send(&from, 1, &[]).await.unwrap();
        assert_eq!(wire::receive(&from).await.unwrap().0, GO);
        wire::send(&to, GO, &[]).await.unwrap();
        assert_eq!(client.answer().await.body, "real");
    };
    tokio::join!(finish(&first, &mut hand_over), between);
    assert_eq!(second.taken(), 1);
}

#[tokio::test]
async fn all_siblings_get_their_share() {
    let folder = Folder::new();
    let (second, third) = (folder.server("second", wide()), folder.server("third", wide()));
    let (mut first, _) = leaving("first", wide(), NEVER);
    let idle = clients(&first, "first", 20).await;
    drain(&mut first, folder.hand_over(&["second", "third"]).await).await;
    for mut client in idle {
        client.get("/id").await;
    }
    let taken = [second.taken(), third.taken()];
    assert!(taken.iter().sum::<u64>() == 20 && taken.iter().all(|taken| *taken > 1), "{taken:?}");
}

#[tokio::test]
async fn what_a_full_sibling_does_not_take_lingers() {
    let folder = Folder::new();
    // One slot is kept for the next one in the queue.
    let second = folder.server("second", Bounds { connections: 4, ..wide() });
    let (mut first, _) = leaving("first", wide(), NEVER);
    let mut idle = clients(&first, "first", 10).await;
    let mut hand_over = folder.hand_over(&["second"]).await;
    begin(&mut first).await;
    let asking = async {
        // Until they know that nobody takes them, they are silent.
        first.drain.closing().await;
        let mut stayed = 0;
        for mut client in idle.drain(..) {
            let answer = client.get("/id").await;
            assert_eq!(answer.body == "first", answer.is_last(), "{answer:?}");
            stayed += u64::from(answer.is_last());
        }
        stayed
    };
    let ((), stayed) = tokio::join!(finish(&first, &mut hand_over), asking);
    assert_eq!((stayed, second.taken()), (7, 3));
}

#[tokio::test]
async fn a_sibling_that_drains_takes_nothing() {
    let folder = Folder::new();
    let mut second = folder.server("second", wide());
    begin(&mut second.server).await;
    let (mut first, _) = leaving("first", wide(), SOON);
    let mut client = clients(&first, "first", 1).await.remove(0);
    drain(&mut first, folder.hand_over(&["second"]).await).await;
    assert_eq!(client.rest().await, "");
    assert_eq!(second.taken(), 0);
}

#[tokio::test]
async fn who_ends_while_it_takes_over_ends_after_it() {
    let folder = Folder::new();
    let mut second = folder.server("second", wide());
    let (first, _) = leaving("first", wide(), NEVER);
    let (_, socket) = pair().await;
    let sender = UnixStream::connect(folder.door("second")).await.unwrap();
    wire::send(&sender, OFFER, &[socket.as_fd()]).await.unwrap();
    assert_eq!(wire::receive(&sender).await.unwrap().0, 1);
    begin(&mut second.server).await;
    assert_eq!(second.server.door.open(), 1);
    drop(sender);
    second.server.drained().await;
    drop((first, second.gate));
}

#[tokio::test]
async fn nobody_reads_from_what_was_not_handed_over_in_the_end() {
    let folder = Folder::new();
    let second = folder.server("second", wide());
    let (mut client, socket) = pair().await;
    let sender = UnixStream::connect(folder.door("second")).await.unwrap();
    wire::send(&sender, OFFER, &[socket.as_fd()]).await.unwrap();
    assert_eq!(wire::receive(&sender).await.unwrap().0, 1);
    client.send("GET /id HTTP/1.1\r\nHost: x\r\n\r\n").await;
    drop(sender);
    second.server.drained().await;
    // It is still open, and all that was sent is there.
    let mut bytes = [0; 64];
    socket.readable().await.unwrap();
    let count = socket.try_read(&mut bytes).unwrap();
    assert!(bytes[..count].starts_with(b"GET /id"));
    assert_eq!(second.taken(), 0);
}

#[tokio::test]
async fn without_an_answer_the_connections_stay() {
    let folder = Folder::new();
    let _door = folder.listener("second");
    let (mut first, _) = leaving("first", wide(), NEVER);
    let mut client = clients(&first, "first", 1).await.remove(0);
    let mut hand_over = folder.hand_over(&["second"]).await;
    begin(&mut first).await;
    let asking = async {
        first.drain.closing().await;
        let answer = client.get("/id").await;
        assert_eq!((answer.body.as_str(), answer.is_last()), ("first", true));
        drop(client);
    };
    tokio::join!(finish(&first, &mut hand_over), asking);
}

#[tokio::test]
async fn a_sibling_of_an_older_version_has_no_door() {
    let folder = Folder::new();
    assert!(HandOver::to(&[folder.control("second")]).await.is_none());
    // Or its process is gone.
    drop(folder.listener("second"));
    assert!(HandOver::to(&[folder.control("second")]).await.is_none());
}

#[tokio::test]
async fn a_client_that_is_never_idle_is_told_to_go_in_the_end() {
    let folder = Folder::new();
    let _second = folder.server("second", wide());
    let (mut first, gate) = leaving("first", wide(), NEVER);
    let mut client = first.connect().await;
    // The next request has always come before it is waited for.
    let many = "GET /id HTTP/1.1\r\nHost: x\r\n\r\n".repeat(300);
    client.send(format!("GET /gated HTTP/1.1\r\nHost: x\r\n\r\n{many}")).await;
    gate.begun.notified().await;
    let mut hand_over = folder.hand_over(&["second"]).await;
    begin(&mut first).await;
    let asking = async {
        gate.open.notify_one();
        let mut answers = 1;
        while !client.answer().await.is_last() {
            answers += 1;
        }
        drop(client);
        answers
    };
    let ((), answers) = tokio::join!(finish(&first, &mut hand_over), asking);
    assert!(answers < 300, "{answers}");
}

#[tokio::test]
async fn one_message_carries_as_many_sockets_as_are_offered_at_once() {
    let (from, to) = UnixStream::pair().unwrap();
    assert!(wire::is_of_same_user(&from));
    let many: Vec<BorrowedFd<'_>> = vec![from.as_fd(); MOST];
    wire::send(&from, OFFER, &many).await.unwrap();
    let (byte, sockets) = wire::receive(&to).await.unwrap();
    assert_eq!((byte, sockets.len()), (OFFER, MOST));
    drop(sockets);
    drop(from);
    let end = wire::receive(&to).await.unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn the_connection_of_a_unix_socket_changes_hands_as_well() {
    let folder = Folder::new();
    let second = folder.server("second", wide());
    let (mut client, socket) = UnixStream::pair().unwrap();
    let sender = UnixStream::connect(folder.door("second")).await.unwrap();
    wire::send(&sender, OFFER, &[socket.as_fd()]).await.unwrap();
    assert_eq!(wire::receive(&sender).await.unwrap().0, 1);
    wire::send(&sender, GO, &[]).await.unwrap();
    drop((sender, socket));
    client.write_all(b"GET /id HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("second"), "{answer}");
    assert_eq!(second.taken(), 1);
}

#[tokio::test]
async fn what_is_no_connection_is_not_taken_and_what_is_no_offer_not_answered() {
    let folder = Folder::new();
    let second = folder.server("second", wide());
    let sender = UnixStream::connect(folder.door("second")).await.unwrap();
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = tempfile::tempfile().unwrap();
    for socket in [listening.as_fd(), file.as_fd()] {
        wire::send(&sender, OFFER, &[socket]).await.unwrap();
        assert_eq!(wire::receive(&sender).await.unwrap().0, 0);
    }
    wire::send(&sender, GO, &[]).await.unwrap();
    assert!(wire::receive(&sender).await.is_err());
    assert_eq!(second.server.door.open(), 0);
}

/// A client, and the other end of its connection.
async fn pair() -> (Client, tokio::net::TcpStream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::connect(listener.local_addr().unwrap()).await;
    (client, listener.accept().await.unwrap().0)
}
