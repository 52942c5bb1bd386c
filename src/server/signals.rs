//! The signals that end a server.

use std::io::IsTerminal as _;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::ServerError;

/// The signals that mean "end": systemd sends SIGTERM, a person at a terminal SIGINT, a terminal that
/// is closed SIGHUP.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// None: it means something else, or nothing.
    hangup: Option<Signal>,
}

impl Signals {
    /// # Errors
    /// Where there can be no handlers.
    pub(super) fn new() -> Result<Self, ServerError> {
        let handler = |kind| signal(kind).map_err(ServerError::setup("a signal handler"));
        Ok(Self {
            terminate: handler(SignalKind::terminate())?,
            interrupt: handler(SignalKind::interrupt())?,
            hangup: None,
        })
    }

    /// From now on the end of the terminal is that of the server, and so of its app too, which gets no
    /// signal of the terminal. Not where that is to be ignored: nohup(1).
    ///
    /// # Errors
    /// Where there can be no handler.
    pub(super) fn end_with_terminal(&mut self) -> Result<(), ServerError> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if !ignores_hangup(&status) {
            let hangup = signal(SignalKind::hangup());
            self.hangup = Some(hangup.map_err(ServerError::setup("a signal handler"))?);
        }
        Ok(())
    }

    /// Waits until the server is to end.
    pub(super) async fn stop(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = hangup => {}
        }
    }

    /// A person who presses Ctrl-C twice does not want to wait.
    pub(super) async fn second_interrupt(&mut self) {
        if std::io::stderr().is_terminal() {
            self.interrupt.recv().await;
        } else {
            std::future::pending::<()>().await;
        }
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
