//! Clients that do as their script says, over plain sockets.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use crate::hostile::script::{Clients, Reads, Step, Then};

/// Bytes that the kernel keeps for a client that does not read: what it takes is no longer the
/// server's burden, so it is to take little.
const RECEIVE: u32 = 4 << 10;

/// How long a client waits for a connection. One that the queue has no room for tries again after a second.
const CONNECT: Duration = Duration::from_secs(20);

/// Time between the connects of two clients of a crowd, so that the queue has room for them.
const STEP: Duration = Duration::from_micros(100);

/// Pause of a client that could not connect, or whose connection ended at once.
const BREATH: Duration = Duration::from_millis(5);

/// Bytes that are read in one go.
const PIECE: usize = 16 << 10;

/// How often one that does not read looks whether its connection is still there.
const LOOK: Duration = Duration::from_millis(500);

/// What became of the clients.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Connections that were made.
    pub(crate) connected: usize,
    /// Connections that could not be made.
    pub(crate) refused: usize,
    /// Connections that the server ended.
    pub(crate) ended: usize,
    /// Bytes that were sent.
    pub(crate) sent: usize,
    /// Bytes that came.
    pub(crate) came: usize,
    /// Answers whose code was 500 or above.
    pub(crate) failed: usize,
    /// Answers in all: the first of each connection.
    pub(crate) answers: usize,
    /// Clients that have nothing more to do.
    pub(crate) done: usize,
}

/// Shared by the clients of one thread.
type Figures = Rc<Cell<Tally>>;

fn count(figures: &Figures, change: impl FnOnce(&mut Tally)) {
    let mut tally = figures.get();
    change(&mut tally);
    figures.set(tally);
}

/// Lets the clients do as they do until all have nothing more to do, or until the end.
pub(crate) async fn attack(
    address: SocketAddr,
    clients: Vec<(usize, Clients)>,
    end: oneshot::Receiver<()>,
) -> Tally {
    let figures = Figures::default();
    let all = LocalSet::new();
    all.run_until(async {
        let mut tasks = JoinSet::new();
        for (many, clients) in clients {
            let clients = Arc::new(clients);
            for number in 0..many {
                let (clients, figures) = (Arc::clone(&clients), Rc::clone(&figures));
                tasks.spawn_local(async move {
                    sleep(clients.after + STEP * u32::try_from(number).unwrap_or(0)).await;
                    client(address, number, &clients, &figures).await;
                    count(&figures, |tally| tally.done += 1);
                });
            }
        }
        tokio::select! {
            _ = end => {}
            () = async { while tasks.join_next().await.is_some() {} } => {}
        }
    })
    .await;
    figures.get()
}

async fn client(address: SocketAddr, number: usize, clients: &Clients, figures: &Figures) {
    loop {
        match connect(address, clients.from.address(number).into()).await {
            Ok(stream) => {
                count(figures, |tally| tally.connected += 1);
                if connection(stream, clients, figures).await == Side::Server {
                    count(figures, |tally| tally.ended += 1);
                }
            }
            Err(_) => count(figures, |tally| tally.refused += 1),
        }
        if clients.then == Then::Rests {
            return;
        }
        sleep(BREATH).await;
    }
}

async fn connect(address: SocketAddr, from: IpAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE)?;
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::new(from, 0))?;
    timeout(CONNECT, socket.connect(address)).await?
}

/// Who ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

async fn connection(mut stream: TcpStream, clients: &Clients, figures: &Figures) -> Side {
    let (reader, mut writer) = stream.split();
    let (came, coming) = watch::channel(0);
    let wrote = write(&mut writer, &clients.steps, coming, figures);
    let read = read(&reader, clients.reads, &came, figures);
    tokio::select! {
        side = wrote => side,
        () = read => Side::Server,
    }
}

