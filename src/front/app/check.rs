//! The health question to the app.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{CONNECTION, HOST, HeaderName, HeaderValue, USER_AGENT};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use tokio::time::timeout;

use crate::health::{AGENT, QUESTION};
use crate::upstream::{Address, Pool, UpstreamError};

/// Bytes of a health answer that are read; the code is what counts.
const BODY: u64 = 1 << 20;

/// What is wrong with the app, as the end of a sentence that begins with "the app".
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// It takes no connections there.
    #[error("does not listen on {0}")]
    Closed(Address),
    /// It takes them, and does not answer as it should.
    #[error("{0}")]
    Unwell(String),
}

/// Asks the app at `path`. It is well if it answers with a code from 200 to 399 within `patience`.
///
/// # Errors
/// Why it is not.
pub(super) async fn ask(pool: &Arc<Pool>, path: &str, patience: Duration) -> Result<(), Trouble> {
    let unwell = Trouble::Unwell;
    let asking = async {
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() =
            path.parse().map_err(|_| unwell(format!("cannot be asked at {path}")))?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(HeaderName::from_static(QUESTION), HeaderValue::from_static("1"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let answer = pool.send(request, true).await.map_err(|failed| match failed.error {
            UpstreamError::Connect(_) => Trouble::Closed(pool.address().clone()),
            other => unwell(format!("does not answer GET {path}: {other}")),
        })?;
        let status = answer.parts.status;
        if !(200..400).contains(&status.as_u16()) {
            return Err(unwell(format!("answers {} to GET {path}", status.as_u16())));
        }
        let mut body = answer.body;
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|error| unwell(format!("breaks off its answer to {path}: {error}")))?;
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
            if read > BODY || body.is_end_stream() {
                break;
            }
        }
        Ok(())
    };
    timeout(patience, asking)
        .await
        .unwrap_or_else(|_| Err(unwell(format!("does not answer GET {path} within {patience:?}"))))
}
