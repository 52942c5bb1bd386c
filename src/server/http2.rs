//! An HTTP/2 connection, without TLS (h2c with prior knowledge).
//!
//! The protocol has its own way to end a connection without losing a request: GOAWAY, in two
//! steps around a ping (RFC 9113, 6.8). hyper does that; here is when.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{Instant, sleep};

use super::activity::{Activity, Phase, Watched};
use super::bounds::{
    H2_MEMORY, H2_SEND_BUFFER, H2_STREAM_MEMORY, H2_STREAMS, H2_WINDOW, HEAD_SIZE,
    LEAST_H2_STREAMS, LEAST_H2_WINDOW,
};
use super::connection::Host;
use super::crowd::{Member, Stage};
use super::exchange::Exchange;
use super::stream::Stream;
use crate::budget::{Account, Extra, Permit};

/// Looks at a connection within the time that it may be without progress: it ends at most a quarter late.
const LOOKS: u32 = 4;

/// How long an idle client whose place is needed may still send what it has begun, after GOAWAY.
const GOODBYE: Duration = Duration::from_millis(50);

/// Serves the connection to its end. Gives the stream back where the client still has it open.
pub(super) async fn serve(
    first: Bytes,
    stream: Stream,
    host: &Arc<Host>,
    account: &Arc<Account>,
    member: &Member,
) -> Option<Stream> {
    let room = room(host, account, member).await?;
    let activity = Arc::new(Activity::default());
    let exchange = Exchange::new(host, &activity, account, &stream);
    let io = TokioIo::new(Watched::of_http2(first, stream, Arc::clone(&activity)));
    member.is(Stage::serving(&activity, account, false));
    let done = {
        let service = service_fn(move |request| exchange.call(request));
        let connection = builder(host, &room).serve_connection(io, service);
        let mut connection = pin!(connection);
        let mut drain = pin!(host.drain.begun());
        let mut deadline = pin!(sleep(host.bounds.keep_alive));
        let mut stall = pin!(sleep(host.bounds.stall / LOOKS));
        let mut progress = Progress::of(&activity, account);
        let mut since = activity.requests();
        let mut closing = false;
        poll_fn(|cx| {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(true);
            }
            let is_busy = || activity.phase() == Phase::Answering || account.unsent() > 0;
            let leaves = member.poll_leave(cx).is_ready();
            if leaves && is_busy() {
                return Poll::Ready(false);
            }
            if !closing && (leaves || drain.as_mut().poll(cx).is_ready()) {
                closing = true;
                if leaves {
                    deadline.as_mut().reset(Instant::now() + GOODBYE);
                }
                connection.as_mut().graceful_shutdown();
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(true);
                }
            }
            if since != activity.requests() {
                since = activity.requests();
                let now = Instant::now();
                activity.change(now);
                deadline.as_mut().reset(now + host.bounds.keep_alive);
            }
            while stall.as_mut().poll(cx).is_ready() {
                let now = Instant::now();
                let idle = progress.look(now, &activity, account);
                let client_is_slow = activity.is_replying()
                    || account.unsent() > 0
                    || account.awaiting_since().is_some();
                let most = if client_is_slow { host.bounds.stall } else { host.bounds.silence };
                if is_busy() && idle >= most {
                    return Poll::Ready(false);
                }
                stall.as_mut().reset(now + host.bounds.stall / LOOKS);
            }
            while deadline.as_mut().poll(cx).is_ready() {
                if !is_busy() {
                    if closing {
                        return Poll::Ready(false);
                    }
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                    if connection.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(true);
                    }
                }
                deadline.as_mut().reset(Instant::now() + host.bounds.stall);
            }
            Poll::Pending
        })
        .await
    };
    let (stream, _) = activity.reclaim()?;
    (done && !activity.ended()).then_some(stream)
}

/// What a connection has of the budget, and what it may be told to use of it.
struct Room {
    streams: u32,
    window: usize,
    _least: Permit,
    _more: (Option<Extra>, Option<Extra>),
}

/// Takes what a connection needs; none: it was not there in time.
async fn room(host: &Host, account: &Arc<Account>, member: &Member) -> Option<Room> {
    member.is(Stage::QueuedForMany(Instant::now()));
    let bytes = |streams: u32| streams as usize * H2_STREAM_MEMORY;
    let least = tokio::select! {
        biased;
        permit = account.open_multiplexed(H2_MEMORY + bytes(LEAST_H2_STREAMS)) => permit,
        () = sleep(host.bounds.head) => return None,
        () = member.asked_to_leave() => return None,
    };
    // Half as many, and again, until it is within the connection's share.
    let more = std::iter::successors(Some(H2_STREAMS - LEAST_H2_STREAMS), |more| Some(more / 2));
    let mut more = more.take_while(|more| *more > 0);
    let found = more.find_map(|more| Some((more, account.lasting_extra(bytes(more))?)));
    let (more, streams) = found.unzip();
    let window = account.lasting_extra(H2_WINDOW - LEAST_H2_WINDOW);
    Some(Room {
        streams: LEAST_H2_STREAMS + more.unwrap_or(0),
        window: if window.is_some() { H2_WINDOW } else { LEAST_H2_WINDOW },
        _least: least,
        _more: (streams, window),
    })
}

/// How far a connection has got, and when that was.
struct Progress {
    at: Instant,
    moved: u64,
    requests: u64,
}

impl Progress {
    fn of(activity: &Activity, account: &Account) -> Self {
        Self { at: Instant::now(), moved: account.progress(), requests: activity.requests() }
    }

    /// How long it has not got any further. Frames that carry nothing are no progress.
    fn look(&mut self, now: Instant, activity: &Activity, account: &Account) -> Duration {
        let (moved, requests) = (account.progress(), activity.requests());
        if (moved, requests) != (self.moved, self.requests) {
            *self = Self { at: now, moved, requests };
        }
        now.saturating_duration_since(self.at)
    }
}

fn builder(host: &Host, room: &Room) -> http2::Builder<TokioExecutor> {
    let window = u32::try_from(room.window).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(room.streams)
        .max_header_list_size(u32::try_from(HEAD_SIZE).unwrap_or(u32::MAX))
        .initial_connection_window_size(window)
        .initial_stream_window_size(window)
        .max_send_buf_size(H2_SEND_BUFFER)
        // A client that vanished without a word is found by a ping that brings no answer.
        .keep_alive_interval(host.bounds.stall)
        .keep_alive_timeout(host.bounds.head);
    builder
}
