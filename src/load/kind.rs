//! How a client behaves: the kinds of clients a server meets.

use std::fmt;
use std::time::Duration;

/// How a client uses its connections and its time. A kind says nothing about what is asked for:
/// that is the [`Request`](super::Request) beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// HTTP/1.1 on one kept connection, one request after the other.
    KeepAlive {
        /// Time between an answer and the next request; zero is flat out.
        gap: Duration,
    },
    /// HTTP/1.1 with `Connection: close`: a new connection for each request.
    NewConnection {
        /// Time between an answer and the next connection; zero is flat out.
        gap: Duration,
    },
    /// A new connection that waits before its first byte, as a browser does that connects early.
    LateFirstByte {
        /// Time between the connect and the first byte.
        wait: Duration,
    },
    /// The head of the request comes in two halves.
    HalfSent {
        /// Time between the halves.
        pause: Duration,
        /// Where the request is sent.
        on: Connection,
    },
    /// The body of the request trickles.
    SlowUpload {
        /// Time that the body takes.
        over: Duration,
    },
    /// The body of the answer is read slowly, through a small receive buffer.
    SlowDownload {
        /// Time that the body takes.
        over: Duration,
    },
    /// HTTP/2 without TLS, by prior knowledge (h2c), several streams on one connection.
    Http2 {
        /// Requests at the same time on the connection.
        streams: usize,
        /// Time between an answer and the next request of the same stream slot.
        gap: Duration,
    },
    /// Text messages on one WebSocket (RFC 6455), one after the other: the server has to send each
    /// back. They have 20 bytes, 2 kB and 70 kB in turn. Of the request only the path counts.
    WebSocket {
        /// Time between an echo and the next message; zero is flat out.
        gap: Duration,
    },
    /// Events of one stream (`text/event-stream`), as a browser's `EventSource` reads them. Their
    /// ids count up by one, also across a reconnect with `Last-Event-ID`, and the data of each is
    /// its id. What an event took is the time since the one before. Of the request only the path
    /// counts.
    Events,
}

/// Where a half-sent request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// On a connection of its own.
    Fresh,
    /// On a kept connection: all but its first request follow an earlier answer.
    Kept,
}

impl Kind {
    /// Time between an answer and the next request.
    pub(super) fn gap(self) -> Duration {
        match self {
            Self::KeepAlive { gap }
            | Self::NewConnection { gap }
            | Self::Http2 { gap, .. }
            | Self::WebSocket { gap } => gap,
            Self::Events
            | Self::LateFirstByte { .. }
            | Self::HalfSent { .. }
            | Self::SlowUpload { .. }
            | Self::SlowDownload { .. } => Duration::ZERO,
        }
    }

    /// Whether the client keeps its connection after an answer, for a further request of HTTP.
    pub(super) fn keeps_connection(self) -> bool {
        match self {
            Self::KeepAlive { .. }
            | Self::SlowUpload { .. }
            | Self::SlowDownload { .. }
            | Self::HalfSent { on: Connection::Kept, .. }
            | Self::Http2 { .. } => true,
            Self::NewConnection { .. }
            | Self::LateFirstByte { .. }
            | Self::HalfSent { on: Connection::Fresh, .. }
            | Self::WebSocket { .. }
            | Self::Events => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeepAlive { gap } => write!(f, "keep-alive{}", Gap(*gap)),
            Self::NewConnection { gap } => write!(f, "new connection each{}", Gap(*gap)),
            Self::LateFirstByte { wait } => write!(f, "first byte {wait:?} after the connect"),
            Self::HalfSent { pause, on: Connection::Fresh } => {
                write!(f, "sent in halves {pause:?} apart, new connection each")
            }
            Self::HalfSent { pause, on: Connection::Kept } => {
                write!(f, "sent in halves {pause:?} apart, keep-alive")
            }
            Self::SlowUpload { over } => write!(f, "upload over {over:?}"),
            Self::SlowDownload { over } => write!(f, "download over {over:?}"),
            Self::Http2 { streams, gap } => write!(f, "h2c, {streams} streams{}", Gap(*gap)),
            Self::WebSocket { gap } => write!(f, "WebSocket{}", Gap(*gap)),
            Self::Events => f.write_str("events"),
        }
    }
}

/// The end of a kind's name that tells its gap.
struct Gap(Duration);

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() { f.write_str(", flat out") } else { write!(f, ", {:?} gap", self.0) }
    }
}
