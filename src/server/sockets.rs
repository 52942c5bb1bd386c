//! The listening sockets: inherited from systemd, or bound here when started by hand.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use listenfd::ListenFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::{TcpListener, UnixListener};

use super::error::ServerError;
use super::stream::Stream;
use crate::config::Listen;

/// `FileDescriptorName=` of the app's sockets (systemd.socket(5)).
const SOCKET_NAME: &str = "http";

/// What systemd calls a descriptor without a name (`sd_listen_fds(3)`).
const NAMELESS: &str = "unknown";

/// Rights of a unix socket that the app itself listens on when it is started by hand: everyone
/// may connect, as everyone may to a TCP port. Under systemd `SocketMode=` says.
const PUBLIC_MODE: u32 = 0o666;

/// A listening socket that is not yet in the hands of the runtime.
#[derive(Debug)]
pub(super) enum Bound {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

/// Takes the sockets that systemd passed under the name `http`; none: not started by systemd.
///
/// Call it before the first thread: listenfd edits the environment.
///
/// # Errors
/// Where the protocol is broken, or what was passed are no listening sockets.
pub(super) fn inherited() -> Result<Vec<Bound>, ServerError> {
    // Marks all of them close-on-exec, whatever their names.
    let names: Vec<String> = sd_notify::listen_fds_with_names()
        .map_err(ServerError::Inherit)?
        .map(|(_, name)| name)
        .collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut passed = ListenFd::from_env();
    let mut bound = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if name == SOCKET_NAME || name == NAMELESS {
            bound.push(take(&mut passed, index).map_err(ServerError::Inherit)?);
        }
    }
    if bound.is_empty() {
        return Err(ServerError::WrongNames { names: names.join(", ") });
    }
    Ok(bound)
}

fn take(passed: &mut ListenFd, index: usize) -> io::Result<Bound> {
    if let Ok(Some(listener)) = passed.take_tcp_listener(index) {
        // The flag belongs to the socket that all instances share: it is set by each of them and
        // never cleared.
        listener.set_nonblocking(true)?;
        return Ok(Bound::Tcp(listener));
    }
    let listener = passed.take_unix_listener(index)?.ok_or(io::ErrorKind::NotFound)?;
    listener.set_nonblocking(true)?;
    Ok(Bound::Unix(listener))
}

/// Binds an address of the configuration, for a server that was started by hand.
///
/// # Errors
/// Where the address is in use or cannot be bound.
pub(super) fn bind(listen: &Listen) -> Result<Bound, ServerError> {
    let bound = match listen {
        Listen::Tcp(address) => std::net::TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(Bound::Tcp(listener))
        }),
        Listen::Unix(path) => bind_unix(path, PUBLIC_MODE).map(Bound::Unix),
    };
    bound.map_err(|source| ServerError::Bind { address: listen.to_string(), source })
}

/// Binds a unix socket in the place of one whose server is gone. A socket that somebody answers
/// on, and a file that is no socket, are left alone.
///
/// # Errors
/// `AddrInUse`, and what bind(2) says.
pub(super) fn bind_unix(path: &Path, mode: u32) -> io::Result<std::os::unix::net::UnixListener> {
    if let Ok(metadata) = fs::symlink_metadata(path) {
        let stale = metadata.file_type().is_socket()
            && std::os::unix::net::UnixStream::connect(path)
                .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        if !stale {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        fs::remove_file(path)?;
    }
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The file of a unix socket that was bound here; removed when dropped.
#[derive(Debug)]
pub(super) struct SocketFile(pub(super) PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Nobody is left to hear of an error.
        let _ = fs::remove_file(&self.0);
    }
}

/// The listening sockets of one kind, accepted from in turn.
#[derive(Debug)]
pub(super) struct Listeners {
    listeners: Vec<Listener>,
    /// Where the next look begins, so that a busy listener does not starve the others.
    next: AtomicUsize,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn close(self) -> Vec<Stream> {
        match self {
            Self::Tcp(listener) => rest(listener.into_std(), |listener| {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                tokio::net::TcpStream::from_std(stream).map(Stream::Tcp)
            }),
            Self::Unix(listener) => rest(listener.into_std(), |listener| {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                tokio::net::UnixStream::from_std(stream).map(Stream::Unix)
            }),
        }
    }
}

/// What a listener that does not block brings until it has no more.
fn rest<L>(listener: io::Result<L>, accept: impl Fn(&L) -> io::Result<Stream>) -> Vec<Stream> {
    let Ok(listener) = listener else { return Vec::new() };
    std::iter::from_fn(|| accept(&listener).ok()).collect()
}

impl Listeners {
    /// Hands the sockets to the runtime; call it inside of one.
    ///
    /// # Errors
    /// Where a socket cannot be watched.
    pub(super) fn new(bound: Vec<Bound>) -> io::Result<Self> {
        let listeners = bound
            .into_iter()
            .map(|bound| match bound {
                Bound::Tcp(listener) => TcpListener::from_std(listener).map(Listener::Tcp),
                Bound::Unix(listener) => UnixListener::from_std(listener).map(Listener::Unix),
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { listeners, next: AtomicUsize::new(0) })
    }

    /// One connection of whichever listener has one.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let count = self.listeners.len();
        let start = self.next.fetch_add(1, Relaxed);
        for offset in 0..count {
            let accepted = match &self.listeners[(start.wrapping_add(offset)) % count] {
                Listener::Tcp(listener) => {
                    listener.poll_accept(cx).map_ok(|(stream, _)| Stream::Tcp(stream))
                }
                Listener::Unix(listener) => {
                    listener.poll_accept(cx).map_ok(|(stream, _)| Stream::Unix(stream))
                }
            };
            if accepted.is_ready() {
                return accepted;
            }
        }
        Poll::Pending
    }

    /// Whether a connection waits in a queue at this moment (poll(2)).
    pub(super) fn has_waiting(&self) -> bool {
        let fds = self.listeners.iter().map(|listener| match listener {
            Listener::Tcp(listener) => PollFd::new(listener, PollFlags::IN),
            Listener::Unix(listener) => PollFd::new(listener, PollFlags::IN),
        });
        let mut fds: Vec<_> = fds.collect();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Stops listening; brings the connections that wait in the queues at this moment. Asks the
    /// kernel itself: the runtime may not have heard of them yet.
    pub(super) fn close(self) -> Vec<Stream> {
        self.listeners.into_iter().flat_map(Listener::close).collect()
    }

    /// Where they listen, in words a person can copy: `127.0.0.1:3000, /run/app.sock`.
    pub(super) fn addresses(&self) -> Vec<String> {
        self.listeners
            .iter()
            .map(|listener| match listener {
                Listener::Tcp(tcp) => tcp.local_addr().map(|address| address.to_string()),
                Listener::Unix(unix) => unix.local_addr().map(|address| {
                    address
                        .as_pathname()
                        .map_or_else(|| "unix socket".to_owned(), |path| path.display().to_string())
                }),
            })
            .map(|address| address.unwrap_or_else(|_| "unknown address".to_owned()))
            .collect()
    }
}
