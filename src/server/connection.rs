//! One connection from its first byte to its last.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep, timeout};

use super::bounds::{Bounds, H1_MEMORY};
use super::crowd::{Crowd, Member, Stage};
use super::drain::Drain;
use super::figures::Answers;
use super::http1::{self, Left};
use super::http2;
use super::router::Public;
use super::stream::{SCRAP, Stream};
use super::tunnel;
use crate::budget::{Account, Budget, Permit};
use crate::config::Subnet;
use crate::front::{Entry, Front};

/// What every HTTP/2 connection begins with (RFC 9113, 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes read to tell HTTP/1 from HTTP/2: a common request fits, so that no second read is needed.
const FIRST_READ: usize = 2 << 10;

/// How long a client that was answered before its request was whole may go on sending it, at most;
/// as nginx's `lingering_time`.
const FAREWELL: Duration = Duration::from_secs(30);

/// Pause of one who reads only to throw away, where there is more than [`SCRAP`]: at 16 MB/s even a large upload
/// comes to its end, and a flood takes no time from others.
const PAUSE: Duration = Duration::from_millis(1);

/// Who answers.
#[derive(Debug, Clone)]
pub(super) enum Handler {
    /// This program: the site, health.
    Public(Arc<Public>),
    /// This program, to whoever asks of it or of its siblings.
    Router(Router),
    /// The app, behind its front.
    Front(Arc<Front>, Entry),
}

/// What the connections of one kind of listener have in common.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) handler: Handler,
    /// Responses so far.
    pub(super) answered: Arc<Answers>,
    pub(super) drain: Drain,
    /// How long an idle connection is kept during a drain where no sibling takes it.
    pub(super) linger: Duration,
    pub(super) bounds: Bounds,
    pub(super) crowd: Crowd,
    pub(super) budget: Budget,
    /// Those whose connections are not counted by address.
    pub(super) proxies: Vec<Subnet>,
}

impl Host {
    /// The address whose connections are counted; none: that of a proxy stands for many clients, and so
    /// does a unix socket.
    fn counted_address(&self, stream: &Stream) -> Option<IpAddr> {
        let address = stream.peer()?.to_canonical();
        (!self.proxies.iter().any(|proxy| proxy.contains(address))).then_some(address)
    }

    /// A host with the same bounds for another door: what goes in there is not counted with the
    /// public responses, no drain closes it, and it waits for no bytes that others hold.
    pub(super) fn apart(&self, handler: Handler) -> Self {
        Self {
            handler,
            answered: Arc::default(),
            drain: Drain::default(),
            linger: self.linger,
            bounds: self.bounds.clone(),
            crowd: Crowd::default(),
            budget: Budget::unbounded(),
            proxies: self.proxies.clone(),
        }
    }
}

/// Serves one connection to its end. It has `patience` until its first byte. What is brought back
/// is idle, and for a sibling to go on with.
///
/// While nothing is under way, a connection is only a socket: it has no buffers, and hyper knows
/// nothing of it. That is so before its first request and again when it has been idle for a while,
/// and it is the one state in which a connection is closed or passed on by a drain.
pub(super) async fn serve(
    mut stream: Stream,
    host: Arc<Host>,
    patience: Duration,
) -> Option<Stream> {
    // One with too many connections already has no place.
    let place = host.crowd.enter(host.counted_address(&stream), host.bounds.connections)?;
    let member = Arc::clone(&place.member);
    let (protocol, mut first) =
        match first_bytes(&mut stream, &host, &member, Instant::now(), patience).await {
            First::Came(protocol, bytes) => (protocol, bytes),
            First::Never => return None,
            First::Elsewhere => return Some(stream),
        };
    let account = host.budget.account();
    if protocol == Protocol::Http2 {
        let serving = http2::serve(first, stream, &host, &account, &member);
        if let Some(stream) = Box::pin(serving).await {
            Box::pin(say_farewell(stream, host.bounds.farewell, &member)).await;
        }
        return None;
    }
    // What comes between two idle times is boxed, so that an idle connection does not hold the room for it.
    loop {
        // Before anything of the request is buffered but these bytes.
        let permit = open(&account, &host, &member).await?;
        let idle_since;
        let left = Box::pin(http1::serve(first, stream, &host, &account, &member)).await;
        match left {
            Left::Closed => return None,
            Left::Open(open) => {
                drop(permit);
                Box::pin(say_farewell(open, host.bounds.farewell, &member)).await;
                return None;
            }
            Left::Tunnel(open, sent, tunnel) => {
                drop(permit);
                open.find_out_when_gone();
                let idle = host.bounds.tunnel_idle;
                Box::pin(tunnel::run(*tunnel, open, &sent, idle, &account, &member)).await;
                return None;
            }
            Left::Idle(idle, unused, since) => (stream, first, idle_since) = (idle, unused, since),
        }
        drop(permit);
        if first.is_empty() {
            let patience = host.bounds.keep_alive;
            match first_bytes(&mut stream, &host, &member, idle_since, patience).await {
                First::Came(_, bytes) => first = bytes,
                First::Never => return None,
                First::Elsewhere => return Some(stream),
            }
        }
    }
}

