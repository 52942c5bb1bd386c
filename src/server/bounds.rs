//! What a client may use up, in one place.

use std::time::Duration;

use crate::budget::Budget;
use crate::front::Pace;
use crate::upstream;

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

/// Requests at the same time on an HTTP/2 connection for which there is no more room, at the least.
pub(super) const LEAST_H2_STREAMS: u32 = 4;

/// Memory of one request of HTTP/2 in flight, in bytes: its task, its head, its state in the connection.
pub(super) const H2_STREAM_MEMORY: usize = 4 << 10;

/// Bytes of a request's head of HTTP/2 that are within that. A larger one needs room of its own.
pub(super) const H2_SMALL_HEAD: usize = 2 << 10;

/// Memory of an HTTP/2 connection without its streams, in bytes: the buffers of frames, the tables of
/// header compression, and the least window.
pub(super) const H2_MEMORY: usize = (48 << 10) + LEAST_H2_WINDOW;

/// Bytes of requests' bodies that an HTTP/2 client may send before they are taken, on all streams together
/// (RFC 9113, 6.9.2: a client begins with these, whatever the server says).
pub(super) const LEAST_H2_WINDOW: usize = (64 << 10) - 1;

/// The same where there is room: enough for 100 Mbit/s over a round trip of 20 ms.
pub(super) const H2_WINDOW: usize = 256 << 10;

/// Bytes buffered for each HTTP/2 stream that the client does not read fast enough, at most.
pub(super) const H2_SEND_BUFFER: usize = 64 << 10;

/// Memory of an HTTP/1 connection with a request on it, in bytes: its task, 8 KiB for the head, which the
/// request keeps, and what the one who answers needs.
pub(super) const H1_MEMORY: usize = 16 << 10;

/// Bytes of a request's head that are within that. A larger one needs room of its own.
pub(super) const SMALL_HEAD: usize = 8 << 10;

/// Bytes that are read of a body in one go where there is no room for more.
pub(super) const SMALL_READ: usize = 4 << 10;

/// Memory of an HTTP/1 request whose body is read in large pieces, in bytes: one piece in the buffer, one
/// that is handed over, and one on its way to the app.
pub(super) const UPLOAD_MEMORY: usize = 3 * BUFFER_SIZE;

/// Bytes of a file that are read in one go, at most and at the least.
const FILE_CHUNKS: [u64; 2] = [16 << 10, 4 << 10];

/// One chunk of a file in so many bytes of `limits.memory`: with little memory each connection still has
/// room for one answer.
const FILE_CHUNK_SHARE: u64 = 2048;

/// Bytes of an answer up to which it costs nothing beyond its request: errors, health, short texts.
pub(super) const SMALL_ANSWER: u64 = 4 << 10;

/// Memory to reckon with for each connection, in bytes: one that is active takes half of it, an idle one a
/// tenth. Below `limits.memory` there is room for all of them beside the program. What they hold besides
/// is of the budget.
const CONNECTION_MEMORY: u64 = 64 << 10;

/// Bytes of the program itself, without clients.
const PROGRAM_MEMORY: u64 = 3 << 20;

/// What of the rest of `limits.memory` the kernel may hold of an app's answers for clients that do not take them:
/// one byte in so many.
const UNTAKEN_SHARE: u64 = 4;

/// What it holds of one of them, in bytes: what the app has written and the front has not read (see `SEGMENT` in
/// `upstream/socket.rs`), and what it has read.
const UNTAKEN_MEMORY: u64 = 128 << 10;

/// What of the rest of `limits.memory` transfers may take: one in so many bytes. An app lives below the
/// same limit; and what lies between a byte that is counted and those that the allocator and the kernel
/// hold for it is at the worst as much again.
const TRANSFERS_SHARE: u64 = 8;

/// Bytes of answers that the kernel holds for each connection without having sent them, at most: where
/// there are few connections, and where more than one in [`FEW`] of all that may come are open.
pub(super) const UNSENT: [u32; 2] = [128 << 10, 16 << 10];

/// Connections are few while there is one for so many that there may be.
pub(super) const FEW: usize = 8;

