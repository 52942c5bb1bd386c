//! Who holds an address that an app is to listen on.

use std::fs;
use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

use crate::config::Listen;
use crate::gate::{hold, listeners, processes};

/// Whether somebody listens where these would: nobody else can then. What cannot be told here, as a port that
/// only root may take, is not.
#[must_use]
pub fn is_held(address: &Listen) -> bool {
    let Listen::Tcp(address) = address else { return false };
    let bound = || {
        let socket = Socket::new(Domain::for_address(*address), Type::STREAM, None)?;
        // As systemd does: a port that a process has just left is free.
        socket.set_reuse_address(true)?;
        socket.bind(&(*address).into())
    };
    bound().is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
}

/// The process that listens there, and its program; none: it cannot be told, as without root.
#[must_use]
pub fn holder(address: &Listen) -> Option<(u32, String)> {
    let Listen::Tcp(address) = address else { return None };
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let sockets: Vec<_> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listeners(&table))
        .filter(|(listener, _)| collides(*listener, *address))
        .map(|(_, inode)| inode)
        .collect();
    // Who holds it for others comes before them.
    let mut pids = processes().ok()?.into_iter();
    let pid = pids.find(|pid| sockets.iter().any(|socket| hold(&[*pid], *socket)))?;
    let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((pid, program.trim_end().to_owned()))
}

/// Whether a socket at the one address leaves no room for one at the other.
fn collides(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && (a == b || a.is_unspecified() || b.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn who_listens_is_found_and_a_port_that_was_left_is_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let of = |text: String| text.parse::<Listen>().unwrap();
        for there in [address.to_string(), format!("0.0.0.0:{}", address.port())] {
            let address = of(there);
            assert!(is_held(&address), "{address}");
            assert_eq!(holder(&address).map(|(pid, _)| pid), Some(std::process::id()), "{address}");
        }
        let elsewhere = of(format!("127.0.0.2:{}", address.port()));
        assert!(!is_held(&elsewhere) && holder(&elsewhere).is_none());
        drop(listener);
        assert!(!is_held(&of(address.to_string())));
        assert!(!is_held(&of("/run/shop.sock".into())));
    }
}
