//! The roll: brings the instances to run what is new, by swap or by restart, a few at a time, and halts
//! at the first that does not come up healthy.
//!
//! [`Plan`] says how each instance is rolled, and why so. [`Roll`] is the state machine, made of one
//! turn for each instance (`turn`, `gate`): pure, it says what to do next and is told what came of it
//! (`protocol`).
//! [`Driver`] does what it says, through a [`ServiceManager`](crate::manager::ServiceManager) and a
//! [`HealthProbe`]; what the instances run is said by one of [`Releases`]. `canary` compares the first good
//! instance with its siblings. [`Outcome`] is what is kept of a roll for those who ask afterwards, and
//! [`Progress`] while it is under way.

mod canary;
mod changed;
mod drive;
mod gate;
mod kept;
mod machine;
mod outcome;
mod plan;
mod progress;
mod protocol;
mod releases;
#[cfg(test)]
mod tests;
mod turn;

#[cfg(test)]
pub(crate) use canary::{Sample, compare};
pub use changed::{Now, changed};
pub use drive::{ControlSockets, Driver, HealthProbe, Patience, Releases};
pub use gate::Gate;
pub use machine::{Failed, Roll, Rules, Verdict};
pub use outcome::{Back, Closed, Outcome, Rolled};
pub use plan::{Candidate, Front, Plan, Planned, Reason, Way};
pub use progress::Progress;
pub use protocol::{Action, Event, IllegalEvent};
pub use releases::{Proven, Same, Untried};
