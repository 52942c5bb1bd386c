//! `romuo-server guard before`, `guard ready` and `guard after`: what the instances' units run.

use std::path::Path;
use std::time::Duration;

use super::state::whole_seconds;
use super::{Errored, Guard, GuardError, State, Verdict};
use crate::clock::BootTime;
use crate::config::{Retry, format_duration};
use crate::unit::{InstanceId, ServiceResult};

/// How a guard command ends. The caller prints the sentence on stderr and exits with the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code. For `ExecCondition=`, 0 lets the instance start and 1 does not
    /// (systemd.service(5)).
    pub code: u8,
    /// What to say.
    pub message: Option<String>,
}

impl Outcome {
    const FINE: Self = Self { code: 0, message: None };

    /// A guard that cannot keep its count says so and stays out of the way.
    fn cannot_count(error: &GuardError) -> Self {
        Self { code: 0, message: Some(error.to_string()) }
    }
}

/// `guard before ID --max-restarts N --retry-errored D`, with `dir` from `$RUNTIME_DIRECTORY`.
#[must_use]
pub fn before(dir: &Path, id: InstanceId, max_restarts: u32, retry: Retry) -> Outcome {
    let now = BootTime::now();
    match Guard::at(dir, id).before_start(now, max_restarts, retry) {
        Ok(Verdict::Start) => Outcome::FINE,
        Ok(Verdict::StandIn(Errored { crashes, retry_at })) => Outcome {
            code: 0,
            message: Some(format!(
                "Instance {id} is errored: it crashed {crashes} times in a row, each time too soon. \
                 It is tried again in {}.",
                format_duration(whole_seconds(retry_at.since(now)))
            )),
        },
        Ok(Verdict::Errored { crashes }) => Outcome {
            code: 1,
            message: Some(format!(
                "Instance {id} is errored: it crashed {crashes} times in a row, each time too soon. \
                 It stays down until it is started by hand."
            )),
        },
        Err(error) => Outcome::cannot_count(&error),
    }
}

/// `guard ready ID`, with `dir` from `$RUNTIME_DIRECTORY`: for an app that does not say so by itself.
#[must_use]
pub fn ready(dir: &Path, id: InstanceId) -> Outcome {
    match Guard::at(dir, id).ready(BootTime::now()) {
        Ok(()) => Outcome::FINE,
        Err(error) => Outcome::cannot_count(&error),
    }
}

/// `guard after ID --min-uptime D`, with `dir` from `$RUNTIME_DIRECTORY` and `result` from
/// `$SERVICE_RESULT`.
#[must_use]
pub fn after(dir: &Path, id: InstanceId, result: &ServiceResult, min_uptime: Duration) -> Outcome {
    match Guard::at(dir, id).after_stop(BootTime::now(), result, min_uptime) {
        // A stand-in has ended.
        Ok(State { crashes: 0, .. } | State { errored: true, .. }) => Outcome::FINE,
        Ok(_) if *result == ServiceResult::ExecCondition => Outcome::FINE,
        Ok(State { crashes, .. }) => Outcome {
            code: 0,
            message: Some(format!(
                "Instance {id} ended too soon ({result}): crash {crashes} in a row."
            )),
        },
        Err(error) => Outcome::cannot_count(&error),
    }
}
