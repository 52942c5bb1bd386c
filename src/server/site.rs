//! A static site.
//!
//! Caching: every file is sent with `Cache-Control: no-cache`, which means "keep it, but ask
//! before each use". With the `ETag` that costs a 304 without a body, and a deploy shows at once.
//! Longer times would be a guess: only the build knows which names carry a hash of the content,
//! and a stale script beside a fresh page is a broken site.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE,
    LAST_MODIFIED, LOCATION, RANGE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::{Frame, SizeHint};
use tower_http::services::ServeDir;
use tower_http::services::fs::DefaultServeDirFallback;

use super::error::ServerError;
use super::files::{Folder, is_busy};
use super::router::{only_reads, short};
use crate::config::StaticSite;
use crate::front::Complaints;

/// Finds files, chooses among their compressed twins, judges conditions and ranges.
type Files = ServeDir<DefaultServeDirFallback, Folder>;

/// A folder of files, and the file that answers for pages which are no files.
#[derive(Debug, Clone)]
pub(super) struct Site {
    files: Files,
    fallback: Option<Files>,
    complaints: Arc<Complaints>,
}

impl Site {
    /// The site, whose files are read in pieces of `chunk` bytes.
    ///
    /// # Errors
    /// Where the folder is not there.
    pub(super) fn new(site: &StaticSite, chunk: usize) -> Result<Self, ServerError> {
        std::fs::read_dir(&site.root)
            .map_err(|source| ServerError::Site { path: site.root.clone(), source })?;
        let folder = Folder::new(&site.root);
        let files = |base: &Path| {
            ServeDir::with_backend(base.components().as_path(), folder.clone())
                .with_buf_chunk_size(chunk)
                .ignore_multi_range_requests(true)
                .precompressed_br()
                .precompressed_gzip()
        };
        Ok(Self {
            files: files(Path::new("")),
            // Through the same door as the others. Of `/` it makes the file itself.
            fallback: site.fallback.as_deref().map(|name| files(Path::new(name))),
            complaints: Arc::default(),
        })
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let request = match only_reads(request).await {
            Ok(request) => request,
            Err(refusal) => return refusal,
        };
        let fallback = self.fallback.as_ref().filter(|_| wants_page(&request));
        let query = request.uri().query().map(str::to_owned);
        let Some(mut request) = plain(request) else { return short(StatusCode::URI_TOO_LONG) };
        let mut response = self.find(&self.files, &request).await;
        if let (StatusCode::NOT_FOUND, Some(fallback)) = (response.status(), fallback) {
            *request.uri_mut() = Uri::default();
            response = self.find(fallback, &request).await;
        }
        finish(response, query.as_deref())
    }

    /// The answer of a folder. A part of a file is sent only if the file is still the one of which the
    /// client has the rest (RFC 9110, 13.1.5), and an empty one has no parts.
    async fn find(&self, files: &Files, request: &Request<()>) -> Response<Body> {
        let response = self.open(files, request.clone()).await;
        let has_other = |had| {
            !is_same(had, response.headers()) && response.headers().contains_key(CONTENT_RANGE)
        };
        let is_empty = response.status() == StatusCode::PARTIAL_CONTENT
            && response.headers().get(CONTENT_LENGTH).is_some_and(|length| length == "0");
        if !is_empty && !request.headers().get(IF_RANGE).is_some_and(has_other) {
            return response;
        }
        let mut whole = request.clone();
        whole.headers_mut().remove(RANGE);
        self.open(files, whole).await
    }

    async fn open(&self, files: &Files, request: Request<()>) -> Response<Body> {
        match files.clone().try_call(request).await {
            Ok(response) => response.map(Body::new),
            Err(error) if error.kind() == io::ErrorKind::NotFound => short(StatusCode::NOT_FOUND),
            Err(error) => {
                self.complaints.unread(&error);
                let busy = is_busy(&error).then_some(StatusCode::SERVICE_UNAVAILABLE);
                short(busy.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
            }
        }
    }
}

/// What of a request the files depend on. A HEAD is a GET whose body is dropped: whatever is said of a file
/// is said of the one that would be sent. The target is a path alone, without what a browser would take
/// for a host or strip from it; none: it is longer than a target may be.
fn plain(request: Request<()>) -> Option<Request<()>> {
    let (mut parts, ()) = request.into_parts();
    parts.method = Method::GET;
    let mut path = String::with_capacity(parts.uri.path().len());
    path.push('/');
    for byte in parts.uri.path().trim_start_matches('/').bytes() {
        if byte.is_ascii_graphic() && byte != b'\\' {
            path.push(byte.into());
        } else {
            // To a string it never fails.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    // It was a path before; only the percent signs may have made it too long.
    parts.uri = Uri::try_from(path).ok()?;
    // A range in other units is none (RFC 9110, 14.2), and so are several.
    let mut ranges = parts.headers.get_all(RANGE).iter();
    let range = (ranges.next(), ranges.next());
    if !matches!(range, (Some(range), None) if range.as_bytes().starts_with(b"bytes=")) {
        parts.headers.remove(RANGE);
    }
    Some(Request::from_parts(parts, ()))
}

/// Whether a client has this version of a file, going by its `ETag` or its time. A weak one says nothing
/// of single bytes.
fn is_same(had: &HeaderValue, now: &HeaderMap) -> bool {
    let name = if had.as_bytes().starts_with(b"\"") { ETAG } else { LAST_MODIFIED };
    now.get(name).is_some_and(|now| now == had)
}

/// Whether a browser asks for a page: it says `text/html` then, and `*/*` for a script, an image
/// or a call of the app. So a missing script is a 404, not a page that fails to parse.
fn wants_page(request: &Request<()>) -> bool {
    request
        .headers()
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|accept| accept.contains("text/html"))
}

/// Adds what every response of the site carries. `query`: of the request.
fn finish(mut response: Response<Body>, query: Option<&str>) -> Response<Body> {
    let status = response.status();
    let headers = response.headers_mut();
    if status.is_client_error() || status.is_server_error() {
        let mut error = short(status);
        if let Some(range) = headers.remove(CONTENT_RANGE) {
            error.headers_mut().insert(CONTENT_RANGE, range);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            // A second: what is being sent now is sent by then.
            error.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        return error;
    }
    if status == StatusCode::NOT_MODIFIED {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        return response.map(|_| Body::new(Nothing));
    }
    if let (Some(location), Some(query)) = (headers.get_mut(LOCATION), query) {
        let with_query = [location.as_bytes(), b"?", query.as_bytes()].concat();
        if let Ok(with_query) = HeaderValue::from_bytes(&with_query) {
            *location = with_query;
        }
    }
    // The names of text types are ASCII; without a charset browsers guess one.
    let text = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .filter(|value| value.starts_with("text/") && !value.contains("charset"))
        .and_then(|value| HeaderValue::try_from(format!("{value}; charset=utf-8")).ok());
    if let Some(text) = text {
        headers.insert(CONTENT_TYPE, text);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // A file is what its name says; browsers must not look for scripts in it.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The body of an answer that has none, and says nothing of the length of the file either: a 304 with the
/// length 0 would speak of an empty one (RFC 9110, 8.6).
struct Nothing;

impl http_body::Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::new()
    }
}
