//! One request and its response: what happens around the one who answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tower::Service as _;

use super::activity::{Activity, InFlight};
use super::connection::{Handler, Host};
use super::stream::Stream;
use crate::front::{FrontBody, Peer, Seen};

/// Answers that a connection still gets here while siblings take over what is idle, without being idle
/// once in between. Then it is told to go: a client that always has its next request on the way would
/// keep the drain from its end. One that waits for its answers gets there once by bad luck, not so often.
const BUSY: u64 = 4;

/// The service of one connection.
pub(super) struct Exchange {
    host: Arc<Host>,
    activity: Arc<Activity>,
    /// Answers since a drain has begun.
    late: AtomicU64,
    /// Who asks; none: the one who answers does not want to know.
    peer: Option<Peer>,
}

impl Exchange {
    pub(super) fn new(host: &Arc<Host>, activity: &Arc<Activity>, stream: &Stream) -> Arc<Self> {
        let peer = match &host.handler {
            Handler::Router(_) => None,
            Handler::Front(front, _) => Some(front.peer(stream.peer())),
        };
        let late = AtomicU64::new(0);
        Arc::new(Self { host: Arc::clone(host), activity: Arc::clone(activity), late, peer })
    }

    /// Answers one request. To be called as soon as its head has come, before more is read.
    pub(super) fn call(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Reply>, Infallible>> + Send + use<> {
        let (in_flight, seen) = self.activity.begin();
        Arc::clone(self).answer(request, in_flight, seen)
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        in_flight: InFlight,
        seen: Option<Seen>,
    ) -> Result<Response<Reply>, Infallible> {
        let version = request.version();
        let (mut response, tunnel) = match (&self.host.handler, &self.peer) {
            (Handler::Front(front, entry), Some(peer)) => {
                let answered = front.answer(request, peer, *entry, seen).await;
                (answered.response.map(Kind::Front), answered.tunnel)
            }
            (Handler::Router(router), _) => {
                // An empty body costs no allocation; nearly every request has one.
                let request = request
                    .map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) });
                (router.clone().call(request).await?.map(Kind::Router), None)
            }
            // `new` makes a peer for every front.
            (Handler::Front(..), None) => (Response::new(Kind::Router(Body::empty())), None),
        };
        self.host.answered.note(response.status());
        if version < Version::HTTP_2 && tunnel.is_none() && self.is_last() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let endless = matches!(response.body(), Kind::Front(body) if body.is_endless());
        self.activity.answers(endless, tunnel);
        Ok(response.map(|body| Reply { body, _in_flight: in_flight }))
    }

    /// Whether the answer is the last one of its connection.
    fn is_last(&self) -> bool {
        let drain = &self.host.drain;
        // Until it is known whether siblings take over what is idle, nobody is told to leave.
        drain.has_begun()
            && (drain.is_closing()
                || (drain.is_passing() && self.late.fetch_add(1, Relaxed) >= BUSY))
    }
}

/// A response body; its request is in flight until it is dropped.
pub(super) struct Reply {
    body: Kind,
    _in_flight: InFlight,
}

/// Of whom the body is.
#[expect(clippy::large_enum_variant, reason = "a box for each answer of an app costs")]
enum Kind {
    Router(Body),
    Front(FrontBody),
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.body {
            Kind::Router(body) => Pin::new(body).poll_frame(cx),
            Kind::Front(body) => Pin::new(body).poll_frame(cx).map_err(axum::Error::new),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Kind::Router(body) => body.is_end_stream(),
            Kind::Front(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Kind::Router(body) => body.size_hint(),
            Kind::Front(body) => body.size_hint(),
        }
    }
}
