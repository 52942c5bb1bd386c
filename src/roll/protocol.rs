//! What the machine and whoever drives it say to each other.

use crate::health::{Report, SwapState};
use crate::manager::UnitStatus;
use crate::unit::{InstanceId, JobResult};

/// What the driver is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Have its front swap the program (systemd's reload) and wait for the job; answer with
    /// [`Event::Job`], with [`JobResult::Invalid`] where its unit cannot reload now.
    Swap(InstanceId),
    /// Ask its front what came of the swap; answer with [`Event::Swap`].
    Ask(InstanceId),
    /// Restart this instance and wait for the job; answer with [`Event::Job`].
    Restart(InstanceId),
    /// Restart it with what it ran before, and wait for the job; answer with [`Event::Job`].
    PutBack(InstanceId),
    /// What it runs now it is to run from now on; answer with [`Event::Kept`].
    Keep(InstanceId),
    /// Start this extra instance and wait for the job; answer with [`Event::Job`].
    Start(InstanceId),
    /// Stop this extra instance and wait for the job; answer with [`Event::Job`].
    Stop(InstanceId),
    /// Read its state; answer with [`Event::Status`].
    Read {
        /// The instance.
        instance: InstanceId,
        /// It may be in the middle of something: pause first.
        settling: bool,
    },
    /// Ask it for its health; answer with [`Event::Probe`].
    Probe {
        /// The instance.
        instance: InstanceId,
        /// How many probes of it in a row were good so far.
        good: u32,
        /// How many in a row have failed: pause first where there was one.
        failed: u32,
    },
    /// Compare it with its siblings for a while; answer with [`Event::Watched`].
    Watch(InstanceId),
    /// Wait until the service manager is back; answer with [`Event::Back`].
    Return(InstanceId),
}

impl Action {
    /// The instance that it is about.
    #[must_use]
    pub fn instance(self) -> InstanceId {
        match self {
            Self::Swap(instance)
            | Self::Ask(instance)
            | Self::Restart(instance)
            | Self::PutBack(instance)
            | Self::Keep(instance)
            | Self::Start(instance)
            | Self::Stop(instance)
            | Self::Watch(instance)
            | Self::Return(instance)
            | Self::Read { instance, .. }
            | Self::Probe { instance, .. } => instance,
        }
    }
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The job is gone.
    Job(JobResult),
    /// What the front says of swaps, or why it says nothing.
    Swap(Result<Box<SwapState>, String>),
    /// The state of the instance.
    Status(Box<UnitStatus>),
    /// What the instance says of its health, or why it says nothing.
    Probe(Result<Box<Report>, String>),
    /// It was watched long enough, or is worse than its siblings: the end of a sentence that begins
    /// with its name.
    Watched(Result<(), String>),
    /// It goes on running what it runs, or why that could not be noted.
    Kept(Result<(), String>),
    /// The service manager went away.
    Lost(String),
    /// The service manager is back.
    Back,
    /// The service manager refused.
    Trouble(String),
    /// It took too long.
    Deadline,
}

/// An event that does not answer the action at hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the roll was told {event:?} of instance {instance}, which does not answer {action:?}")]
pub struct IllegalEvent {
    /// Of whom it was told.
    pub instance: InstanceId,
    /// What was to be done; none: nothing.
    pub action: Option<Action>,
    /// What came.
    pub event: Event,
}
