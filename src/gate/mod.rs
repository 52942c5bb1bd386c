//! The gate: the readiness of an app that takes the listening sockets itself (`mode = "inherit"`).
//!
//! Such an app has no door of its own that its health could be asked at, and on the shared socket a
//! sibling could answer. So the gate, which the unit runs as `ExecStartPost=`, connects to the app's
//! address again and again, asks the kernel which process took each connection, and speaks only on
//! one that a process of its own unit took:
//!
//! | part | tells |
//! |---|---|
//! | `table` | TCP: the addresses of a connection -> the inode of its accepted end (proc(5), `/proc/net/tcp`) |
//! | `diag` | unix sockets: the same, by the inode of our end (sock_diag(7)) |
//! | `members` | which processes are the unit's, and which sockets they hold (cgroups(7)) |
//! | `dial` | a connection to the app, and where its accepted end is |
//! | `ask` | `GET health.path` on it |
//! | `pass` | all of that again and again, until a deadline |
//!
//! A connection that a sibling took is closed without a byte having been sent: to the sibling that is
//! a client who changed its mind. The inode is 0 for as long as a connection waits in the queue.

mod ask;
mod diag;
mod dial;
mod error;
mod members;
mod network;
mod pass;
mod table;

#[cfg(test)]
mod tests;

pub use self::error::{GateError, Unwell};
pub use self::pass::{Gate, Passed};
pub(crate) use members::{all as processes, hold};
pub(crate) use table::{listeners, parse as parse_address};
