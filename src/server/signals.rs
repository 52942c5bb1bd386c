//! The signals that a server listens to.

use std::io::{IsTerminal as _, stderr, stdin, stdout};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::ServerError;

/// SIGTERM and SIGINT mean "end": systemd sends the one, a person at a terminal the other. SIGHUP means
/// "end" too where that terminal is gone (`signal(7)`), and else "take what is new", as for any daemon.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
    at_terminal: bool,
}

impl Signals {
    /// From here on these signals end the process no longer by themselves.
    ///
    /// # Errors
    /// Where there can be no handler.
    pub(super) fn new(by_hand: bool) -> Result<Self, ServerError> {
        let handler = |kind| signal(kind).map_err(ServerError::setup("a signal handler"));
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = by_hand && ignores_hangup(&status);
        Ok(Self {
            terminate: handler(SignalKind::terminate())?,
            interrupt: handler(SignalKind::interrupt())?,
            // Who ignores it from the start is to go on doing so: nohup(1).
            hangup: if ignored { None } else { Some(handler(SignalKind::hangup())?) },
            // Looked at now: a terminal that is gone is none any more. Any of the three: they may be
            // redirected one by one, and `nohup` does so with all.
            at_terminal: by_hand
                && (stdin().is_terminal() || stdout().is_terminal() || stderr().is_terminal()),
        })
    }

    /// Those who ask for what is new; none: a hangup is the end.
    pub(super) fn hangups(&mut self) -> Option<Signal> {
        if self.at_terminal { None } else { self.hangup.take() }
    }

    /// Waits until the server is to end.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = hung_up(self.hangup.as_mut(), self.at_terminal) => {}
        }
    }

    /// A person who presses Ctrl-C twice does not want to wait, nor does one who has left.
    pub(super) async fn again(&mut self) {
        if !self.at_terminal {
            return std::future::pending().await;
        }
        tokio::select! {
            _ = self.interrupt.recv() => {}
            () = hung_up(self.hangup.as_mut(), true) => {}
        }
    }
}

/// Waits until the terminal is gone; for ever where there is none.
async fn hung_up(hangup: Option<&mut Signal>, at_terminal: bool) {
    match hangup {
        Some(hangup) if at_terminal => {
            hangup.recv().await;
        }
        _ => std::future::pending().await,
    }
}

/// Whether the process ignores SIGHUP, by its `/proc/PID/status` (proc_pid_status(5)): the lowest bit
/// of `SigIgn` is that of signal 1.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hangup_is_seen() {
        assert!(ignores_hangup("Name:\tx\nSigBlk:\t0\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup(""));
    }
}
