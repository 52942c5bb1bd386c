//! What is answered at which path.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::any;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::bounds::DISCARD_SIZE;
use super::figures::{Answers, Figures};
use super::site::Site;
use crate::front::{Seen, check_request};
use crate::health::Status;

/// Answered at `/` where no site is configured.
const NO_SITE: &str = "romuo serves here; no site is configured yet\n";

/// What may be done with what is served here.
const READS: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// What the public listeners answer: health at its configured path, the site everywhere else. They are two, and each
/// request is for one of them: a router would cost it more than the way to most answers.
#[derive(Debug)]
pub(super) struct Public {
    health_path: Box<str>,
    health: Health,
    site: Option<Site>,
}

impl Public {
    pub(super) fn new(health_path: &str, health: Health, site: Option<Site>) -> Self {
        let health = Health { speaker: Speaker::App, ..health };
        // The configuration takes no path without its slash.
        let health_path = format!("/{}", health_path.trim_start_matches('/')).into();
        Self { health_path, health, site }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let is_head = request.method() == Method::HEAD;
        // What is large on its way is not moved about with what is small.
        let mut response = if request.uri().path() == &*self.health_path {
            Box::pin(self.health.clone().answer(request)).await
        } else if let Some(site) = &self.site {
            Box::pin(site.answer(request)).await
        } else {
            no_site(request).await
        };
        if is_head {
            let length = response
                .body()
                .size_hint()
                .exact()
                .filter(|_| !response.headers().contains_key(CONTENT_LENGTH));
            if let Some(length) = length {
                response.headers_mut().insert(CONTENT_LENGTH, length.into());
            }
            *response.body_mut() = Body::empty();
        }
        response
    }
}

/// The router of the control socket.
pub(super) fn control(health: Health) -> Router {
    Router::new().route("/health", any(async move |request| health.answer(request).await))
}

/// Answers health requests.
#[derive(Debug, Clone)]
pub(super) struct Health {
    figures: Arc<Figures>,
    /// Responses on the public listeners.
    answered: Arc<Answers>,
    speaker: Speaker,
}

/// Whose health is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    /// That of the app. An instance that is about to leave answers what it is asked, and its siblings
    /// go on: a monitor that asks again on its connection is to hear of neither.
    App,
    /// That of the instance alone.
    Instance,
}

impl Health {
    pub(super) fn new(figures: Arc<Figures>, answered: Arc<Answers>) -> Self {
        Self { figures, answered, speaker: Speaker::Instance }
    }

    async fn answer(self, request: Request<Body>) -> Response<Body> {
        if let Err(refusal) = only_reads(request).await {
            return refusal;
        }
        let mut report = self.figures.report(&self.answered);
        if self.speaker == Speaker::App && report.status == Status::Draining {
            report.status = Status::Ok;
        }
        let code = match report.status {
            Status::Ok => StatusCode::OK,
            Status::Draining | Status::Failing => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = (code, axum::Json(report)).into_response();
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

async fn no_site(request: Request<Body>) -> Response<Body> {
    let is_root = request.uri().path() == "/";
    match only_reads(request).await {
        Err(refusal) => refusal,
        Ok(_) if is_root => NO_SITE.into_response(),
        Ok(_) => short(StatusCode::NOT_FOUND),
    }
}

/// What is answered without a look at the path: a request that a front would refuse is refused here too,
/// before its body is read, and `OPTIONS *` asks the server itself (RFC 9110, 9.3.7). `seen`: what the
/// head was made of on the wire; none: not HTTP/1.
pub(super) fn before_all(parts: &Parts, seen: Option<Seen>) -> Option<Response<Body>> {
    let mut response = match check_request(parts, seen) {
        Err(refusal) => last(says(refusal.status, refusal.reason), parts.version),
        Ok(()) if parts.uri.path() == "*" => {
            let mut response = Response::new(Body::empty());
            response.headers_mut().insert(ALLOW, READS);
            response
        }
        Ok(()) => return None,
    };
    if parts.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    Some(response)
}

/// Lets GET and HEAD pass, without their body. Everything else gets the response in `Err`, but
/// only after the body has been read: a client that is still sending when the connection closes
/// sees a reset, and no response.
pub(super) async fn only_reads(request: Request<Body>) -> Result<Request<()>, Response<Body>> {
    let (parts, body) = request.into_parts();
    let too_large = |parts: &Parts| last(short(StatusCode::PAYLOAD_TOO_LARGE), parts.version);
    if body.size_hint().lower() > DISCARD_SIZE as u64 {
        return Err(too_large(&parts));
    }
    let mut body = Limited::new(body, DISCARD_SIZE);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(_) => {}
            Err(error) if error.is::<LengthLimitError>() => return Err(too_large(&parts)),
            Err(_) => {
                let broken = says(StatusCode::BAD_REQUEST, "the request's body broke off");
                return Err(last(broken, parts.version));
            }
        }
    }
    if matches!(parts.method, Method::GET | Method::HEAD) {
        return Ok(Request::from_parts(parts, ()));
    }
    let mut response = short(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, READS);
    Err(response)
}

/// Makes a response the last one of its connection; HTTP/2 ends its streams one by one.
fn last(mut response: Response<Body>, version: Version) -> Response<Body> {
    if version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A response that only says its code, in words.
pub(super) fn short(code: StatusCode) -> Response<Body> {
    text(code, format!("{code}\n"))
}

/// A response that says its code, and why.
fn says(code: StatusCode, reason: &str) -> Response<Body> {
    text(code, format!("{code}: {reason}\n"))
}

fn text(code: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
