//! The sibling's side: takes over what others leave.

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::net::AddressFamily;
use rustix::net::sockopt::{socket_acceptconn, socket_domain};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::time::sleep;

use super::super::accept::{Door, Held};
use super::super::error::ServerError;
use super::super::side_door::{BACKOFF, MODE};
use super::super::sockets::{SocketFile, bind_unix};
use super::super::stream::Stream;
use super::wire::{self, GO, OFFER};

/// Opens the door at `path` and lets in what siblings bring until the runtime ends; `count` counts it.
/// The file is removed when what is returned is dropped.
///
/// # Errors
/// Where it cannot be bound, or somebody answers on it already.
pub(in super::super) fn open(
    path: &Path,
    door: &Arc<Door>,
    count: &Arc<AtomicU64>,
) -> Result<SocketFile, ServerError> {
    let error = |source| ServerError::Control { path: path.into(), source };
    let listener = bind_unix(path, MODE).map_err(error)?;
    let file = SocketFile(path.into());
    let listener = UnixListener::from_std(listener).map_err(error)?;
    tokio::spawn(accept(listener, Arc::clone(door), Arc::clone(count)));
    Ok(file)
}

async fn accept(listener: UnixListener, door: Arc<Door>, count: Arc<AtomicU64>) {
    loop {
        match listener.accept().await {
            Ok((sibling, _)) if wire::is_of_same_user(&sibling) => {
                let (door, count) = (Arc::clone(&door), Arc::clone(&count));
                tokio::spawn(async move {
                    let mut taken = 0;
                    // It ends with the sibling, and then there is nothing left to do.
                    let Err(error) = take_over(&sibling, &door, &mut taken, &count).await;
                    if taken > 0 {
                        tracing::info!("took {taken} idle connections over from a sibling");
                    }
                    tracing::debug!(%error, "a sibling has left");
                });
            }
            Ok(_) => tracing::warn!("refused the connections of another user"),
            Err(error) => {
                tracing::debug!(%error, "cannot accept what siblings bring; trying again");
                sleep(BACKOFF).await;
            }
        }
    }
}

/// Takes over what one sibling offers, for as long as it does.
async fn take_over(
    sibling: &UnixStream,
    door: &Arc<Door>,
    taken: &mut u64,
    count: &AtomicU64,
) -> io::Result<Infallible> {
    loop {
        let (byte, sockets) = wire::receive(sibling).await?;
        if byte != OFFER {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // The first ones, so that a count tells which; none, where no request would be answered well.
        let sockets = if door.is_serving() { sockets } else { Vec::new() };
        let held: Vec<Held> = sockets.into_iter().map_while(|socket| hold(door, socket)).collect();
        let amount = u8::try_from(held.len()).map_err(io::Error::other)?;
        wire::send(sibling, amount, &[]).await?;
        if amount == 0 {
            continue;
        }
        // Their slots keep a drain of this instance from its end.
        let (byte, _) = wire::receive(sibling).await?;
        if byte != GO {
            return Err(io::ErrorKind::InvalidData.into());
        }
        for held in held {
            door.go_on(held);
        }
        *taken += u64::from(amount);
        count.fetch_add(amount.into(), Relaxed);
    }
}

/// Gives a connection a slot, if there is one.
fn hold(door: &Door, socket: OwnedFd) -> Option<Held> {
    // One that listens is shared by all instances and no connection.
    let is_connection = !socket_acceptconn(&socket).ok()?;
    is_connection.then(|| stream(socket).ok())?.and_then(|stream| door.hold(stream))
}

fn stream(socket: OwnedFd) -> io::Result<Stream> {
    // O_NONBLOCK belongs to the socket: it is set on both sides and never cleared.
    if socket_domain(&socket)? == AddressFamily::UNIX {
        let stream = std::os::unix::net::UnixStream::from(socket);
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream).map(Stream::Unix)
    } else {
        let stream = std::net::TcpStream::from(socket);
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream).map(Stream::Tcp)
    }
}
