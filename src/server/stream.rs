//! An accepted connection: what a server asks of a socket beyond reading and writing.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use bytes::BytesMut;
use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle};
use socket2::SockRef;

pub(super) use crate::upstream::Socket as Stream;

/// Silence after which the kernel asks whether the other end is still there (tcp(7), `TCP_KEEPIDLE`).
const ASK_AFTER: Duration = Duration::from_secs(60);

/// The address of a peer that is gone already. It is in no network that somebody would trust.
const UNKNOWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// Bytes that are thrown away in one go. They lie on the stack.
pub(super) const SCRAP: usize = 16 << 10;

impl Stream {
    /// Sends each write at once: with Nagle's algorithm the last segment of a response would wait
    /// for the client's acknowledgement (tcp(7), `TCP_NODELAY`).
    pub(super) fn send_without_delay(&self) {
        if let Self::Tcp(stream) = self {
            // It fails only on a connection that is broken already; serving it finds that out.
            let _ = stream.set_nodelay(true);
        }
    }

    /// Keeps what the kernel holds of bytes that are not sent yet below this (tcp(7), `TCP_NOTSENT_LOWAT`): it
    /// counts for the memory of the instance's cgroup, and a client that reads nothing could fill megabytes.
    /// What is on its way to a client that reads is not among it.
    pub(super) fn keep_unsent_below(&self, bytes: u32) {
        if let Self::Tcp(stream) = self {
            // It fails only on a connection that is broken already.
            let _ = SockRef::from(stream).set_tcp_notsent_lowat(bytes);
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

    /// Throws away what is there, up to [`SCRAP`] bytes of it; how many it was.
    pub(super) fn discard(&self) -> io::Result<usize> {
        let mut scrap = [0; SCRAP];
        match self {
            Self::Tcp(stream) => stream.try_read(&mut scrap),
            Self::Unix(stream) => stream.try_read(&mut scrap),
        }
    }

    /// Whether the kernel holds bytes of the client that nobody has read yet.
    pub(super) fn has_unread(&self) -> bool {
        self.peek().is_ok_and(|count| count > 0)
    }
}
