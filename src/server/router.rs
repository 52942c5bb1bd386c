//! What is answered at which path.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::any;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};

use super::bounds::DISCARD_SIZE;
use super::figures::{Answers, Figures};
use super::site::Site;
use crate::health::Status;

/// Answered at `/` where no site is configured.
const NO_SITE: &str = "romuo serves here; no site is configured yet\n";

/// The router of the public listeners: health at its configured path, the site everywhere else.
pub(super) fn public(health_path: &str, health: Health, site: Option<Site>) -> Router {
    let router = Router::new()
        .route(&literal(health_path), any(async move |request| health.answer(request).await));
    match site {
        Some(site) => router.fallback(async move |request| site.answer(request).await),
        None => router.fallback(no_site),
    }
}

/// The router of the control socket.
pub(super) fn control(health: Health) -> Router {
    Router::new().route("/health", any(async move |request| health.answer(request).await))
}

/// The path as axum's router takes it literally. An empty one or one without the first slash
/// gets it: axum would panic, and the configuration has refused such a path before.
fn literal(path: &str) -> String {
    let escaped = path.replace('{', "{{").replace('}', "}}");
    format!("/{}", escaped.trim_start_matches('/'))
}

/// Answers health requests.
#[derive(Debug, Clone)]
pub(super) struct Health {
    figures: Arc<Figures>,
    /// Responses on the public listeners.
    answered: Arc<Answers>,
}

impl Health {
    pub(super) fn new(figures: Arc<Figures>, answered: Arc<Answers>) -> Self {
        Self { figures, answered }
    }

    async fn answer(self, request: Request<Body>) -> Response<Body> {
        if let Err(refusal) = only_reads(request).await {
            return refusal;
        }
        let report = self.figures.report(&self.answered);
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

/// Lets GET and HEAD pass, without their body. Everything else gets the response in `Err`, but
/// only after the body has been read: a client that is still sending when the connection closes
/// sees a reset, and no response.
pub(super) async fn only_reads(request: Request<Body>) -> Result<Request<()>, Response<Body>> {
    let (parts, body) = request.into_parts();
    let mut body = Limited::new(body, DISCARD_SIZE);
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            let mut response = short(StatusCode::PAYLOAD_TOO_LARGE);
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return Err(response);
        }
    }
    if matches!(parts.method, Method::GET | Method::HEAD) {
        return Ok(Request::from_parts(parts, ()));
    }
    let mut response = short(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    Err(response)
}

/// A response that only says its code, in words.
pub(super) fn short(code: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{code}\n")));
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
