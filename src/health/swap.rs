//! Swapping the program behind a front: the wire types of `/swap` on the control socket, and the
//! client.
//!
//! `GET /swap` tells whether it can be done now ([`SwapState`], always 200); `POST /swap` does it
//! and answers when it is over ([`SwapAnswer`]: 200 where it was done, 409 where it could not be
//! begun, 500 where the new program failed).

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::client::{ProbeError, Question};

/// Path of the swap on a control socket.
const PATH: &str = "/swap";

const STATE: Question = Question { method: Method::GET, path: PATH, codes: &[StatusCode::OK] };

const SWAP: Question = Question {
    method: Method::POST,
    path: PATH,
    codes: &[StatusCode::OK, StatusCode::CONFLICT, StatusCode::INTERNAL_SERVER_ERROR],
};

/// What came of a swap: `{"swapped":true,"took_ms":412,"generation":3}` or
/// `{"swapped":false,"reason":"..","restart":true}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SwapAnswer {
    /// Whether the requests go to the new program now. If not, the old one serves on.
    pub swapped: bool,
    /// How long it took until they did and the old program was gone, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// Which start of the program serves since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Why not, as a sentence without its full stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether a restart of the instance would do what a swap cannot.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart: bool,
}

/// Whether a swap can be done now, and what came of the last one:
/// `{"possible":false,"reason":"..","restart":true,"swaps":1,"last":{..}}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SwapState {
    /// Whether it can.
    pub possible: bool,
    /// Why not, as a sentence without its full stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether a restart of the instance would do what a swap cannot.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart: bool,
    /// How many swaps have ended since the start of the front, well or not, refused ones too: who
    /// compares it before and after knows whether `last` is of the swap it asked for.
    pub swaps: u64,
    /// What came of the last one; none: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<SwapAnswer>,
    /// Folders of drop-ins for its unit that were there when the front began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop_ins: Vec<PathBuf>,
}

/// Asks the front behind the control socket at `path` whether it can swap its program now.
///
/// # Errors
/// Where nobody answers in time, or no front does.
pub async fn may_swap(path: &Path, timeout: Duration) -> Result<SwapState, ProbeError> {
    STATE.put(path, timeout).await
}

/// Asks the front behind the control socket at `path` to swap its program, and waits until it has,
/// or has not: for `timeout` at the most. A swap that was not done is an answer too.
///
/// # Errors
/// Where nobody answers in time, or no front does.
pub async fn swap(path: &Path, timeout: Duration) -> Result<SwapAnswer, ProbeError> {
    SWAP.put(path, timeout).await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    /// A front that answers one request, which begins with `request`, with this code and JSON.
    async fn front<T>(
        request: &str,
        code: &str,
        body: &str,
        ask: impl AsyncFn(&Path) -> Result<T, ProbeError>,
    ) -> Result<T, ProbeError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = [0; 1024];
            let count = stream.read(&mut read).await.unwrap();
            assert!(read[..count].starts_with(request.as_bytes()));
            let head = format!("HTTP/1.1 {code}\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + body).as_bytes()).await.unwrap();
            let _ = stream.read(&mut read).await;
        };
        tokio::join!(ask(&path), answering).0
    }

    #[tokio::test]
    async fn a_swap_is_asked_for_and_either_answer_is_read() {
        let ask = async |path: &Path| swap(path, TIMEOUT).await;
        let done = front("POST /swap ", "200 OK", r#"{"swapped":true,"took_ms":412}"#, ask).await;
        let wanted = SwapAnswer { swapped: true, took_ms: Some(412), ..SwapAnswer::default() };
        assert_eq!(done.unwrap(), wanted);
        for (code, restart) in [("409 Conflict", true), ("500 Internal Server Error", false)] {
            let refused = SwapAnswer {
                reason: Some("no memory for two".into()),
                restart,
                ..SwapAnswer::default()
            };
            let body = serde_json::to_string(&refused).unwrap();
            assert_eq!(front("POST /swap ", code, &body, ask).await.unwrap(), refused);
        }
    }

    #[tokio::test]
    async fn whether_a_swap_is_possible_is_asked_without_doing_it() {
        let ask = async |path: &Path| may_swap(path, TIMEOUT).await;
        let body = r#"{"possible":true,"swaps":2,"last":{"swapped":true}}"#;
        let state = front("GET /swap ", "200 OK", body, ask).await.unwrap();
        assert!(state.possible && !state.restart);
        assert_eq!((state.swaps, state.last.unwrap().swapped), (2, true));
        let none = front("GET /swap ", "404 Not Found", "{}", ask).await;
        assert!(matches!(none, Err(ProbeError::Malformed(_))), "{none:?}");
    }
}
