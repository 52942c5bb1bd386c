//! What a client may use up, in one place.

use std::time::Duration;

/// Bytes of a request's head, start line and headers; more is answered with 431. What nginx and
/// Node allow lies between 8 and 32 KiB, and cookies of real sites need up to 16.
pub(super) const HEAD_SIZE: usize = 32 << 10;

/// Bytes that hyper may buffer for one HTTP/1 connection in one direction. A head has to fit.
pub(super) const BUFFER_SIZE: usize = 64 << 10;

/// Bytes of a request body that is read only to be thrown away, so that the client can read the
/// answer; a longer one gets 413 and the connection is closed. nginx takes 1 MiB by default too.
pub(super) const DISCARD_SIZE: usize = 1 << 20;

/// Requests at the same time on one HTTP/2 connection; RFC 9113, 6.5.2 says not below 100.
pub(super) const H2_STREAMS: u32 = 128;

/// Bytes buffered for each HTTP/2 stream that the client does not read fast enough.
pub(super) const H2_SEND_BUFFER: usize = 64 << 10;

/// Bytes of a file that are read in one go. Each response that a client reads slowly holds two or
/// three of them.
pub(super) const FILE_CHUNK: usize = 16 << 10;

/// Memory to reckon with for each connection, in bytes: 8 KiB to read a request, three pieces of a
/// file, and its task. Below `limits.memory` no flood of clients, however slowly they read, can
/// then get the instance killed.
const CONNECTION_MEMORY: u64 = 64 << 10;

/// Descriptors kept for everything but public connections: files being sent, control, journal.
const SPARE_DESCRIPTORS: u64 = 64;

/// How long the head of a request may take while all connections are taken and others wait: whoever
/// fills them with heads that never end holds each for a few seconds only.
pub(super) const CROWDED_HEAD: Duration = Duration::from_secs(5);

/// The bounds of one server. Tests set shorter times; everyone else takes the default.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    /// How long the head of a request may take to arrive. A phone on a bad line needs seconds; who
    /// needs longer is a slow loris.
    pub(super) head: Duration,
    /// How long an idle connection keeps its buffers. Requests of one page follow each other within
    /// this time; between two pages a connection then costs an eighth of the memory.
    pub(super) park: Duration,
    /// How long a connection may be idle between two requests. Longer than the 60 s of the usual
    /// load balancers, so that they close first and never send into a closing connection.
    pub(super) keep_alive: Duration,
    /// How long a request in flight may go without a byte moving in either direction, where it is the
    /// client that is waited for.
    pub(super) stall: Duration,
    /// How long it may where the client waits: an app may think for minutes, and an event stream may
    /// have nothing to say. It ends what nobody will ever end otherwise.
    pub(super) silence: Duration,
    /// How long the client may be silent after the last response without closing its side. Closing
    /// at once would reset the connection if it still sends, and a reset takes away the response.
    pub(super) farewell: Duration,
    /// Public connections at the same time; further ones wait in the kernel's queue, where the
    /// other instances take them.
    pub(super) connections: usize,
}

impl Bounds {
    /// The bounds of an instance that may use `memory` bytes and hold `descriptors`.
    pub(super) fn of(memory: u64, descriptors: u64) -> Self {
        let connections =
            (memory / CONNECTION_MEMORY).min(descriptors.saturating_sub(SPARE_DESCRIPTORS)).max(1);
        Self {
            head: Duration::from_secs(30),
            park: Duration::from_secs(1),
            keep_alive: Duration::from_secs(75),
            stall: Duration::from_secs(60),
            silence: Duration::from_secs(600),
            farewell: Duration::from_secs(1),
            connections: usize::try_from(connections).unwrap_or(usize::MAX),
        }
    }
}