/// The memory of an active connection; none: there was none in the time that a head may take.
async fn open(account: &Account, host: &Host, member: &Member) -> Option<Permit> {
    member.is(Stage::Queued);
    tokio::select! {
        biased;
        permit = account.open(H1_MEMORY) => Some(permit),
        () = sleep(host.bounds.head) => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What the first bytes of a connection tell; none: not enough of them yet.
pub(super) fn protocol_of(first: &[u8]) -> Option<Protocol> {
    let common = first.len().min(H2_PREFACE.len());
    if first[..common] != H2_PREFACE[..common] {
        Some(Protocol::Http1)
    } else if common == H2_PREFACE.len() {
        Some(Protocol::Http2)
    } else {
        None
    }
}

/// What came of waiting for the first bytes of a request.
enum First {
    Came(Protocol, Bytes),
    /// The client left, took too long, or sent nothing until the linger of a drain was over.
    Never,
    /// A sibling is to wait for them.
    Elsewhere,
}

/// Waits for the first bytes of a request, as it has done `since` then. No buffer is held while nothing
/// has come.
async fn first_bytes(
    stream: &mut Stream,
    host: &Host,
    member: &Member,
    since: Instant,
    patience: Duration,
) -> First {
    let mut bytes = BytesMut::new();
    member.is(Stage::Waiting(since));
    let deadline = sleep(patience);
    tokio::pin!(deadline);
    loop {
        // Before a look at what came, so that a client that is never silent leaves too: what lies in
        // the kernel's buffer goes with the socket.
        if bytes.is_empty() && host.drain.is_passing() {
            return First::Elsewhere;
        }
        tokio::select! {
            biased;
            ready = stream.readable() => if ready.is_err() { return First::Never },
            () = &mut deadline => return First::Never,
            () = member.asked_to_leave() => {
                if !bytes.is_empty() || !stream.has_unread() {
                    return First::Never;
                }
                member.stays();
                continue;
            }
            () = passed_on(host), if bytes.is_empty() => return First::Elsewhere,
            () = lingered(host), if bytes.is_empty() => {
                if !stream.has_unread() {
                    // A sibling that hangs may hold the socket too, which it was offered: to close it here
                    // would not end the connection then.
                    let _ = stream.shutdown().await;
                    return First::Never;
                }
            }
        }
        let was_empty = bytes.is_empty();
        bytes.reserve(FIRST_READ);
        match stream.try_read(&mut bytes) {
            Ok(0) => return First::Never,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if was_empty {
                    bytes = BytesMut::new();
                }
                continue;
            }
            Err(_) => return First::Never,
        }
        if let Some(protocol) = protocol_of(&bytes) {
            return First::Came(protocol, bytes.freeze());
        }
        if was_empty {
            // It has begun to say something, and is to come to the point.
            member.is(Stage::Begun(Instant::now()));
            deadline.as_mut().reset(Instant::now() + host.bounds.head.min(patience));
        }
    }
}

/// Waits until siblings take over what is idle; for ever where they do not any more.
async fn passed_on(host: &Host) {
    host.drain.passing().await;
    if host.drain.is_closing() {
        std::future::pending::<()>().await;
    }
}

/// Waits until connections end here and the linger is over.
async fn lingered(host: &Host) {
    host.drain.closing().await;
    sleep(host.linger).await;
}

/// Ends a connection so that the client can read everything that was sent: says that nothing more
/// comes, then reads until the client has closed its side too, or is silent. Closing a socket while
/// the client still sends would reset the connection (RFC 9112, 9.6).
async fn say_farewell(mut stream: Stream, patience: Duration, member: &Member) {
    member.is(Stage::Leaving(Instant::now()));
    let farewell = async {
        stream.shutdown().await?;
        loop {
            timeout(patience, stream.readable()).await??;
            match stream.discard() {
                Ok(0) => return Ok(()),
                // It goes on and on: others first.
                Ok(SCRAP) => sleep(PAUSE).await,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    };
    // However it ends, the connection is over.
    tokio::select! {
        _ = timeout(FAREWELL, farewell) => {}
        () = member.asked_to_leave() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_is_known_as_soon_as_the_bytes_tell() {
        assert_eq!(protocol_of(b""), None);
        assert_eq!(protocol_of(b"G"), Some(Protocol::Http1));
        assert_eq!(protocol_of(b"P"), None);
        assert_eq!(protocol_of(b"POST / HTTP/1.1"), Some(Protocol::Http1));
        assert_eq!(protocol_of(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"), None);
        assert_eq!(protocol_of(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0"), Some(Protocol::Http2));
        assert_eq!(protocol_of(b"PRI * HTTP/1.1\r\n\r\n"), Some(Protocol::Http1));
    }
}
