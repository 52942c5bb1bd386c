//! One HTTP exchange over a unix socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

/// Bytes of an answer that are read; a report has about 300.
pub(super) const ANSWER_SIZE: usize = 16 << 10;

/// Why asking an instance brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody listens on the control socket.
    #[error("no answer on {path}: {source}")]
    Connect {
        /// The control socket.
        path: PathBuf,
        /// What the connect said.
        source: std::io::Error,
    },
    /// It took longer than the deadline.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// What came back is not what was asked for.
    #[error("the answer is not understood: {0}")]
    Malformed(String),
}

/// One question to a control socket.
pub(super) struct Question {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// Codes of the answers that are read.
    pub(super) codes: &'static [StatusCode],
}

impl Question {
    /// Asks behind the socket at `path`; waits for `timeout` at the most.
    pub(super) async fn put<T: DeserializeOwned>(
        &self,
        path: &Path,
        timeout: Duration,
    ) -> Result<T, ProbeError> {
        let whole = async {
            let stream = UnixStream::connect(path)
                .await
                .map_err(|source| ProbeError::Connect { path: path.into(), source })?;
            exchange(TokioIo::new(stream), self.method.clone(), self.path, self.codes).await
        };
        within(timeout, whole).await
    }
}

/// What comes within `timeout`, else [`ProbeError::Timeout`].
pub(super) async fn within<T>(
    timeout: Duration,
    exchange: impl Future<Output = Result<T, ProbeError>>,
) -> Result<T, ProbeError> {
    tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(ProbeError::Timeout(timeout)))
}

/// Sends a request without a body and reads the JSON of an answer with one of these `codes`.
pub(super) async fn exchange<T: DeserializeOwned>(
    stream: impl Read + Write + Unpin,
    method: Method,
    path: &str,
    codes: &[StatusCode],
) -> Result<T, ProbeError> {
    let (mut sender, connection) = http1::handshake(stream).await.map_err(malformed)?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(malformed)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(malformed)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_SIZE)
            .collect()
            .await
            .map_err(|error| ProbeError::Malformed(error.to_string()))?
            .to_bytes();
        if codes.contains(&status) {
            serde_json::from_slice(&body).map_err(malformed)
        } else {
            Err(ProbeError::Malformed(format!("it has the code {status}")))
        }
    };
    // The connection moves the bytes and must go on until the answer is whole; it may be done
    // before that, as the last bytes are handed over.
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        _ = &mut connection => exchange.await,
    }
}

fn malformed(error: impl std::error::Error) -> ProbeError {
    ProbeError::Malformed(error.to_string())
}
