//! A static site.
//!
//! Caching: every file is sent with `Cache-Control: no-cache`, which means "keep it, but ask
//! before each use". With the `ETag` that costs a 304 without a body, and a deploy shows at once.
//! Longer times would be a guess: only the build knows which names carry a hash of the content,
//! and a stale script beside a fresh page is a broken site.

use std::path::Path;

use axum::body::Body;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Request, Response, StatusCode};
use tower::ServiceExt as _;
use tower_http::services::ServeDir;
use tower_http::services::fs::{DefaultServeDirFallback, ServeFile};

use super::error::ServerError;
use super::files::Folder;
use super::router::{only_reads, short};
use crate::config::StaticSite;

/// A folder of files, and the file that answers for pages which are no files.
#[derive(Debug, Clone)]
pub(super) struct Site {
    files: ServeDir<DefaultServeDirFallback, Folder>,
    fallback: Option<ServeFile>,
}

impl Site {
    /// The site, whose files are read in pieces of `chunk` bytes.
    ///
    /// # Errors
    /// Where the folder is not there.
    pub(super) fn new(site: &StaticSite, chunk: usize) -> Result<Self, ServerError> {
        std::fs::read_dir(&site.root)
            .map_err(|source| ServerError::Site { path: site.root.clone(), source })?;
        Ok(Self {
            files: ServeDir::with_backend("", Folder::new(&site.root))
                .with_buf_chunk_size(chunk)
                .precompressed_br()
                .precompressed_gzip(),
            fallback: site.fallback.as_deref().map(|name| {
                ServeFile::new(site.root.join(Path::new(name).components().as_path()))
                    .with_buf_chunk_size(chunk)
                    .precompressed_br()
                    .precompressed_gzip()
            }),
        })
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let request = match only_reads(request).await {
            Ok(request) => request,
            Err(refusal) => return refusal,
        };
        let fallback = self.fallback.clone().filter(|_| wants_page(&request));
        let response = match (self.files.clone().oneshot(request.clone()).await, fallback) {
            (Ok(found), Some(fallback)) if found.status() == StatusCode::NOT_FOUND => {
                fallback.oneshot(request).await
            }
            (found, _) => found,
        };
        let Ok(response) = response;
        finish(response.map(Body::new))
    }
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

/// Adds what every response of the site carries.
fn finish(mut response: Response<Body>) -> Response<Body> {
    let status = response.status();
    let headers = response.headers_mut();
    if status.is_client_error() || status.is_server_error() {
        let mut error = short(status);
        for name in [http::header::CONTENT_RANGE, http::header::ALLOW] {
            if let Some(value) = headers.remove(&name) {
                error.headers_mut().insert(name, value);
            }
        }
        return error;
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
