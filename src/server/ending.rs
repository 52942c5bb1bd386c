//! A server on its way out: its last answers, and the end of its app.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::accept::Door;
use super::control::ControlFolder;
use super::figures::Answers;
use super::handoff::HandOver;
use super::notify;
use super::signals::Signals;
use super::sockets::Listeners;
use super::status::show;
use super::watchdog::Pulse;
use crate::config::Settings;
use crate::front::App;

/// How often the line in `systemctl status` is renewed during a drain.
const DRAIN_STATUS_EVERY: Duration = Duration::from_millis(500);

/// What a drain may take beyond its cap before systemd kills: the way out.
pub(super) const EXIT_MARGIN: Duration = Duration::from_secs(2);

/// A server on its way out.
pub(super) struct Ending<'a> {
    pub(super) door: &'a Arc<Door>,
    pub(super) answered: &'a Answers,
    pub(super) pulse: &'a Pulse,
    pub(super) settings: &'a Settings,
}

impl Ending<'_> {
    /// Answers what is there, until `cap` at the latest. Until when what comes after it may take:
    /// that is now for somebody who has lost patience.
    pub(super) async fn drain(
        &self,
        listeners: Listeners,
        by_hand: bool,
        control: Option<&ControlFolder>,
        cap: Instant,
        signals: &mut Signals,
    ) -> Instant {
        let draining = || format!("draining: {} connections left", self.door.open());
        notify::stopping(&draining(), self.settings.limits.stop_timeout + EXIT_MARGIN);
        tracing::info!(connections = self.door.open(), requests = self.answered.all(), "draining");

        let empty = async {
            if by_hand {
                // The queue ends with this process.
                self.door.keep();
                self.door.admit(listeners.close());
                return self.door.wait_until_empty().await;
            }
            // The queue outlives this process. Until the next one comes up a sibling takes what is in it,
            // and what is idle here; where there is none, go on for a while.
            let siblings = healthy_siblings(control).await;
            if let Some(hand_over) = HandOver::to(&siblings).await {
                drop(listeners);
                return self.hand_over(hand_over).await;
            }
            self.door.keep();
            if siblings.is_empty() {
                self.door.accept_until(&listeners, sleep(self.settings.reload.linger)).await;
            }
            drop(listeners);
            self.door.wait_until_empty().await;
        };
        tokio::select! {
            biased;
            () = empty => tracing::info!(requests = self.answered.all(), "drained"),
            () = sleep_until(cap) => {
                tracing::warn!(connections = self.door.open(), "out of time: cutting what is left");
            }
            () = signals.again() => {
                tracing::warn!(connections = self.door.open(), "interrupted again: ending at once");
                return Instant::now();
            }
            () = show(DRAIN_STATUS_EVERY, || { self.pulse.beat(); draining() }, None) => {}
        }
        cap
    }

    /// Lets siblings go on with what is idle, until nothing is left.
    async fn hand_over(&self, mut hand_over: HandOver) {
        tokio::select! {
            biased;
            () = self.door.wait_until_empty() => {}
            never = hand_over.run(self.door) => match never {},
        }
    }
}

/// Ends the app, until `cap` at the latest; sooner for somebody who loses patience.
pub(super) async fn stop_app(app: &App, cap: Instant, pulse: &Pulse, signals: &mut Signals) {
    let stopping = || {
        pulse.beat();
        "the app is asked to end".to_owned()
    };
    tokio::select! {
        biased;
        () = app.stop(cap) => {}
        () = signals.again() => app.stop(Instant::now()).await,
        () = show(DRAIN_STATUS_EVERY, stopping, None) => {}
    }
}

async fn healthy_siblings(control: Option<&ControlFolder>) -> Vec<PathBuf> {
    match control {
        Some(control) => control.healthy_siblings().await,
        None => Vec::new(),
    }
}
