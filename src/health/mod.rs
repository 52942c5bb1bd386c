//! The wire types of an instance's control socket and the client that asks there: how it is
//! (`/health`), and to swap its program (`/swap`).

mod client;
mod control;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod probe;
mod report;
mod swap;

pub use client::ProbeError;
pub(crate) use control::{control_socket, healthy_siblings, siblings};
pub(crate) use probe::ask;
pub use probe::probe;
pub use report::{AppReport, Memory, Recycled, Report, Status};
pub use swap::{SwapAnswer, SwapState, may_swap, swap};

/// Who asks an app for its health, for its logs.
pub const AGENT: &str = concat!("romuo/", env!("CARGO_PKG_VERSION"), " (health)");

/// The header by which an app tells the questions of romuo from those of visitors, whose are kept from it.
pub const QUESTION: &str = "romuo-health";
