//! Does what the state machine says.

use std::path::PathBuf;
use std::time::Duration;

use super::machine::{Action, Event, IllegalEvent, Roll, Verdict};
use crate::health::{self, ProbeError, Report, SwapState};
use crate::manager::{ManagerError, ServiceManager, Verb};
use crate::unit::{AppName, InstanceId, JobResult};

/// Pause between two probes of an instance that is up but did not answer well: long enough that a
/// few of them outlast a hiccup, short against the time a restart takes.
const PROBE_PAUSE: Duration = Duration::from_millis(200);

/// Asks one instance for its health.
#[expect(async_fn_in_trait, reason = "used with concrete types only; no caller needs Send bounds")]
pub trait HealthProbe {
    /// Asks the instance itself, never the shared socket: a sibling could answer there.
    ///
    /// # Errors
    /// Where it does not answer with a health report.
    async fn probe(&self, instance: InstanceId) -> Result<Report, ProbeError>;

    /// Asks its front whether it can swap, and what came of the last swap.
    ///
    /// # Errors
    /// Where no front answers.
    async fn may_swap(&self, instance: InstanceId) -> Result<SwapState, ProbeError>;
}

/// The control sockets of an app's instances.
#[derive(Debug, Clone)]
pub struct ControlSockets {
    /// The folder they are in: `/run/romuo/NAME`.
    pub folder: PathBuf,
    /// How long one answer may take.
    pub timeout: Duration,
}

impl HealthProbe for ControlSockets {
    async fn probe(&self, instance: InstanceId) -> Result<Report, ProbeError> {
        health::probe(&health::control_socket(&self.folder, instance), self.timeout).await
    }

    async fn may_swap(&self, instance: InstanceId) -> Result<SwapState, ProbeError> {
        health::may_swap(&health::control_socket(&self.folder, instance), self.timeout).await
    }
}

/// Drives a roll to its end. `told` hears of each action before it is done.
///
/// # Errors
/// Only where the machine and this driver disagree, which is a defect of romuo.
pub async fn drive(
    mut roll: Roll,
    app: &AppName,
    manager: &impl ServiceManager,
    health: &impl HealthProbe,
    mut told: impl FnMut(&Roll, Action),
) -> Result<Verdict, IllegalEvent> {
    while let Some(action) = roll.action() {
        told(&roll, action);
        let event = match action {
            Action::Swap(id) => match manager.run(Verb::Reload, &app.instance(id)).await {
                Ok(result) => Event::Job(result),
                Err(ManagerError::NotActive { .. }) => Event::Job(JobResult::Invalid),
                Err(error) => Event::Trouble(error.to_string()),
            },
            Action::Ask(id) => {
                let answer = health.may_swap(id).await;
                Event::Swap(answer.map(Box::new).map_err(|error| error.to_string()))
            }
            Action::Restart(id) => match manager.run(Verb::Restart, &app.instance(id)).await {
                Ok(result) => Event::Job(result),
                Err(error) => Event::Trouble(error.to_string()),
            },
            Action::Read(id) => match manager.status(&app.instance(id)).await {
                Ok(status) => Event::Status(Box::new(status)),
                Err(error) => Event::Trouble(error.to_string()),
            },
            Action::Probe { instance, failed } => {
                if failed > 0 {
                    tokio::time::sleep(PROBE_PAUSE).await;
                }
                let answer = health.probe(instance).await;
                Event::Probe(answer.map(Box::new).map_err(|error| error.to_string()))
            }
        };
        roll.apply(event)?;
    }
    Ok(roll.verdict())
}
