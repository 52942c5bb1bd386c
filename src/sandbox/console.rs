//! `/dev/console` of a sandbox: systemd wants a terminal there.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use super::error::SandboxError;

/// How many lines are kept for an error text.
const KEPT: usize = 20;

/// The last lines that were written to a console, from several sides.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    pub(super) fn push(&self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back(line.to_owned());
        if lines.len() > KEPT {
            lines.pop_front();
        }
    }

    fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// A terminal (pty(7)) and the thread that reads what is written to it: a console that nobody
/// reads would block its writers.
#[derive(Debug)]
pub(super) struct Console {
    /// Held open: the reader sees the end when no end like this is left anywhere.
    terminal: OwnedFd,
    reader: JoinHandle<()>,
    tail: Tail,
}

impl Console {
    pub(super) fn open() -> Result<Self, SandboxError> {
        let (screen, terminal) = pair().map_err(|e| SandboxError::run("/dev/ptmx", &e))?;
        let tail = Tail::default();
        let lines = tail.clone();
        let reader = thread::spawn(move || {
            let mut screen = BufReader::new(File::from(screen));
            let mut line = Vec::new();
            while screen.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                lines.push(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Ok(Self { terminal, reader, tail })
    }

    /// The end that programs write to.
    pub(super) fn terminal(&self) -> Result<OwnedFd, SandboxError> {
        self.terminal.try_clone().map_err(|e| SandboxError::run("/dev/ptmx", &e))
    }

    pub(super) fn tail(&self) -> Tail {
        self.tail.clone()
    }

    /// The last lines, when all writers are dead.
    pub(super) fn end(self) -> String {
        drop(self.terminal);
        let _ = self.reader.join();
        self.tail.text()
    }
}

fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let screen = openpt(flags)?;
    grantpt(&screen)?;
    unlockpt(&screen)?;
    let terminal = ioctl_tiocgptpeer(&screen, flags)?;
    Ok((screen, terminal))
}
