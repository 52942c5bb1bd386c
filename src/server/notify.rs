//! What systemd is told (`sd_notify(3)`). Without systemd nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::text::shown;

/// The server answers.
pub(super) fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(&shown(status))]);
}

/// A line for `systemctl status`, and one only: a line end in what an app says would begin another message.
pub(super) fn status(status: &str) {
    send(&[NotifyState::Status(&shown(status))]);
}

/// The drain has begun; it takes `longest` at the most.
pub(super) fn stopping(status: &str, longest: Duration) {
    let micros = u32::try_from(longest.as_micros()).unwrap_or(u32::MAX);
    send(&[
        NotifyState::Stopping,
        NotifyState::Status(&shown(status)),
        NotifyState::ExtendTimeoutUsec(micros),
    ]);
}

/// The server lives.
pub(super) fn ping() {
    send(&[NotifyState::Watchdog]);
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "could not notify systemd");
    }
}
