//! The health question to the app.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use tokio::time::timeout;

use crate::upstream::{Pool, UpstreamError};

/// Who asks, for the logs of the app.
const AGENT: &str = concat!("romuo/", env!("CARGO_PKG_VERSION"), " (health)");

/// Bytes of a health answer that are read; the code is what counts.
const BODY: u64 = 1 << 20;

/// Asks the app at `path`. It is well if it answers with a code from 200 to 399 within `patience`.
///
/// # Errors
/// Why it is not, as the end of a sentence that begins with "the app".
pub(super) async fn ask(pool: &Arc<Pool>, path: &str, patience: Duration) -> Result<(), String> {
    let asking = async {
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = path.parse().map_err(|_| format!("cannot be asked at {path}"))?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let answer = pool.send(request, true).await.map_err(|failed| match failed.error {
            UpstreamError::Connect(_) => format!("does not listen on {}", pool.address()),
            other => format!("does not answer GET {path}: {other}"),
        })?;
        let status = answer.parts.status;
        if !(200..400).contains(&status.as_u16()) {
            return Err(format!("answers {} to GET {path}", status.as_u16()));
        }
        let mut body = answer.body;
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| format!("breaks off its answer to {path}: {error}"))?;
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
            if read > BODY || body.is_end_stream() {
                break;
            }
        }
        Ok(())
    };
    timeout(patience, asking)
        .await
        .unwrap_or_else(|_| Err(format!("does not answer GET {path} within {patience:?}")))
}
