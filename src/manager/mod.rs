//! The service manager: what the roll and the verbs of `romuoctl` need of systemd, as a trait.
//!
//! [`Systemd`] is the real one, over D-Bus (org.freedesktop.systemd1(5)).

mod cgroup;
mod error;
mod status;
mod systemd;

pub use error::ManagerError;
pub use status::{UnitFiles, UnitStatus};
pub use systemd::Systemd;

use crate::unit::{JobResult, UnitName};

/// What a job is to do with a unit (the manager's methods `StartUnit` and so on).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Start it, where it is down.
    Start,
    /// Stop it.
    Stop,
    /// Stop it, where it is up, and start it.
    Restart,
    /// Ask it to reload.
    Reload,
}

/// A service manager.
#[expect(async_fn_in_trait, reason = "used with concrete types only; no caller needs Send bounds")]
pub trait ServiceManager {
    /// The state of every loaded unit whose name matches one of the glob `patterns`. Whole for
    /// instances; of a socket its addresses and of another service its status text, besides whether
    /// it is up. ([`ServiceManager::status`] tells all of any unit.)
    ///
    /// # Errors
    /// Where the manager cannot be asked.
    async fn list(&self, patterns: &[&str]) -> Result<Vec<UnitStatus>, ManagerError>;

    /// The state of one unit, loaded or not.
    ///
    /// # Errors
    /// Where the manager cannot be asked.
    async fn status(&self, unit: &UnitName) -> Result<UnitStatus, ManagerError>;

    /// Queues a job and waits until it is gone; the units' own timeouts bound the wait.
    /// `done` does not mean that the unit is up: read its state afterwards.
    ///
    /// # Errors
    /// Where the job cannot be queued, or the manager goes away.
    async fn run(&self, verb: Verb, unit: &UnitName) -> Result<JobResult, ManagerError>;

    /// The names and rough states of the loaded units whose name matches one of the glob `patterns`,
    /// in one call however many there are: of each whether it is loaded and up, and what is queued for it.
    ///
    /// # Errors
    /// Where the manager cannot be asked.
    async fn names(&self, patterns: &[&str]) -> Result<Vec<UnitStatus>, ManagerError>;

    /// Waits until the manager answers again after it had gone away (`daemon-reexec`, a restart of
    /// the bus), for as long as that takes.
    ///
    /// # Errors
    /// Where it answers that it will not.
    async fn back(&self) -> Result<(), ManagerError>;
}
