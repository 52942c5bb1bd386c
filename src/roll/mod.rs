//! The roll: restarts the instances one at a time, and halts at the first that does not come up
//! healthy.
//!
//! [`Roll`] is the state machine: pure, it says what to do next and is told what came of it.
//! [`drive`] does what it says, through a [`ServiceManager`](crate::manager::ServiceManager) and a
//! [`HealthProbe`]. [`Outcome`] is what is kept of a roll for those who ask afterwards.

mod drive;
mod machine;
mod outcome;
mod plan;
#[cfg(test)]
mod tests;

pub use drive::{ControlSockets, HealthProbe, drive};
pub use machine::{Action, Event, Halt, IllegalEvent, Roll, Verdict};
pub use outcome::Outcome;
pub use plan::Plan;
