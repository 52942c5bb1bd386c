//! The wire type of `/health` and the probe that asks an instance for it on its own control socket.

mod probe;
mod report;

pub(crate) use probe::ask;
pub use probe::{ProbeError, probe};
pub use report::{Memory, Report, Status};
