//! One accepted connection, TCP or unix, as one type.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use rustix::net::RecvFlags;
use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Silence after which the kernel asks whether the other end is still there (tcp(7), `TCP_KEEPIDLE`).
const ASK_AFTER: Duration = Duration::from_secs(60);

/// The address of a peer that is gone already. It is in no network that somebody would trust.
const UNKNOWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// An accepted connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Sends each write at once: with Nagle's algorithm the last segment of a response would wait
    /// for the client's acknowledgement (tcp(7), `TCP_NODELAY`).
    pub(super) fn send_without_delay(&self) {
        if let Self::Tcp(stream) = self {
            // It fails only on a connection that is broken already; serving it finds that out.
            let _ = stream.set_nodelay(true);
        }
    }

    /// Finds out when the other end has vanished without a word, where nothing else would.
    pub(super) fn find_out_when_gone(&self) {
        if let Self::Tcp(stream) = self {
            // It fails only on a connection that is broken already.
            let _ = set_socket_keepalive(stream, true);
            let _ = set_tcp_keepidle(stream, ASK_AFTER);
        }
    }

    /// The address of the other end; none: it is a unix socket.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(stream) => Some(stream.peer_addr().map_or(UNKNOWN, |peer| peer.ip())),
            Self::Unix(_) => None,
        }
    }

    /// Waits until a read would bring bytes, the end or an error.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    /// Reads what is there into the free capacity of `buffer`.
    pub(super) fn try_read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read_buf(buffer),
            Self::Unix(stream) => stream.try_read_buf(buffer),
        }
    }

    /// Whether the kernel holds bytes of the client that nobody has read yet. Asks the kernel
    /// itself (recv(2), `MSG_PEEK`): the runtime may not have heard of them yet.
    pub(super) fn has_unread(&self) -> bool {
        let mut byte = [0; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peeked = match self {
            Self::Tcp(stream) => rustix::net::recv(stream, &mut byte[..], flags),
            Self::Unix(stream) => rustix::net::recv(stream, &mut byte[..], flags),
        };
        peeked.is_ok_and(|(_, count)| count > 0)
    }
}

/// Does the same with either kind.
macro_rules! with {
    ($this:expr, $stream:ident => $what:expr) => {
        match $this.get_mut() {
            Stream::Tcp($stream) => $what,
            Stream::Unix($stream) => $what,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
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
