//! HTTP clients that never retry and see every failure.
//!
//! A [`Mix`] says which clients run, what each asks for and what it expects. [`start`] sets them
//! going; [`Running`] counts live, so that a caller waits on answers and not on the clock; the
//! [`Report`] says what became of every request.
//!
//! # What counts
//!
//! - A request is *sent* from the moment a client decides to send it, before it connects.
//! - It is *ok* only if the whole expected answer came within the deadline.
//! - Anything else is *lost* ([`Loss`] says how). No client ever sends a request a second time.
//!   So `sent = ok + lost` in every report.
//! - A kept connection that the server has ended while it was idle, and whose end the client has
//!   seen before it wrote a byte, is replaced (as browsers and curl do): a *reconnect*, no loss.
//!   Once a byte of the request was written, any failure is a loss.
//! - On a WebSocket each message counts as a request and its echo as the answer. A close frame that
//!   says "going away" or "service restart", or an end in order, is a *reconnect* where the client
//!   sees it before it writes its next message.
//! - On an event stream each event counts. Its end in order, between two events, is a *reconnect*;
//!   the client then says which event it saw last, and goes on with the one behind it.
//!
//! # Where it runs
//!
//! The sockets belong to the network namespace of the thread that runs the clients. [`start`] uses
//! the tokio runtime it is called in; [`start_on_thread`] makes a thread that enters a namespace
//! first.

mod client;
mod frame;
mod gauge;
mod histogram;
mod kind;
mod loss;
mod mix;
mod report;
mod run;
mod running;
mod tally;
#[cfg(test)]
mod tests;
mod wire;

pub use gauge::Over;
pub use kind::{Connection, Kind};
pub use loss::Loss;
pub use mix::{Body, Mix, Request, Site, Target};
pub use report::{Failure, Figures, KindReport, Report};
pub use running::{Running, start, start_on_thread};
