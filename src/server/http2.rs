//! An HTTP/2 connection, without TLS (h2c with prior knowledge).
//!
//! The protocol has its own way to end a connection without losing a request: GOAWAY, in two
//! steps around a ping (RFC 9113, 6.8). hyper does that; here is when.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{Instant, sleep};

use super::activity::{Activity, Phase, Watched};
use super::bounds::{H2_SEND_BUFFER, H2_STREAMS, HEAD_SIZE};
use super::connection::Host;
use super::exchange::Exchange;
use super::stream::Stream;

/// Serves the connection to its end. Gives the stream back where the client still has it open.
pub(super) async fn serve(first: Bytes, stream: Stream, host: &Arc<Host>) -> Option<Stream> {
    let activity = Arc::new(Activity::default());
    let exchange = Exchange::new(host, &activity, &stream);
    let io = TokioIo::new(Watched::new(first, stream, Arc::clone(&activity)));
    let done = {
        let connection =
            builder(host).serve_connection(io, service_fn(move |request| exchange.call(request)));
        let mut connection = pin!(connection);
        let mut drain = pin!(host.drain.begun());
        let mut deadline = pin!(sleep(host.bounds.keep_alive));
        let mut since = activity.requests();
        let mut closing = false;
        poll_fn(|cx| {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(true);
            }
            if !closing && drain.as_mut().poll(cx).is_ready() {
                closing = true;
                connection.as_mut().graceful_shutdown();
                return connection.as_mut().poll(cx).map(|_| true);
            }
            if since != activity.requests() {
                since = activity.requests();
                deadline.as_mut().reset(Instant::now() + host.bounds.keep_alive);
            }
            while deadline.as_mut().poll(cx).is_ready() {
                if activity.phase() != Phase::Answering {
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

fn builder(host: &Host) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS)
        .max_header_list_size(u32::try_from(HEAD_SIZE).unwrap_or(u32::MAX))
        .max_send_buf_size(H2_SEND_BUFFER)
        // A client that vanished without a word is found by a ping that brings no answer.
        .keep_alive_interval(host.bounds.stall)
        .keep_alive_timeout(host.bounds.head);
    builder
}
