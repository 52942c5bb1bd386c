//! Asks one instance for its health, over HTTP on its control socket.

use std::path::Path;
use std::time::Duration;

use http::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::client::{ProbeError, Question, exchange, within};
use super::report::Report;

/// Codes that come with a report.
pub(super) const CODES: &[StatusCode] = &[StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE];

/// The path is this on a control socket, whatever it is on the public port.
const HEALTH: Question = Question { method: Method::GET, path: "/health", codes: CODES };

/// Asks the instance behind the control socket at `path`; waits for `timeout` at the most.
/// A draining or failing instance brings a report too (its code is 503).
///
/// # Errors
/// Where nobody answers in time, or not with a health report.
pub async fn probe(path: &Path, timeout: Duration) -> Result<Report, ProbeError> {
    HEALTH.put(path, timeout).await
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
    within(timeout, exchange(TokioIo::new(stream), Method::GET, path, CODES)).await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::super::client::ANSWER_SIZE;
    use super::super::report::{AppReport, Memory, Status};
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
            errors: 0,
            refused: 0,
            taken_over: 0,
            version: "1.0.0".into(),
            rust_version: "1.95.0".into(),
            env: "production".into(),
            instance: Some("1".into()),
            release: None,
            app: None,
            recycled: None,
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
    async fn the_program_behind_a_front_is_reported_where_there_is_one() {
        let plain = serde_json::to_value(report(Status::Ok)).unwrap();
        assert_eq!(plain.get("app"), None);
        let app = AppReport { pid: None, restarts: 3, generation: 5, healthy: false };
        let failing = Report { app: Some(app), ..report(Status::Failing) };
        let body = serde_json::to_string(&failing).unwrap();
        let wire = r#""app":{"pid":null,"restarts":3,"generation":5,"healthy":false}"#;
        assert!(body.contains(wire) && body.contains(r#""status":"failing""#), "{body}");
        let got = probe_of(&http("503 No", &body), Duration::from_secs(60)).await.unwrap();
        assert_eq!(got, failing);
    }

    #[tokio::test]
    async fn an_answer_that_is_no_report_is_malformed() {
        for answer in [
            http("200 OK", "hello"),
            http("404 Not Found", "{}"),
            http("200 OK", &" ".repeat(ANSWER_SIZE + 1)),
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
