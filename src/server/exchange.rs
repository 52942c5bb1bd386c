//! One request and its response: what happens around the router.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tower::Service as _;

use super::activity::{Activity, InFlight};
use super::connection::Host;

/// The service of one connection.
#[derive(Clone)]
pub(super) struct Exchange {
    router: Router,
    host: Arc<Host>,
    activity: Arc<Activity>,
}

impl Exchange {
    pub(super) fn new(host: &Arc<Host>, activity: &Arc<Activity>) -> Self {
        let (host, activity) = (Arc::clone(host), Arc::clone(activity));
        Self { router: host.router.clone(), host, activity }
    }

    /// Answers one request.
    pub(super) async fn answer(
        mut self,
        request: Request<Incoming>,
    ) -> Result<Response<Reply>, Infallible> {
        let in_flight = self.activity.begin();
        let version = request.version();
        // An empty body costs no allocation; nearly every request has one.
        let request =
            request.map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) });
        let mut response = self.router.call(request).await?;
        self.host.answered.fetch_add(1, Relaxed);
        if version < Version::HTTP_2 && self.host.drain.has_begun() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| Reply { body, _in_flight: in_flight }))
    }
}

/// A response body; its request is in flight until it is dropped.
pub(super) struct Reply {
    body: Body,
    _in_flight: InFlight,
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
