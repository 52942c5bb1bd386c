//! What ends a roll from outside: a stop of the app, or a cancel.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::context::Context;
use super::error::{Exit, Failure};
use super::roll::{announce, keep};
use crate::clock::BootTime;
use crate::install;
use crate::roll::{Outcome, Verdict};
use crate::unit::AppName;

/// What the roller listens to, from its first moment on.
pub(super) struct Ending {
    /// systemd ends the commands of a unit that is stopped.
    pub(super) stop: Signal,
    /// `romuoctl reload --cancel`, or a person at a terminal.
    pub(super) cancel: Signal,
}

/// Which of them came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Stopped,
    Canceled,
}

impl Ending {
    pub(super) fn listen() -> Result<Self, Failure> {
        let handler = |kind| signal(kind).map_err(Failure::Runtime);
        Ok(Self {
            stop: handler(SignalKind::terminate())?,
            cancel: handler(SignalKind::interrupt())?,
        })
    }

    /// Waits for either; a stop wins.
    pub(super) async fn comes(&mut self) -> Ended {
        tokio::select! {
            biased;
            _ = self.stop.recv() => Ended::Stopped,
            _ = self.cancel.recv() => Ended::Canceled,
        }
    }
}

impl Ended {
    /// Ends a roll that has touched nothing yet, and leaves what an earlier one has left.
    pub(super) fn before_it_began(
        self,
        app: &AppName,
        context: &Context,
        started: BootTime,
    ) -> Exit {
        if self == Self::Stopped {
            announce(&format!("the roll of {app} ended before it began: the app is being stopped"));
            return Exit::Done;
        }
        let instances = install::installed_instances(context.root(), app).unwrap_or_default();
        let verdict = Verdict {
            rolled: Vec::new(),
            stopped: Vec::new(),
            untouched: instances.into_iter().collect(),
            failed: Vec::new(),
            is_canceled: true,
            kept: Vec::new(),
        };
        let outcome = Outcome::new(app, &verdict, started, BootTime::now().since(started));
        keep(context, app, &outcome);
        announce(&outcome.to_string());
        Exit::Failed
    }
}