/// Does the steps. One that does not read notices the end of its connection only here.
async fn write(
    writer: &mut WriteHalf<'_>,
    steps: &[Step],
    coming: watch::Receiver<usize>,
    figures: &Figures,
) -> Side {
    for step in steps {
        if do_step(writer, step, coming.clone(), figures).await.is_err() {
            return Side::Server;
        }
    }
    Side::Client
}

async fn do_step(
    writer: &mut WriteHalf<'_>,
    step: &Step,
    mut coming: watch::Receiver<usize>,
    figures: &Figures,
) -> io::Result<()> {
    match step {
        Step::Send(bytes) => send(writer, bytes, figures).await?,
        Step::Flood(bytes) => loop {
            send(writer, bytes, figures).await?;
            // One that floods leaves the others of its thread a turn.
            tokio::task::yield_now().await;
        },
        Step::Make(make, most) => {
            for number in 0..*most {
                send(writer, &make(number), figures).await?;
                tokio::task::yield_now().await;
            }
        }
        Step::Drip(bytes, pause) => loop {
            for byte in bytes {
                sleep(*pause).await;
                send(writer, &[*byte], figures).await?;
            }
        },
        Step::Beat(bytes, pause) => loop {
            sleep(*pause).await;
            send(writer, bytes, figures).await?;
        },
        Step::Pause(time) => sleep(*time).await,
        Step::Hold => std::future::pending().await,
        Step::Await(bytes) => {
            let _ = coming.wait_for(|came| came >= bytes).await;
        }
        Step::Half => writer.shutdown().await?,
        Step::Reset => {
            let socket: &TcpStream = writer.as_ref();
            socket.set_zero_linger()?;
        }
        Step::Close => {}
    }
    Ok(())
}

async fn send(writer: &mut WriteHalf<'_>, bytes: &[u8], figures: &Figures) -> io::Result<()> {
    writer.write_all(bytes).await?;
    count(figures, |tally| tally.sent += bytes.len());
    Ok(())
}

/// Reads until the server ends the connection.
async fn read(reader: &ReadHalf<'_>, reads: Reads, came: &watch::Sender<usize>, figures: &Figures) {
    let mut begin = Vec::new();
    loop {
        match reads {
            Reads::All => {}
            Reads::Nothing => return until_ended(reader).await,
            Reads::Slowly(pause) => sleep(pause).await,
        }
        let Some(piece) = piece(reader, reads).await else { return };
        count(figures, |tally| tally.came += piece.len());
        came.send_modify(|all| *all += piece.len());
        if begin.len() < CODE {
            begin.extend(&piece);
            if let Some(code) = code(&begin) {
                count(figures, |tally| {
                    tally.answers += 1;
                    tally.failed += usize::from(code >= b'5');
                });
            }
        }
    }
}

/// What has come, some of it; none: the connection has ended. Nothing is held while it waits: there are
/// thousands of clients.
async fn piece(reader: &ReadHalf<'_>, reads: Reads) -> Option<Vec<u8>> {
    loop {
        reader.readable().await.ok()?;
        let mut piece = vec![0; if reads == Reads::All { PIECE } else { 1 }];
        match reader.try_read(&mut piece) {
            Ok(0) => return None,
            Ok(bytes) => {
                piece.truncate(bytes);
                return Some(piece);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

/// Waits until the server has ended the connection, and reads nothing.
async fn until_ended(reader: &ReadHalf<'_>) {
    let ended = |ready: tokio::io::Ready| ready.is_read_closed() || ready.is_error();
    while !reader.ready(Interest::READABLE | Interest::ERROR).await.is_ok_and(ended) {
        sleep(LOOK).await;
    }
}

/// Bytes of an answer up to its code.
const CODE: usize = "HTTP/1.1 200".len();

/// The first digit of the code of an answer that begins so.
fn code(begin: &[u8]) -> Option<u8> {
    begin.strip_prefix(b"HTTP/1.1 ").filter(|_| begin.len() >= CODE)?.first().copied()
}
