//! An HTTP/1 connection that is never closed on a request.
//!
//! hyper's own graceful shutdown closes a connection that is idle in its eyes at once. Here an
//! idle connection is kept for the linger, and then it is taken back from hyper: if bytes of a
//! next request are in hyper's buffer or in the kernel's, that request is served first.

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

/// How a stretch of a connection ended.
enum Outcome {
    /// hyper is done: closed by either side, or broken.
    Done,
    /// The client has been silent for too long in this phase.
    Silent(Phase),
}

/// Serves the connection to its end. Gives the stream back where the client still has it open and
/// may have something to read.
pub(super) async fn serve(
    mut first: Bytes,
    mut stream: Stream,
    host: &Arc<Host>,
    mut activity: Arc<Activity>,
) -> Option<Stream> {
    let builder = builder();
    loop {
        let exchange = Exchange::new(host, &activity);
        let io = TokioIo::new(Watched::new(first, stream, Arc::clone(&activity)));
        let mut connection = builder
            .serve_connection(io, service_fn(move |request| exchange.clone().answer(request)));

        let outcome = watch(&mut connection, host, &activity).await;
        let unparsed = match outcome {
            Outcome::Done | Outcome::Silent(Phase::Answering) => Bytes::new(),
            Outcome::Silent(_) => connection.into_parts().read_buf,
        };
        let mut released = activity.reclaim()?;
        match outcome {
            Outcome::Done if activity.ended() => return None,
            Outcome::Done => return Some(released),
            Outcome::Silent(Phase::Answering) => return None,
            Outcome::Silent(Phase::Receiving) => {
                released.write_all(TIMED_OUT).await.ok()?;
                return Some(released);
            }
            Outcome::Silent(Phase::Idle) if unparsed.is_empty() && !released.has_unread() => {
                return None;
            }
            Outcome::Silent(Phase::Idle) => {
                // A request came in the very last moment: serve it.
                (first, stream) = (unparsed, released);
                activity = Arc::new(Activity::default());
            }
        }
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

/// Drives the connection until it is done or the client is silent for too long.
async fn watch<S, B>(
    connection: &mut http1::Connection<TokioIo<Watched>, S>,
    host: &Host,
    activity: &Activity,
) -> Outcome
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
            return Poll::Ready(Outcome::Done);
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
            return Poll::Ready(Outcome::Silent(phase));
        }
    })
    .await
}

/// How long a connection may stay in a phase.
fn patience(phase: Phase, draining: bool, host: &Host) -> Duration {
    match phase {
        Phase::Idle if draining => host.linger,
        Phase::Idle => host.bounds.keep_alive,
        Phase::Receiving => host.bounds.head,
        Phase::Answering => host.bounds.stall,
    }
}
