//! The requests of an HTTP/1 connection, while they follow each other closely.
//!
//! hyper's own graceful shutdown closes a connection that is idle in its eyes at once, and a
//! half-received request is idle in its eyes. Here hyper is never asked to: a connection that is
//! idle is taken back from it, with the bytes it had not used yet.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep};

use super::activity::{Activity, Phase, Watched};
use super::bounds::{BUFFER_SIZE, HEAD_SIZE};
use super::connection::{Handler, Host};
use super::crowd::{Member, Stage};
use super::exchange::Exchange;
use super::stream::Stream;
use crate::budget::Account;
use crate::front::Tunnel;

/// Sent to a client that began a request and did not finish it in time (RFC 9110, 15.5.9).
const TIMED_OUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Sent to a client whose request nobody answered in time (RFC 9110, 15.6.5).
const UNANSWERED: &[u8] =
    b"HTTP/1.1 504 Gateway Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What is left of a connection when hyper is done with it.
pub(super) enum Left {
    /// It has been idle since then. These bytes of a next request had come already.
    Idle(Stream, Bytes, Instant),
    /// Its last response was sent, and the client may still have to read it.
    Open(Stream),
    /// It goes on in another protocol. These bytes of that had come already.
    Tunnel(Stream, Bytes, Box<Tunnel>),
    /// Nothing.
    Closed,
}

/// Serves requests until the connection is idle or ends. It begins with bytes read from it before.
pub(super) async fn serve(
    first: Bytes,
    stream: Stream,
    host: &Arc<Host>,
    account: &Arc<Account>,
    member: &Member,
) -> Left {
    let activity = Arc::new(Activity::of_http1());
    let exchange = Exchange::new(host, &activity, account, &stream);
    member.is(Stage::serving(&activity, account, true));
    let io =
        TokioIo::new(Watched::of_http1(first, stream, Arc::clone(&activity), Arc::clone(account)));
    let mut connection =
        builder().serve_connection(io, service_fn(move |request| exchange.call(request)));

    let done = watch(&mut connection, host, &activity, member).await;
    let unused = connection.into_parts().read_buf;
    let Some((mut stream, next)) = activity.reclaim() else {
        return Left::Closed;
    };
    let late = match done {
        Done::Silent(Phase::Idle) => {
            return Left::Idle(stream, both(unused, next), activity.since());
        }
        // Whoever waits outside has waited for longer than this client will read an answer.
        Done::Crowded => return Left::Closed,
        Done::Silent(Phase::Receiving) => TIMED_OUT,
        Done::Silent(Phase::Answering) if activity.is_answered() => return Left::Closed,
        Done::Silent(Phase::Answering) if activity.is_within_request() => TIMED_OUT,
        Done::Silent(Phase::Answering) => UNANSWERED,
        Done::Well => {
            return match activity.tunnel() {
                Some(tunnel) => Left::Tunnel(stream, both(unused, next), tunnel),
                None if activity.ended() => Left::Closed,
                None => Left::Open(stream),
            };
        }
        Done::Badly(error) => {
            if let (Handler::Front(front, _), true) = (&host.handler, error.is_parse()) {
                front.unreadable(&error);
            }
            return if activity.ended() { Left::Closed } else { Left::Open(stream) };
        }
    };
    match stream.write_all(late).await {
        Ok(()) => Left::Open(stream),
        Err(_) => Left::Closed,
    }
}

/// What hyper has not used, and what it has not had.
fn both(unused: Bytes, next: Bytes) -> Bytes {
    match (unused.is_empty(), next.is_empty()) {
        // An empty slice of a buffer would keep it for as long as the connection is idle.
        (true, true) => Bytes::new(),
        (false, true) => unused,
        (true, false) => next,
        (false, false) => [unused, next].concat().into(),
    }
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // hyper's head timeout also runs while a connection is idle; `watch` tells the two apart.
        .header_read_timeout(None)
        .max_header_size(HEAD_SIZE)
        .max_buf_size(BUFFER_SIZE)
        // A client may close its sending side after the request and still wait for the response. That
        // is seen to by `Watched`: hyper would not notice either when such a client has left.
        .half_close(false);
    builder
}

