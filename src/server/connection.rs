//! One connection from its first byte to its last.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use super::bounds::Bounds;
use super::crowd::Crowd;
use super::drain::Drain;
use super::figures::Answers;
use super::http1::{self, Left};
use super::http2;
use super::stream::Stream;
use crate::front::{Entry, Front};

/// What every HTTP/2 connection begins with (RFC 9113, 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes read to tell HTTP/1 from HTTP/2: a common request fits, so that no second read is needed.
const FIRST_READ: usize = 2 << 10;

/// How long a client that was answered before its request was whole may go on sending it, at most;
/// as nginx's `lingering_time`.
const FAREWELL: Duration = Duration::from_secs(30);

/// Who answers.
#[derive(Debug, Clone)]
pub(super) enum Handler {
    /// This program: the site, health.
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
}

impl Host {
    /// A host with the same bounds for another door: what goes in there is not counted with the
    /// public responses, and no drain closes it.
    pub(super) fn apart(&self, handler: Handler) -> Self {
        Self {
            handler,
            answered: Arc::default(),
            drain: Drain::default(),
            linger: self.linger,
            bounds: self.bounds.clone(),
            crowd: Crowd::default(),
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
    let (protocol, mut first) = match first_bytes(&mut stream, &host, patience).await {
        First::Came(protocol, bytes) => (protocol, bytes),
        First::Never => return None,
        First::Elsewhere => return Some(stream),
    };
    if protocol == Protocol::Http2 {
        if let Some(stream) = Box::pin(http2::serve(first, stream, &host)).await {
            say_farewell(stream, host.bounds.farewell).await;
        }
        return None;
    }
    loop {
        // Boxed, so that an idle connection does not hold the room for it.
        match Box::pin(http1::serve(first, stream, &host)).await {
            Left::Closed => return None,
            Left::Open(open) => {
                say_farewell(open, host.bounds.farewell).await;
                return None;
            }
            Left::Tunnel(open, sent, tunnel) => {
                open.find_out_when_gone();
                tunnel.run(open, &sent).await;
                return None;
            }
            Left::Idle(idle, unused) => (stream, first) = (idle, unused),
        }
        if first.is_empty() {
            match first_bytes(&mut stream, &host, host.bounds.keep_alive).await {
                First::Came(_, bytes) => first = bytes,
                First::Never => return None,
                First::Elsewhere => return Some(stream),
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// What the first bytes of a connection tell; none: not enough of them yet.
fn protocol_of(first: &[u8]) -> Option<Protocol> {
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

/// Waits for the first bytes of a request. No buffer is held while nothing has come.
async fn first_bytes(stream: &mut Stream, host: &Host, patience: Duration) -> First {
    let mut bytes = BytesMut::new();
    let place = host.crowd.wait();
    let deadline = sleep(patience);
    tokio::pin!(deadline);
    loop {
        // Before a look at what came, so that a client that is never silent leaves too: what lies in
        // the kernel's buffer goes with the socket.
        if bytes.is_empty() && host.drain.is_passing() {
            return First::Elsewhere;
        }
        let ready = tokio::select! {
            biased;
            ready = stream.readable() => ready,
            () = &mut deadline => return First::Never,
            () = place.asked_to_leave() => {
                if bytes.is_empty() && !stream.has_unread() {
                    return First::Never;
                }
                stream.readable().await
            }
            () = passed_on(host), if bytes.is_empty() => return First::Elsewhere,
            () = lingered(host), if bytes.is_empty() => {
                if !stream.has_unread() {
                    // A sibling that hangs may hold the socket too, which it was offered: to close it here
                    // would not end the connection then.
                    let _ = stream.shutdown().await;
                    return First::Never;
                }
                stream.readable().await
            }
        };
        bytes.reserve(FIRST_READ);
        match ready.and_then(|()| stream.try_read(&mut bytes)) {
            Ok(0) => return First::Never,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return First::Never,
        }
        if let Some(protocol) = protocol_of(&bytes) {
            return First::Came(protocol, bytes.freeze());
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
async fn say_farewell(mut stream: Stream, patience: Duration) {
    let farewell = async {
        stream.shutdown().await?;
        let mut scrap = BytesMut::with_capacity(FIRST_READ);
        while timeout(patience, stream.read_buf(&mut scrap)).await?? > 0 {
            scrap.clear();
        }
        std::io::Result::Ok(())
    };
    // However it ends, the connection is over.
    let _ = timeout(FAREWELL, farewell).await;
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