/// Descriptors kept for everything but public connections: files being sent, control, journal.
const SPARE_DESCRIPTORS: u64 = 64;

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
    /// How fast the body of a request has to come. What Kestrel asks for, with a grace like that of
    /// Apache's `mod_reqtimeout`: a phone that changes cells is silent for some seconds.
    pub(super) pace: Pace,
    /// How long a request in flight may go without a byte moving in either direction, where it is the
    /// client that is waited for.
    pub(super) stall: Duration,
    /// How long it may where the client waits: an app may think for minutes, and an event stream may
    /// have nothing to say. It ends what nobody will ever end otherwise.
    pub(super) silence: Duration,
    /// How long the client may be silent after the last response without closing its side. Closing
    /// at once would reset the connection if it still sends, and a reset takes away the response.
    pub(super) farewell: Duration,
    /// How long a client that has closed its side may still wait for a next byte of its answer. A client
    /// that is gone looks the same until it is written to. nginx and Node take every such client for gone;
    /// this leaves those who close after their request, as `nc -N` does, the time of a usual page.
    pub(super) hang_up: Duration,
    /// Public connections at the same time; further ones wait in the kernel's queue, where the
    /// other instances take them.
    pub(super) connections: usize,
    /// Connections that only wait for their own client to bring or to take something, and that do so slowly, while an
    /// app has to do with them; further ones give way.
    pub(super) slow: usize,
    /// Bytes that a piece of an answer takes on its way out, at most.
    pub(super) piece: usize,
    /// How long nothing may be said on a connection that speaks another protocol.
    pub(super) tunnel_idle: Duration,
}

impl Bounds {
    /// The bounds of an instance that may use `memory` bytes and hold `descriptors`, and that closes
    /// tunnels on which nothing is said for `tunnel_idle`.
    pub(super) fn of(memory: u64, descriptors: u64, with_app: bool, tunnel_idle: Duration) -> Self {
        let connections = (beside_program(memory) / CONNECTION_MEMORY)
            .min(descriptors.saturating_sub(SPARE_DESCRIPTORS))
            .max(1);
        let stall = Duration::from_secs(60);
        Self {
            head: Duration::from_secs(30),
            park: Duration::from_secs(1),
            keep_alive: Duration::from_secs(75),
            pace: Pace { rate: 240, grace: Duration::from_secs(20), silence: stall },
            stall,
            silence: Duration::from_secs(600),
            farewell: Duration::from_secs(1),
            hang_up: Duration::from_millis(500),
            connections: usize::try_from(connections).unwrap_or(usize::MAX),
            slow: slow_ones(memory),
            piece: if with_app { upstream::piece(memory) } else { own_piece(memory) },
            tunnel_idle,
        }
    }
}

/// How many clients may be slow with an answer of the app, or with a body for it: what the kernel holds for them is in
/// no budget.
fn slow_ones(memory: u64) -> usize {
    let most = beside_program(memory) / UNTAKEN_SHARE / UNTAKEN_MEMORY;
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Bytes of `memory` that are left beside the program itself.
fn beside_program(memory: u64) -> u64 {
    memory.saturating_sub(PROGRAM_MEMORY).max(PROGRAM_MEMORY)
}

/// The budget of an instance that may use `memory` bytes and have so many connections. Each of them has
/// room for a request; what answers, large heads and HTTP/2 need besides they share.
pub(super) fn budget(memory: u64, connections: usize) -> Budget {
    let transfers = beside_program(memory) / TRANSFERS_SHARE;
    Budget::of(connections.saturating_mul(H1_MEMORY) as u64, transfers)
}

/// Bytes of a file that are read in one go by an instance that may use `memory` bytes.
pub(super) fn file_chunk(memory: u64) -> usize {
    let [most, least] = FILE_CHUNKS;
    usize::try_from((memory / FILE_CHUNK_SHARE).clamp(least, most)).unwrap_or(usize::MAX)
}

/// What a piece of an answer of this program takes: while a file is read, the buffer of the thread that reads
/// it and the one of who asked for it are both there.
fn own_piece(memory: u64) -> usize {
    2 * file_chunk(memory)
}
