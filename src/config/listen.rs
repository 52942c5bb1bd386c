//! The addresses that an app listens on.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use super::value::ValueError;

/// Longest path of a unix socket, in bytes: `sun_path` less its closing NUL (unix(7)).
const UNIX_PATH_MAX: usize = 107;

/// An address that the app listens on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Listen {
    /// TCP, v4 or v6.
    Tcp(SocketAddr),
    /// A unix socket at this absolute path.
    Unix(PathBuf),
}

impl Listen {
    /// What an address looks like, for error texts.
    pub const ALLOWED: &'static str =
        "an address such as \"127.0.0.1:3000\", \"[::1]:3000\" or \"/run/app.sock\"";

    /// Whether a bind to `other` takes what this address needs: the same address, or one of the
    /// two is the wildcard of the same family and the ports are equal (ip(7), EADDRINUSE).
    #[must_use]
    pub fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(two)) => {
                one == two
                    || one.port() == two.port()
                        && one.is_ipv4() == two.is_ipv4()
                        && (one.ip().is_unspecified() || two.ip().is_unspecified())
            }
            (one, two) => one == two,
        }
    }
}

impl Default for Listen {
    /// `127.0.0.1:3000`: a proxy or a tunnel in front decides what the world sees.
    fn default() -> Self {
        Self::Tcp(SocketAddr::from(([127, 0, 0, 1], 3000)))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for Listen {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = if text.starts_with('/') { unix(text) } else { tcp(text) };
        address.map_err(|hint| ValueError::new(text, Self::ALLOWED).hint(hint))
    }
}

/// Reads the path of a unix socket; the error is the hint.
fn unix(text: &str) -> Result<Listen, Option<String>> {
    if text.len() > UNIX_PATH_MAX {
        Err(Some(format!("the path of a unix socket has {UNIX_PATH_MAX} bytes at most")))
    } else if text.contains(char::is_control) {
        Err(Some("leave out the control character".into()))
    } else if text.ends_with('/') {
        Err(Some("this is a folder; name a file in it".into()))
    } else {
        Ok(Listen::Unix(text.into()))
    }
}

/// Reads a TCP address; the error is the hint.
fn tcp(text: &str) -> Result<Listen, Option<String>> {
    match text.parse::<SocketAddr>() {
        Ok(addr) if addr.port() == 0 => {
            Err(Some("choose a port from 1 to 65535: a socket unit cannot have port 0".into()))
        }
        Ok(SocketAddr::V6(addr)) if addr.scope_id() != 0 => {
            Err(Some("an address with a scope is not supported; leave out the %".into()))
        }
        Ok(addr) => Ok(Listen::Tcp(addr)),
        Err(_) => Err(tcp_hint(text)),
    }
}

/// What someone who wrote `text` may have meant.
fn tcp_hint(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        Some(format!("add a port: \"{}\"", SocketAddr::new(ip, 3000)))
    } else if text.contains("://") {
        Some("write the address alone, without a scheme".into())
    } else if text.starts_with('@') {
        Some("abstract sockets are not supported; write an absolute path".into())
    } else if text.contains('/') {
        Some("the path of a unix socket must be absolute".into())
    } else if port.parse::<u16>().is_err() {
        None
    } else if matches!(host, "" | "localhost") {
        Some(format!("write \"127.0.0.1:{port}\""))
    } else if host == "*" {
        Some(format!("write \"0.0.0.0:{port}\" for every address of this machine"))
    } else {
        Some(format!("names are not resolved; write an IP address: \"127.0.0.1:{port}\""))
    }
}
