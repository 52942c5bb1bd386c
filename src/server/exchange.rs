//! One request and its response: what happens around the one who answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tower::Service as _;

use super::activity::{Activity, InFlight};
use super::bounds::{H2_SMALL_HEAD, SMALL_ANSWER};
use super::connection::{Handler, Host};
use super::figures::Giver;
use super::router::{self, short};
use super::stream::Stream;
use crate::budget::{Account, Extra, Lane};
use crate::front::{Begun, Early, Entry, FrontBody, Peer, Seen, Upload};

/// Answers that a connection still gets here while siblings take over what is idle, without being idle
/// once in between. Then it is told to go: a client that always has its next request on the way would
/// keep the drain from its end. One that waits for its answers gets there once by bad luck, not so often.
const BUSY: u64 = 4;

/// The service of one connection.
pub(super) struct Exchange {
    host: Arc<Host>,
    activity: Arc<Activity>,
    account: Arc<Account>,
    /// Answers since a drain has begun.
    late: AtomicU64,
    /// Who asks; none: the one who answers does not want to know.
    peer: Option<Peer>,
}

impl Exchange {
    pub(super) fn new(
        host: &Arc<Host>,
        activity: &Arc<Activity>,
        account: &Arc<Account>,
        stream: &Stream,
    ) -> Arc<Self> {
        activity.expect_back(match &host.handler {
            // A sibling closes nothing before it has its answer, unless its own client has left.
            Handler::Front(_, Entry::Relay) => Duration::ZERO,
            _ => host.bounds.hang_up,
        });
        let peer = match &host.handler {
            Handler::Public(_) | Handler::Router(_) => None,
            Handler::Front(front, _) => Some(front.peer(stream.peer())),
        };
        let late = AtomicU64::new(0);
        let (host, activity, account) =
            (Arc::clone(host), Arc::clone(activity), Arc::clone(account));
        Arc::new(Self { host, activity, account, late, peer })
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
        mut in_flight: InFlight,
        seen: Option<Seen>,
    ) -> Result<Response<Reply>, Infallible> {
        let version = request.version();
        let Ok(head) = self.room_for_head(&request) else {
            let refusal = short(StatusCode::SERVICE_UNAVAILABLE).map(Kind::Router);
            in_flight.is_in_hand(false);
            return Ok(refusal.map(|body| Reply::new(body, None, None, None, in_flight)));
        };
        let mut begun = None;
        let (mut response, tunnel) = match (&self.host.handler, &self.peer) {
            (Handler::Front(front, entry), Some(peer)) => {
                begun = peer.begin(version).await;
                let request = request.map(|body| self.upload(body));
                // What is small for everybody is not moved about with the room that a front needs.
                let answered = Box::pin(front.answer(request, peer, *entry, seen)).await;
                (answered.response.map(|body| Kind::Front(Box::new(body))), answered.tunnel)
            }
            (Handler::Public(public), _) => {
                let answered = self.by_itself(request, seen, async |it| public.answer(it).await);
                (answered.await.map(Kind::Router), None)
            }
            (Handler::Router(router), _) => {
                let answered = self.by_itself(request, seen, async |it| {
                    let Ok(response) = router.clone().call(it).await;
                    response
                });
                (Box::pin(answered).await.map(Kind::Router), None)
            }
            // `new` makes a peer for every front.
            (Handler::Front(..), None) => (Response::new(Kind::Router(Body::empty())), None),
        };
        let giver = match &self.host.handler {
            Handler::Public(_) | Handler::Router(_) => Giver::Own,
            Handler::Front(..) if response.extensions().get::<Early>().is_some() => Giver::Early,
            Handler::Front(..) => Giver::App,
        };
        self.host.answered.note(response.status(), giver);
        if version < Version::HTTP_2 && tunnel.is_none() && self.is_last() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let endless = matches!(response.body(), Kind::Front(body) if body.is_endless());
        self.activity.answers(endless, tunnel);
        in_flight.is_in_hand(false);
        let lane = || Lane::new(Arc::clone(&self.account), self.host.bounds.piece);
        let lane = (!is_small(&response)).then(lane);
        Ok(response.map(|body| Reply::new(body, lane, head, begun, in_flight)))
    }

