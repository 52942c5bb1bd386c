//! What the instances run from their next start on.

use super::drive::Releases;
use crate::release::{Pin, ReleaseError, ReleaseId, Store, Trials};
use crate::unit::InstanceId;

/// The same again, whatever that is.
#[derive(Debug, Clone, Copy)]
pub struct Same;

impl Releases for Same {
    fn offer(&self, _: InstanceId) -> Result<(), String> {
        Ok(())
    }

    fn withdraw(&self, _: InstanceId) -> Result<(), String> {
        Ok(())
    }

    fn keep(&self, _: InstanceId) -> Result<(), String> {
        Ok(())
    }
}

/// A release that has not shown yet that it is well: each instance tries it, and is pinned to it after.
#[derive(Debug, Clone)]
pub struct Untried<'a> {
    /// The releases.
    pub store: &'a Store,
    /// Where it is offered.
    pub trials: &'a Trials,
    /// It.
    pub release: &'a ReleaseId,
}

impl Releases for Untried<'_> {
    fn offer(&self, instance: InstanceId) -> Result<(), String> {
        said(self.trials.offer(self.store, instance, self.release))
    }

    fn withdraw(&self, instance: InstanceId) -> Result<(), String> {
        said(self.trials.withdraw(instance))
    }

    fn keep(&self, instance: InstanceId) -> Result<(), String> {
        said(self.store.pin(instance, self.release).and_then(|()| self.trials.withdraw(instance)))
    }
}

/// What instances have run before: they are pinned to it first, so that it is what they run whatever comes.
#[derive(Debug, Clone)]
pub struct Proven<'a> {
    /// The releases.
    pub store: &'a Store,
    /// Where another one may still be offered.
    pub trials: &'a Trials,
    /// It.
    pub pin: &'a Pin,
}

impl Releases for Proven<'_> {
    fn offer(&self, instance: InstanceId) -> Result<(), String> {
        said(self.trials.withdraw(instance).and_then(|()| self.store.pin(instance, self.pin)))
    }

    fn withdraw(&self, instance: InstanceId) -> Result<(), String> {
        self.offer(instance)
    }

    fn keep(&self, _: InstanceId) -> Result<(), String> {
        Ok(())
    }
}

fn said(result: Result<(), ReleaseError>) -> Result<(), String> {
    result.map_err(|error| error.to_string())
}
