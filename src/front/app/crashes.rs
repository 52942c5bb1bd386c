//! The crashes of the app, which the crash guard counts.

use crate::clock::BootTime;
use crate::config::Limits;
use crate::guard::{Guard, State};

/// How often the app has crashed too soon.
#[derive(Debug)]
pub(super) struct Crashes {
    guard: Option<Guard>,
    /// Stands in for the guard's file where there is none: by hand.
    count: State,
}

impl Crashes {
    pub(super) fn new(guard: Option<Guard>) -> Self {
        Self { guard, count: State::default() }
    }

    /// The app is well: from now on its uptime counts.
    pub(super) fn ready(&mut self) {
        let now = BootTime::now();
        self.count = self.count.ready(now);
        if let Some(guard) = &self.guard
            && let Err(error) = guard.ready(now)
        {
            tracing::warn!("{error}");
        }
    }

    /// The app has ended; whether it has crashed too often.
    pub(super) fn ended(&mut self, limits: &Limits) -> bool {
        let (now, min_uptime) = (BootTime::now(), limits.min_uptime);
        self.count = self.count.child_ended(now, min_uptime);
        let counted = self.guard.as_ref().map(|guard| guard.child_ended(now, min_uptime));
        let state = counted.unwrap_or(Ok(self.count)).unwrap_or_else(|error| {
            tracing::warn!("{error}");
            self.count
        });
        state.crashes > 0 && state.crashes >= limits.max_restarts
    }
}
