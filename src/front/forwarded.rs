//! Who asks, as the app is told: `X-Forwarded-For`, `-Proto` and `-Host`.
//!
//! Anyone can send these headers, and apps believe them: rate limits, access rules and redirects go
//! by them. So they are kept and extended only where the peer is a proxy that is trusted
//! (`front.trusted_proxies`), and replaced by what the front itself knows elsewhere. There is no `Via`
//! (RFC 9110, 7.6.3): it would say nothing that the app's own people do not know, and makes servers
//! in between switch compression off.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use http::header::{FORWARDED, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Version};

use super::slow_start::{Begun, SlowStart};
use crate::config::Subnet;
use crate::health::QUESTION;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST_AS_ASKED: HeaderName = HeaderName::from_static("x-forwarded-host");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What romuo says of itself.
const OF_ROMUO: HeaderName = HeaderName::from_static(QUESTION);

/// What every name of theirs begins with.
const PREFIX: &str = "x-forwarded-";

/// Who is at the other end of a client's connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its address, as it goes into the header; none: a unix socket, which has no address.
    address: Option<HeaderValue>,
    /// Whether what it says of others is believed.
    trusted: bool,
    /// How many requests of it the app has at a time, where it is of HTTP/2.
    start: OnceLock<Arc<SlowStart>>,
}

impl Peer {
    /// The peer with this address; none: one on a unix socket, where file rights say who gets there.
    pub(crate) fn new(address: Option<IpAddr>, proxies: &[Subnet]) -> Self {
        let address = address.map(|address| address.to_canonical());
        Self {
            trusted: address.is_none_or(|peer| proxies.iter().any(|proxy| proxy.contains(peer))),
            address: address.and_then(|peer| HeaderValue::try_from(peer.to_string()).ok()),
            start: OnceLock::new(),
        }
    }

    /// Waits until the app may have one more request of this connection; none: they come one at a time.
    pub(crate) async fn begin(&self, version: Version) -> Option<Begun> {
        if version < Version::HTTP_2 {
            return None;
        }
        Arc::clone(self.start.get_or_init(Arc::default)).begin().await
    }
}

/// Tells the app who asks. `Host` is the one that was asked for by now.
pub(crate) fn tell(headers: &mut HeaderMap, peer: &Peer) {
    drop_doubtful(headers, peer.trusted);
    let client = match (&peer.address, headers.get(FOR)) {
        (Some(address), None) => Some(address.clone()),
        (Some(address), Some(_)) => extended(headers, address),
        (None, _) => None,
    };
    if let Some(client) = client {
        headers.insert(FOR, client);
    }
    if !headers.contains_key(PROTO) {
        headers.insert(PROTO, HeaderValue::from_static("http"));
    }
    if !headers.contains_key(HOST_AS_ASKED)
        && let Some(host) = headers.get(HOST)
    {
        let host = host.clone();
        headers.insert(HOST_AS_ASKED, host);
    }
}

/// Whether it is a name that nobody may use: one with `_`, which many programs take for the same name
/// with `-` (CGI made it so) and which would get past every rule for that; that of romuo's own questions;
/// and, of a peer that is not trusted, those by which it speaks of others.
pub(super) fn is_doubtful(name: &HeaderName, trusted: bool) -> bool {
    let text = name.as_str();
    text.as_bytes().contains(&b'_')
        || *name == OF_ROMUO
        || !trusted && (text.starts_with(PREFIX) || *name == FORWARDED || *name == REAL_IP)
}

/// Removes what this peer may not say.
fn drop_doubtful(headers: &mut HeaderMap, trusted: bool) {
    let doubtful = |name: &HeaderName| is_doubtful(name, trusted);
    if headers.keys().any(doubtful) {
        let names: Vec<HeaderName> =
            headers.keys().filter(|name| doubtful(name)).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
}

/// The addresses that a trusted proxy has sent, and its own.
fn extended(headers: &HeaderMap, address: &HeaderValue) -> Option<HeaderValue> {
    let mut list = Vec::new();
    for line in headers.get_all(FOR) {
        list.extend_from_slice(line.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(address.as_bytes());
    HeaderValue::from_bytes(&list).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(peer: Option<&str>, lines: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let peer = Peer::new(peer.map(|peer| peer.parse().unwrap()), &Subnet::loopback());
        tell(&mut headers, &peer);
        let mut lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn nobody_passes_for_a_question_of_romuo() {
        for peer in [Some("192.0.2.1"), Some("127.0.0.1"), None] {
            let lines = told(peer, &[("host", "x"), ("romuo-health", "1")]);
            assert!(!lines.iter().any(|line| line.starts_with("romuo-health")), "{lines:?}");
        }
    }

    #[test]
    fn what_a_stranger_says_of_others_is_replaced() {
        let lines = [
            ("host", "x.example"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "7.7.7.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-port", "1"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
        ];
        let clean = [
            "host: x.example",
            "x-forwarded-for: 192.0.2.1",
            "x-forwarded-host: x.example",
            "x-forwarded-proto: http",
        ];
        assert_eq!(told(Some("192.0.2.1"), &lines), clean);
        assert_eq!(told(Some("::ffff:192.0.2.1"), &lines[..1]), clean);
    }

    #[test]
    fn what_a_trusted_proxy_says_is_kept_and_its_own_address_added() {
        let lines = [
            ("host", "x.example"),
            ("x-forwarded-for", "6.6.6.6, 7.7.7.7"),
            ("x-forwarded-for", "8.8.8.8"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-port", "443"),
        ];
        let kept = [
            "host: x.example",
            "x-forwarded-for: 6.6.6.6, 7.7.7.7, 8.8.8.8, 127.0.0.1",
            "x-forwarded-host: x.example",
            "x-forwarded-port: 443",
            "x-forwarded-proto: https",
        ];
        assert_eq!(told(Some("127.0.0.1"), &lines), kept);
    }

    #[test]
    fn a_peer_on_a_unix_socket_is_believed_and_has_no_address() {
        assert_eq!(told(None, &[("x-forwarded-for", "6.6.6.6")]).len(), 2);
        assert_eq!(told(None, &[]), ["x-forwarded-proto: http"]);
    }

    #[test]
    fn a_name_with_an_underscore_is_dropped_whoever_sends_it() {
        for peer in ["127.0.0.1", "192.0.2.1"] {
            let told = told(Some(peer), &[("x_forwarded_for", "1"), ("a_b", "1"), ("a-b", "1")]);
            assert_eq!(told.iter().filter(|line| line.contains('_')).count(), 0, "{told:?}");
            assert_eq!(told[0], "a-b: 1");
        }
    }
}
