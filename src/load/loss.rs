//! How a request can be lost.

use std::io;
use std::time::Duration;

use http::StatusCode;

/// Why a request counts as lost.
#[derive(Debug, thiserror::Error)]
pub enum Loss {
    /// No connection came about.
    #[error("the connect failed: {0}")]
    Connect(#[source] io::Error),
    /// The connection broke before the whole request was sent.
    #[error("the connection broke while the request was being sent: {0}")]
    Send(#[source] io::Error),
    /// The connection broke before the whole answer was there.
    #[error("the connection broke after {received} bytes of the answer: {source}")]
    Receive {
        /// Bytes of the answer that came, its head included.
        received: u64,
        /// What the read said; a reset is `ConnectionReset`.
        source: io::Error,
    },
    /// The server ended the connection in order, but before the whole answer was there.
    #[error("the connection ended after {received} bytes of the answer")]
    Ended {
        /// Bytes of the answer that came, its head included.
        received: u64,
    },
    /// What came is not HTTP.
    #[error("the answer is malformed: {0}")]
    Malformed(String),
    /// The answer has another status; its body was not read.
    #[error("the answer's status is {got}, {expected} was expected")]
    Status {
        /// The status that the mix names.
        expected: StatusCode,
        /// The status that came.
        got: StatusCode,
    },
    /// The answer's body has another length.
    #[error("the answer's body has {got} bytes, {expected} were expected")]
    Length {
        /// The length that the mix names, in bytes.
        expected: u64,
        /// The length that came, in bytes; where it exceeds the other, what had come so far.
        got: u64,
    },
    /// The body differs from the expected one.
    #[error("the answer's body differs from the expected one in or after byte {at}")]
    Differs {
        /// Where the piece starts that differs, in bytes.
        at: u64,
    },
    /// The server sent more than the answer.
    #[error("the server sent {0} bytes that nobody asked for")]
    Unasked(usize),
    /// The server closed a WebSocket while an echo was due, or with a status that calls nobody
    /// back.
    #[error("the server closed the WebSocket with {}", status(*.0))]
    Closed(Option<u16>),
    /// An event does not follow the one before.
    #[error("event {got} came after event {last}")]
    Gap {
        /// The id of the event before.
        last: u64,
        /// The id that came.
        got: u64,
    },
    /// It took too long.
    #[error("no complete answer within {0:?}")]
    Deadline(Duration),
    /// The server refused an HTTP/2 stream without processing it: GOAWAY with a lower last stream,
    /// or `REFUSED_STREAM` (RFC 9113, 8.7). A client that retries would not notice; these do not.
    #[error("the server refused the stream unprocessed: {0}")]
    Refused(#[source] h2::Error),
    /// An HTTP/2 stream or its connection failed.
    #[error("the HTTP/2 stream failed: {0}")]
    Stream(#[source] h2::Error),
    /// The client cannot write such a request.
    #[error("the request cannot be sent: {0}")]
    Unsendable(#[source] http::Error),
    /// The client ended with its runtime before the answer was there.
    #[error("the client was ended before the answer was there")]
    Abandoned,
}

impl From<h2::Error> for Loss {
    fn from(error: h2::Error) -> Self {
        let refused = error.is_remote()
            && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM));
        if refused { Self::Refused(error) } else { Self::Stream(error) }
    }
}

/// The status of a close frame (RFC 6455, 7.4), for a person.
fn status(status: Option<u16>) -> String {
    status.map_or_else(|| "no status".to_owned(), |status| format!("status {status}"))
}
