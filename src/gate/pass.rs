//! Again and again, until this instance has answered on each of its addresses.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use http::StatusCode;

use super::ask::ask;
use super::dial::{Dialled, End};
use super::error::{GateError, Unwell};
use super::members::{Cgroup, hold};
use super::network;
use crate::config::Listen;

/// Connections at the same time: enough that not all of them land with a sibling that is quicker,
/// too few to be noticed by it.
const AT_ONCE: usize = 4;

/// Shortest pause between two looks: an app that is up is found at once.
const PAUSE: Duration = Duration::from_millis(10);

/// Longest pause between two looks. The siblings get this often, while an app takes its time to
/// boot, [`AT_ONCE`] connections that nobody speaks on.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What the gate asks, and how long it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The app's addresses, in the order in which systemd hands over their sockets.
    pub listen: Vec<Listen>,
    /// The path that is asked for.
    pub path: String,
    /// How long one answer may take.
    pub timeout: Duration,
    /// How long the instance may take until it answers well on all of them.
    pub within: Duration,
}

/// An instance that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The code of its last answer.
    pub code: StatusCode,
}

/// The first descriptor that systemd hands over (sd_listen_fds(3)).
const FIRST_DESCRIPTOR: usize = 3;

impl Gate {
    /// Waits until a process of the unit that runs this has answered well on each address. Sleeps
    /// meanwhile: it is for a process that does nothing else, and has one thread.
    ///
    /// # Errors
    /// Where it does not in time, where the app ends, or the kernel cannot be asked.
    pub fn pass(&self) -> Result<Passed, GateError> {
        let unit = Cgroup::own().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => GateError::NoUnit,
            _ => GateError::Look { doing: "read the cgroup of this process", source },
        })?;
        let source = network::enter_that_of_the_sockets();
        source.map_err(look("enter the network of the app's sockets"))?;
        self.pass_with(|| unit.processes())
    }

    /// The same, of an instance with these processes.
    pub(super) fn pass_with(
        &self,
        processes: impl Fn() -> io::Result<Vec<u32>>,
    ) -> Result<Passed, GateError> {
        let deadline = Instant::now() + self.within;
        let mut code = StatusCode::OK;
        for (index, listen) in self.listen.iter().enumerate() {
            let address = Address {
                gate: self,
                listen,
                descriptor: FIRST_DESCRIPTOR + index,
                deadline,
                open: Vec::new(),
                taken: 0,
                trouble: None,
            };
            code = address.pass(&processes)?;
        }
        Ok(Passed { code })
    }
}

fn look(doing: &'static str) -> impl FnOnce(io::Error) -> GateError {
    move |source| GateError::Look { doing, source }
}

/// One address under way.
struct Address<'a> {
    gate: &'a Gate,
    listen: &'a Listen,
    descriptor: usize,
    deadline: Instant,
    open: Vec<Attempt>,
    /// How many connections went to siblings.
    taken: u32,
    trouble: Option<Trouble>,
}

/// What was last in the way.
enum Trouble {
    Connect(io::Error),
    Unwell(Unwell),
}

impl Trouble {
    fn is_of_an_answer(&self) -> bool {
        matches!(self, Self::Unwell(_))
    }
}

/// A connection under way.
struct Attempt {
    connection: Dialled,
    /// It was seen accepted by none of ours: perhaps it was not yet in its table of files.
    elsewhere: bool,
}

impl Address<'_> {
    fn pass(
        mut self,
        processes: impl Fn() -> io::Result<Vec<u32>>,
    ) -> Result<StatusCode, GateError> {
        let mut pause = PAUSE;
        loop {
            self.dial();
            if let Some(code) = self.look(&processes)? {
                return Ok(code);
            }
            let now = Instant::now();
            if now >= self.deadline {
                return Err(self.late());
            }
            sleep(pause.min(self.deadline - now));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Opens what is missing to a few connections.
    fn dial(&mut self) {
        while self.open.len() < AT_ONCE {
            match Dialled::new(self.listen) {
                Ok(connection) => {
                    self.open.push(Attempt { connection, elsewhere: false });
                    self.trouble = self.trouble.take().filter(Trouble::is_of_an_answer);
                }
                Err(error) => {
                    self.trouble = Some(Trouble::Connect(error));
                    break;
                }
            }
        }
    }

    /// Looks where each of them went, and asks on those that are ours.
    fn look(
        &mut self,
        processes: impl Fn() -> io::Result<Vec<u32>>,
    ) -> Result<Option<StatusCode>, GateError> {
        let attempts = std::mem::take(&mut self.open);
        let ends: io::Result<Vec<End>> =
            attempts.iter().map(|attempt| attempt.connection.end()).collect();
        let ends = ends.map_err(look("ask the kernel who accepted a connection"))?;
        // After that: whoever accepted one is among them.
        let ours = processes().map_err(look("list the processes of this unit"))?;
        if ours.is_empty() {
            let (listen, path) = (self.listen.clone(), self.gate.path.clone());
            return Err(GateError::Ended { listen, path });
        }
        for (mut attempt, end) in attempts.into_iter().zip(ends) {
            match end {
                End::Queue => self.open.push(attempt),
                End::Socket(inode) if hold(&ours, inode) => {
                    if let Some(code) = self.ask(attempt.connection) {
                        return Ok(Some(code));
                    }
                }
                // Looked at once more: a socket is made before it has its descriptor.
                End::Socket(_) if !attempt.elsewhere => {
                    attempt.elsewhere = true;
                    self.open.push(attempt);
                }
                End::Socket(_) | End::Gone => self.taken += 1,
            }
        }
        Ok(None)
    }

    /// Asks on a connection that this instance took; none: it did not answer well.
    fn ask(&mut self, connection: Dialled) -> Option<StatusCode> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let timeout = self.gate.timeout.min(left);
        match ask(connection, &self.gate.path, timeout) {
            Ok(code) => return Some(code),
            // It was cut short: what it answered before says more.
            Err(Unwell::Late(_)) if timeout < self.gate.timeout && self.trouble.is_some() => {}
            Err(unwell) => self.trouble = Some(Trouble::Unwell(unwell)),
        }
        None
    }

    /// What to say when the time is over.
    fn late(self) -> GateError {
        let (listen, path) = (self.listen.clone(), self.gate.path.clone());
        match self.trouble {
            Some(Trouble::Unwell(unwell)) => GateError::Unwell { listen, path, unwell },
            Some(Trouble::Connect(source)) => GateError::Connect { listen, source },
            None => GateError::Nobody {
                listen,
                within: self.gate.within,
                taken: self.taken,
                descriptor: self.descriptor,
            },
        }
    }
}
