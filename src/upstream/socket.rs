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
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

/// How long a connect may take. It is on this machine: only a full queue of connections makes it wait.
const CONNECT: Duration = Duration::from_secs(5);

/// How long until a unix socket whose queue is full is tried again: it says so at once, and lets
/// nobody wait in the kernel as TCP does (connect(2), EAGAIN).
const FULL: Duration = Duration::from_millis(1);

/// Where the app listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// Connects.
    ///
    /// # Errors
    /// Where nobody listens, or takes the connection in time.
    pub(crate) async fn connect(&self) -> io::Result<Socket> {
        let connecting = async {
            match self {
                Self::Tcp(address) => {
                    let stream = TcpStream::connect(address).await?;
                    // A head and the body after it must not wait for each other (tcp(7)).
                    stream.set_nodelay(true)?;
                    Ok(Socket::Tcp(stream))
                }
                Self::Unix(path) => loop {
                    match UnixStream::connect(path).await {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            sleep(FULL).await;
                        }
                        connected => return connected.map(Socket::Unix),
                    }
                },
            }
        };
        timeout(CONNECT, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
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
