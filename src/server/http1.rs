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
use super::connection::Host;
use super::exchange::Exchange;
use super::stream::Stream;

/// Sent to a client that began a request and did not finish its head in time (RFC 9110, 15.5.9).
const TIMED_OUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What is left of a connection when hyper is done with it.
pub(super) enum Left {
    /// It is idle. These bytes of a next request had come already.
    Idle(Stream, Bytes),
    /// Its last response was sent, and the client may still have to read it.
    Open(Stream),
    /// Nothing.
    Closed,
}

/// Serves requests until the connection is idle or ends. It begins with bytes read from it before.
pub(super) async fn serve(first: Bytes, stream: Stream, host: &Arc<Host>) -> Left {
    let activity = Arc::new(Activity::default());
    let exchange = Exchange::new(host, &activity);
    let io = TokioIo::new(Watched::new(first, stream, Arc::clone(&activity)));
    let mut connection =
        builder().serve_connection(io, service_fn(move |request| exchange.clone().answer(request)));

    let silent = watch(&mut connection, host, &activity).await;
    let unused = connection.into_parts().read_buf;
    let Some(mut stream) = activity.reclaim() else {
        return Left::Closed;
    };
    match silent {
        None if activity.ended() => Left::Closed,
        None => Left::Open(stream),
        Some(Phase::Idle) => Left::Idle(stream, unused),
        Some(Phase::Receiving) => match stream.write_all(TIMED_OUT).await {
            Ok(()) => Left::Open(stream),
            Err(_) => Left::Closed,
        },
        Some(Phase::Answering) => Left::Closed,
    }
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // hyper's head timeout also runs while a connection is idle; `watch` tells the two apart.
        .header_read_timeout(None)
        .max_header_size(HEAD_SIZE)
        .max_buf_size(BUFFER_SIZE)
        // A client may close its sending side after the request and still wait for the response.
        .half_close(true);
    builder
}

/// Drives the connection until hyper is done with it (none), or until it stayed in one phase for
/// too long (which).
async fn watch<S, B>(
    connection: &mut http1::Connection<TokioIo<Watched>, S>,
    host: &Host,
    activity: &Activity,
) -> Option<Phase>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut draining = false;
    let mut drain = pin!(host.drain.begun());
    let mut deadline = pin!(sleep(host.bounds.head));
    // What the deadline was set for, and how many bytes had moved by then.
    let mut since = None;
    let mut moved = 0;
    poll_fn(|cx| {
        // The connection comes first: a request that is there is never overtaken by the drain.
        if Pin::new(&mut *connection).poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        draining = draining || drain.as_mut().poll(cx).is_ready();
        loop {
            let phase = activity.phase();
            let now = Some((phase, activity.requests(), draining));
            if since != now {
                since = now;
                moved = activity.moved();
                deadline.as_mut().reset(Instant::now() + patience(phase, draining, host));
            }
            if deadline.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if phase == Phase::Answering && moved != activity.moved() {
                since = None;
                continue;
            }
            return Poll::Ready(Some(phase));
        }
    })
    .await
}

/// How long a connection may stay in a phase.
fn patience(phase: Phase, draining: bool, host: &Host) -> Duration {
    match phase {
        // At once: how long it may stay idle during a drain is not judged here.
        Phase::Idle if draining => Duration::ZERO,
        Phase::Idle => host.bounds.park,
        Phase::Receiving => host.bounds.head,
        Phase::Answering => host.bounds.stall,
    }
}
