//! A connection to the app's address, and where its accepted end is.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use super::{diag, table};
use crate::config::Listen;

/// How long a connect may take. The app is on this machine, where it takes microseconds unless the
/// queue is full.
const CONNECT: Duration = Duration::from_secs(1);

/// A connection on which nothing was sent yet.
#[derive(Debug)]
pub(super) enum Dialled {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Where the accepted end of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In the queue: nobody has accepted it.
    Queue,
    /// It is the socket with this inode.
    Socket(u64),
    /// Nowhere any more: whoever accepted it has closed it.
    Gone,
}

impl Dialled {
    /// Connects to an address that the app listens on.
    ///
    /// # Errors
    /// What connect(2) says.
    pub(super) fn new(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => {
                TcpStream::connect_timeout(&reachable(*address), CONNECT).map(Self::Tcp)
            }
            Listen::Unix(path) => {
                let socket = rustix::net::socket_with(
                    AddressFamily::UNIX,
                    SocketType::STREAM,
                    SocketFlags::CLOEXEC,
                    None,
                )?;
                // It bounds a connect too (socket(7), `SO_SNDTIMEO`).
                sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(CONNECT))?;
                rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
                Ok(Self::Unix(socket.into()))
            }
        }
    }

    /// Asks the kernel for the accepted end.
    ///
    /// # Errors
    /// Where the kernel cannot be asked.
    pub(super) fn end(&self) -> io::Result<End> {
        let inode = match self {
            Self::Tcp(stream) => {
                let (app, we) = (stream.peer_addr()?, stream.local_addr()?);
                tables()?.iter().find_map(|table| table::inode(table, app, we))
            }
            Self::Unix(stream) => diag::peer(rustix::fs::fstat(stream.as_fd())?.st_ino)?,
        };
        Ok(match inode {
            None => End::Gone,
            Some(0) if self.is_closed() => End::Gone,
            Some(0) => End::Queue,
            Some(inode) => End::Socket(inode),
        })
    }

    /// Whether the other end was closed. Takes nothing from what it sent.
    fn is_closed(&self) -> bool {
        let socket = match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        };
        match rustix::net::recv(socket, &mut [0][..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, count)) => count == 0,
            Err(error) => error != Errno::WOULDBLOCK,
        }
    }
}

/// The tables of this thread's network. One without IPv6 has one only.
fn tables() -> io::Result<[String; 2]> {
    let four = fs::read_to_string("/proc/thread-self/net/tcp")?;
    Ok([four, fs::read_to_string("/proc/thread-self/net/tcp6").unwrap_or_default()])
}

/// The address at which a listener on `address` is reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => return address,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}