    /// The answer of this program itself.
    async fn by_itself(
        &self,
        request: Request<Incoming>,
        seen: Option<Seen>,
        answer: impl AsyncFnOnce(Request<Body>) -> Response<Body>,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        if let Some(response) = router::before_all(&parts, seen) {
            return response;
        }
        let upload = self.upload(body);
        let late = upload.as_ref().map(Upload::late);
        // An empty body costs no allocation; nearly every request has one.
        let body = upload.map_or_else(Body::empty, Body::new);
        let response = answer(Request::from_parts(parts, body)).await;
        let is_late = late.is_some_and(|late| late.is_so());
        if is_late { short(StatusCode::REQUEST_TIMEOUT) } else { response }
    }

    /// The body of a request; none: it has none.
    fn upload(&self, body: Incoming) -> Option<Upload> {
        let pace = self.host.bounds.pace;
        (!body.is_end_stream()).then(|| Upload::new(body, Arc::clone(&self.account), pace))
    }

    /// Room for a large head on a connection that may bring many at a time.
    fn room_for_head(&self, request: &Request<Incoming>) -> Result<Option<Extra>, ()> {
        if request.version() < Version::HTTP_2 {
            return Ok(None);
        }
        let headers = request.headers().iter();
        let size = headers.map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
            + request.uri().path_and_query().map_or(0, |path| path.as_str().len());
        if size <= H2_SMALL_HEAD {
            return Ok(None);
        }
        self.account.extra(size).map(Some).ok_or(())
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
    /// What its pieces are counted by; none: it is small.
    lane: Option<Lane>,
    /// It has broken off, which is told with the next look.
    broken: Option<axum::Error>,
    _head: Option<Extra>,
    _begun: Option<Begun>,
    in_flight: InFlight,
}

impl Reply {
    fn new(
        body: Kind,
        lane: Option<Lane>,
        head: Option<Extra>,
        begun: Option<Begun>,
        in_flight: InFlight,
    ) -> Self {
        Self { body, lane, broken: None, _head: head, _begun: begun, in_flight }
    }
}

/// Of whom the body is.
enum Kind {
    Router(Body),
    Front(Box<FrontBody>),
}

/// Whether an answer costs nothing beyond its request.
fn is_small(response: &Response<Kind>) -> bool {
    let length = response.body().size_hint().upper().or_else(|| {
        // The body of a file does not say how long it is.
        response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    });
    length.is_some_and(|length| length <= SMALL_ANSWER)
}

impl Kind {
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Router(body) => body.size_hint(),
            Self::Front(body) => body.size_hint(),
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self {
            Self::Router(body) => Pin::new(body).poll_frame(cx),
            Self::Front(body) => Pin::new(&mut **body).poll_frame(cx).map_err(axum::Error::new),
        }
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if let Some(lane) = &mut this.lane {
            ready!(lane.poll_room(cx));
        }
        let frame = this.body.poll_frame(cx);
        this.in_flight.is_in_hand(frame.is_pending());
        match (frame, &mut this.lane) {
            (Poll::Ready(Some(Err(error))), _) => {
                // hyper would throw away what it has not written yet: the client is to see what came before.
                this.broken = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            (Poll::Ready(Some(Ok(frame))), Some(lane)) => {
                Poll::Ready(Some(Ok(frame.map_data(|data| lane.count(data)))))
            }
            (Poll::Pending, Some(lane)) => {
                // The app may be silent for hours; a file has its buffers meanwhile.
                if let Kind::Front(_) = this.body {
                    lane.rest();
                }
                Poll::Pending
            }
            (frame, _) => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Kind::Router(body) => body.is_end_stream(),
            Kind::Front(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