/// How hyper was done with a connection.
enum Done {
    /// It has ended it.
    Well,
    /// It could not go on.
    Badly(hyper::Error),
    /// It was not done: the connection stayed in this phase for too long.
    Silent(Phase),
    /// It was not done: the connection is to make room.
    Crowded,
}

/// Drives the connection until hyper is done with it, or until it stayed in one phase for too long.
async fn watch<S, B>(
    connection: &mut http1::Connection<TokioIo<Watched>, S>,
    host: &Host,
    activity: &Activity,
    member: &Member,
) -> Done
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut draining = false;
    let mut drain = pin!(host.drain.begun());
    let mut deadline = pin!(sleep(host.bounds.head));
    // What the deadline was set for, when, and how many bytes had moved by then.
    let mut since = None;
    let mut start = Instant::now();
    let mut moved = 0;
    poll_fn(|cx| {
        // The connection comes first: a request that is there is never overtaken by the drain.
        if let Poll::Ready(done) = Pin::new(&mut *connection).poll(cx) {
            return Poll::Ready(done.map_or_else(Done::Badly, |()| Done::Well));
        }
        draining = draining || drain.as_mut().poll(cx).is_ready();
        loop {
            let phase = activity.phase();
            if draining && phase == Phase::Idle {
                // At once, and not with the next tick of a timer: by then a client that is quick has begun
                // its next request. How long it may stay idle is not judged here.
                return Poll::Ready(Done::Silent(phase));
            }
            let now = Some((phase, activity.requests()));
            if since != now {
                since = now;
                moved = activity.moved();
                start = Instant::now();
                activity.change(start);
                deadline.as_mut().reset(start + patience(phase, host, activity));
            }
            if member.poll_leave(cx).is_ready() {
                return Poll::Ready(if phase == Phase::Idle {
                    Done::Silent(phase)
                } else {
                    Done::Crowded
                });
            }
            if deadline.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if phase == Phase::Answering {
                if moved != activity.moved() {
                    since = None;
                    continue;
                }
                // Who is waited for may have changed.
                let until = start + patience(phase, host, activity);
                if Instant::now() < until {
                    deadline.as_mut().reset(until);
                    continue;
                }
            }
            return Poll::Ready(Done::Silent(phase));
        }
    })
    .await
}

/// How long a connection may stay in a phase.
fn patience(phase: Phase, host: &Host, activity: &Activity) -> Duration {
    let bounds = &host.bounds;
    match phase {
        Phase::Idle => bounds.park,
        Phase::Receiving => bounds.head,
        // The shorter one, and then again: who is waited for changes without notice.
        Phase::Answering if activity.client_waits() => bounds.silence,
        Phase::Answering => bounds.stall,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf as _;

    use super::*;

    /// A buffer that others can see the end of.
    #[derive(Clone)]
    struct Buffer(Arc<[u8]>);

    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    #[test]
    fn an_idle_connection_keeps_no_buffer_of_which_it_needs_nothing() {
        let buffer = Buffer(Arc::from(&b"GET / HTTP/1.1"[..]));
        let used = || {
            let mut bytes = Bytes::from_owner(buffer.clone());
            bytes.advance(bytes.len());
            bytes
        };
        let left = both(used(), used());
        assert_eq!((left.len(), Arc::strong_count(&buffer.0)), (0, 1));
        let left = both(used(), Bytes::from_static(b"GET"));
        assert_eq!((&left[..], Arc::strong_count(&buffer.0)), (&b"GET"[..], 1));
        assert_eq!(both(Bytes::from_static(b"GET"), used()), "GET");
        assert_eq!(both(Bytes::from_static(b"GET "), Bytes::from_static(b"/")), "GET /");
    }
}
