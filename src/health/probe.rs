//! Asks one instance for its health, over HTTP on its control socket.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::report::Report;

/// Bytes of an answer that are read; a report has about 300.
const REPORT_SIZE: usize = 16 << 10;

/// Path of the health answer on a control socket, whatever it is on the public port.
const CONTROL_PATH: &str = "/health";

/// Why a probe brought no report.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody listens on the control socket.
    #[error("no answer on {path}: {source}")]
    Connect {
        /// The control socket.
        path: std::path::PathBuf,
        /// What the connect said.
        source: std::io::Error,
    },
    /// It took longer than the deadline.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// What came back is no health report.
    #[error("the answer is not a health report: {0}")]
    Malformed(String),
}

/// Asks the instance behind the control socket at `path`; waits for `timeout` at the most.
/// A draining instance brings a report too (its code is 503).
///
/// # Errors
/// Where nobody answers in time, or not with a health report.
pub async fn probe(path: &Path, timeout: Duration) -> Result<Report, ProbeError> {
    let whole = async {
        let stream = UnixStream::connect(path)
            .await
            .map_err(|source| ProbeError::Connect { path: path.into(), source })?;
        request(stream, CONTROL_PATH).await
    };
    tokio::time::timeout(timeout, whole).await.unwrap_or(Err(ProbeError::Timeout(timeout)))
}

/// Asks over a connection that is there already, at the given path of the URL.
///
/// # Errors
/// As [`probe`], but for the connect.
pub(crate) async fn ask(
    stream: UnixStream,
    path: &str,
    timeout: Duration,
) -> Result<Report, ProbeError> {
    tokio::time::timeout(timeout, request(stream, path))
        .await
        .unwrap_or(Err(ProbeError::Timeout(timeout)))
}

async fn request(stream: UnixStream, path: &str) -> Result<Report, ProbeError> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(malformed)?;
    let request = Request::get(path)
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(malformed)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(malformed)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), REPORT_SIZE)
            .collect()
            .await
            .map_err(|error| ProbeError::Malformed(error.to_string()))?
            .to_bytes();
        match status {
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => {
                serde_json::from_slice(&body).map_err(malformed)
            }
            other => Err(ProbeError::Malformed(format!("it has the code {other}"))),
        }
    };
    // The connection moves the bytes and must go on until the answer is whole; it may be done
    // before that, as the last bytes are handed over.
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        biased;
        report = &mut exchange => report,
        _ = &mut connection => exchange.await,
    }
}

fn malformed(error: impl std::error::Error) -> ProbeError {
    ProbeError::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::super::report::{Memory, Status};
    use super::*;

    /// Answers one connection on a control socket with these bytes.
    async fn probe_of(answer: &str, timeout: Duration) -> Result<Report, ProbeError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /health HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
            // Open until the probe lets go.
            let _ = stream.read(&mut request).await;
        };
        tokio::join!(probe(&path, timeout), answering).0
    }

    fn http(code: &str, body: &str) -> String {
        format!("HTTP/1.1 {code}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    fn report(status: Status) -> Report {
        Report {
            status,
            timestamp: "2026-02-12T14:50:00.000Z".into(),
            uptime: "120s".into(),
            memory: Memory { used: 45, total: 16384, heap_total: 60 },
            requests: 42,
            version: "1.0.0".into(),
            rust_version: "1.95.0".into(),
            env: "production".into(),
            instance: Some("1".into()),
            release: None,
        }
    }

    #[tokio::test]
    async fn a_healthy_and_a_draining_instance_both_bring_a_report() {
        for (code, status) in [("200 OK", Status::Ok), ("503 No", Status::Draining)] {
            let body = serde_json::to_string(&report(status)).unwrap();
            let got = probe_of(&http(code, &body), Duration::from_secs(60)).await.unwrap();
            assert_eq!(got, report(status));
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_no_report_is_malformed() {
        for answer in [
            http("200 OK", "hello"),
            http("404 Not Found", "{}"),
            http("200 OK", &" ".repeat(REPORT_SIZE + 1)),
            "220 mail.example.org ESMTP\r\n".to_owned(),
        ] {
            let error = probe_of(&answer, Duration::from_secs(60)).await.unwrap_err();
            assert!(matches!(error, ProbeError::Malformed(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn nobody_on_the_socket_is_told_from_an_answer_that_does_not_come() {
        let error = probe(Path::new("/nonexistent/1.sock"), Duration::from_secs(60)).await;
        assert!(matches!(error, Err(ProbeError::Connect { .. })), "{error:?}");
        let error = probe_of("", Duration::from_millis(50)).await;
        assert!(matches!(error, Err(ProbeError::Timeout(_))), "{error:?}");
    }
}
