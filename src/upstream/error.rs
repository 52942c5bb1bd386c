//! Why there is no answer, and what is known of its request.

use std::io;

use super::answer::Malformed;

/// Why there is no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// Nobody listens.
    #[error("the app takes no connections: {0}")]
    Connect(#[source] io::Error),
    /// The connection ended before a byte of the answer.
    #[error("the app closed the connection before it answered")]
    Closed,
    /// The connection broke.
    #[error("the connection to the app broke: {0}")]
    Broken(#[source] io::Error),
    /// The answer ended before it was whole.
    #[error("the app closed the connection in the middle of its answer")]
    Cut,
    /// What came is no answer.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// The request's body did not come to its end.
    #[error("the request's body broke off: {0}")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A request that brought no answer.
#[derive(Debug)]
pub(crate) struct Failed<B> {
    pub(crate) error: UpstreamError,
    pub(crate) sent: Sent,
    /// The request itself, where its body is as it was.
    pub(crate) request: Option<http::Request<B>>,
}

/// What the app can have seen of a request that brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Not a byte.
    Nothing,
    /// All of it, for all one knows.
    Perhaps,
}
