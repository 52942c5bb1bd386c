//! Opens connections and looks into idle ones.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::{RecvFlags, recv};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_util::either::Either;

use crate::load::mix::Target;

/// A connection to a target.
pub(super) type Stream = Either<TcpStream, UnixStream>;

/// Connects. `receive_buffer` is the size of the kernel's buffer in bytes where it has to be small;
/// it holds for TCP only, as a unix socket's data waits in the sender's buffer.
pub(super) async fn connect(target: &Target, receive_buffer: Option<u32>) -> io::Result<Stream> {
    match target {
        Target::Tcp(address) => {
            let socket =
                if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            if let Some(size) = receive_buffer {
                // Before the connect, as it decides the window that is offered (tcp(7)).
                socket.set_recv_buffer_size(size)?;
            }
            let stream = socket.connect(*address).await?;
            // The halves of a request have to leave when they are written.
            stream.set_nodelay(true)?;
            Ok(Either::Left(stream))
        }
        Target::Unix(path) => UnixStream::connect(path).await.map(Either::Right),
    }
}

/// What a client sees that looks into a connection it has kept.
#[derive(Debug)]
pub(super) enum Idle {
    /// Nothing came: it can be used.
    Quiet,
    /// The server has ended it in order.
    Ended,
    /// It is broken: a reset.
    Broken(io::Error),
    /// The server has sent so many bytes (or more) that nobody asked for.
    Unasked(usize),
}

/// Looks into the kernel's buffer without taking anything out of it, as curl and Chromium do
/// before they use a kept connection again.
pub(super) fn look(stream: &Stream) -> Idle {
    let fd: BorrowedFd<'_> = match stream {
        Either::Left(stream) => stream.as_fd(),
        Either::Right(stream) => stream.as_fd(),
    };
    let mut byte = [0; 64];
    match recv(fd, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((0, _)) => Idle::Ended,
        Ok((count, _)) => Idle::Unasked(count),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Idle::Quiet,
        // The kernel tells it once: a later read would see an end in order.
        Err(error) => Idle::Broken(error.into()),
    }
}
