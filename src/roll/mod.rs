//! The roll: brings the instances one at a time to run what is new, by swap or by restart, and halts
//! at the first that does not come up healthy.
//!
//! [`Plan`] says how each instance is rolled, and why so. [`Roll`] is the state machine: pure, it
//! says what to do next and is told what came of it. [`drive`] does what it says, through a
//! [`ServiceManager`](crate::manager::ServiceManager) and a [`HealthProbe`]. [`Outcome`] is what is
//! kept of a roll for those who ask afterwards.

mod changed;
mod drive;
mod machine;
mod outcome;
mod plan;
#[cfg(test)]
mod tests;

pub use changed::changed;
pub use drive::{ControlSockets, HealthProbe, drive};
pub use machine::{Action, Event, Halt, IllegalEvent, Roll, Verdict};
pub use outcome::{Outcome, Rolled};
pub use plan::{Candidate, Front, Plan, Planned, Reason, Way};
