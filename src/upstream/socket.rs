//! Where the app listens; and a stream socket, TCP or unix, as one type.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::RecvFlags;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

/// How long until a unix socket whose queue is full is tried again: it says so at once, and lets
/// nobody wait in the kernel as TCP does (connect(2), EAGAIN).
const FULL: Duration = Duration::from_millis(1);

/// How long a TCP connection is waited for until it is asked for anew, at first and at the most. The kernel throws
/// away what asks for a place in a full queue, and asks once more after a second (tcp(7)); an app has taken
/// some out of it long before.
const ANEW: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(32)];

/// Bytes of a segment that the app may send, at the most: what every network takes (RFC 8200, 5). The kernel gives a
/// sender room for twenty of them before a byte is taken, each with its own overhead and as a power of two: 46 KiB.
/// Of the 64 KiB of a loopback that is more than a megabyte of each answer that no client reads, which the app has to
/// write and the machine to hold. They go through a loopback many at a time as well.
const SEGMENT: u32 = 1280;

/// Where the app listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// Connects; waits for as long as the queue of those who listen is full.
    ///
    /// # Errors
    /// Where nobody listens.
    pub(crate) async fn connect(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(address) => {
                let [mut patience, most] = ANEW;
                let stream = loop {
                    match timeout(patience, tcp_socket(address)?.connect(*address)).await {
                        Ok(connected) => break connected?,
                        Err(_) => patience = most.min(patience * 2),
                    }
                };
                Ok(Socket::Tcp(stream))
            }
            Self::Unix(path) => loop {
                match UnixStream::connect(path).await {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(FULL).await,
                    connected => return connected.map(Socket::Unix),
                }
            },
        }
    }
}

/// A socket to connect to `address` by.
fn tcp_socket(address: &SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A head and the body after it must not wait for each other (tcp(7)).
    socket.set_nodelay(true)?;
    // Without it all goes on as well.
    let _ = SockRef::from(&socket).set_tcp_mss(SEGMENT);
    Ok(socket)
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A connected stream socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// How many bytes the kernel holds that nobody has read yet; 0: the other end is closed. Asks the
    /// kernel itself (recv(2), `MSG_PEEK`), for one byte: the runtime may not have heard of it yet.
    pub(crate) fn peek(&self) -> rustix::io::Result<usize> {
        let mut byte = [0; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peeked = match self {
            Self::Tcp(stream) => rustix::net::recv(stream, &mut byte[..], flags),
            Self::Unix(stream) => rustix::net::recv(stream, &mut byte[..], flags),
        };
        peeked.map(|(_, count)| count)
    }

    /// What becomes of the connection when it is dropped: with `reset`, the kernel throws away at once what
    /// the app has not taken. Else it would keep that for minutes where the app reads nothing, and the app
    /// would not learn that nobody waits any more (socket(7), `SO_LINGER`).
    pub(super) fn ends_with_reset(&self, reset: bool) {
        if let Self::Tcp(stream) = self {
            // It fails only on a connection that is broken already.
            let _ = SockRef::from(stream).set_linger(reset.then_some(Duration::ZERO));
        }
    }

    /// Whether the connection is open and nothing came that nobody asked for.
    pub(super) fn is_silent(&self) -> bool {
        self.peek().is_err_and(|error| error == rustix::io::Errno::AGAIN)
    }
}

/// Does the same with either kind.
macro_rules! with {
    ($this:expr, $stream:ident => $what:expr) => {
        match $this.get_mut() {
            Socket::Tcp($stream) => $what,
            Socket::Unix($stream) => $what,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        with!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with!(self, stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
