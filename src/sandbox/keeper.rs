//! The process that holds a sandbox up. It boots the sandbox, tells the owner, waits for the end
//! of file on its stdin, and then removes every trace. Whatever ends the owner (a panic, a
//! timeout, SIGKILL) closes that pipe. Were the keeper itself killed, the death signal would end
//! the sandbox, and the next keeper would sweep the cgroups.

use std::io::{self, BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::cgroup::{Hierarchy, Tree};
use super::console::{Console, Tail};
use super::error::SandboxError;
use super::init::{CGROUP, VERB, send};
use super::inside;
use super::message::{Answer, Layout, Notice, Request, Spec};
use super::ready;
use crate::account::tool;

/// How long a boot may take. It takes half a second on an idle machine; a crowded one is slower.
const BOOT: Duration = Duration::from_secs(90);
/// How long a power-off may take: systemd's own `DefaultTimeoutStopSec=` (90 s) and some more, so
/// that systemd gives up first.
const POWER_OFF: Duration = Duration::from_secs(100);
/// How long the end of a PID 1 that cannot be reached any more is waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

enum Event {
    /// From the owner: a request, or none where it is gone.
    Owner(Option<Request>),
    /// From the process that is to become systemd.
    Inside(Notice),
    /// What the boot came to.
    Booted(Result<(), SandboxError>),
    /// All processes inside are dead.
    Ended(String),
}

/// Boots a sandbox, answers on stdout, and returns when it is gone.
pub(super) fn keep(spec: &Spec) -> Result<(), SandboxError> {
    let hierarchy = match spec.hierarchy {
        Some(hierarchy) => hierarchy,
        None => Hierarchy::detect(ready::systemd_version()?)?,
    };
    let tree = Tree::create(hierarchy, std::process::id())?;
    let kept = Keeper::start(spec, &tree).and_then(|mut keeper| {
        let result = match keeper.boot(tree.memory) {
            Ok(true) => keeper.hold(),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        keeper.kill();
        keeper.explain(result)
    });
    tree.remove();
    kept
}

struct Keeper {
    events: Receiver<Event>,
    sender: Sender<Event>,
    /// `unshare`: it waits for PID 1 and ends after it.
    unshare: OwnedFd,
    /// PID 1, once it is known.
    init: Option<(u32, OwnedFd)>,
    ended: bool,
    console: Console,
}

impl Keeper {
    fn start(spec: &Spec, tree: &Tree) -> Result<Self, SandboxError> {
        let console = Console::open()?;
        let (sender, events) = mpsc::channel();
        let mut child = spawn(spec, tree, &console)?;
        let unshare = pidfd(child.id())?;
        let (inside, tail) = (sender.clone(), console.tail());
        thread::spawn(move || {
            // Notices first: the end must not overtake the reason for it.
            if let Some(stderr) = child.stderr.take() {
                read_notices(stderr, &inside, &tail);
            }
            let status = child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
            let _ = inside.send(Event::Ended(status));
        });
        let owner = sender.clone();
        thread::spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                let _ = owner.send(Event::Owner(serde_json::from_str(&line).ok()));
            }
            let _ = owner.send(Event::Owner(None));
        });
        Ok(Self { events, sender, unshare, init: None, ended: false, console })
    }

    /// True when it is up; false where the owner went away meanwhile.
    fn boot(&mut self, memory_limits: bool) -> Result<bool, SandboxError> {
        let mut deadline = Instant::now() + BOOT;
        let mut unreachable = None;
        loop {
            match self.next(deadline) {
                // Where it is dead already, its reason is under way.
                Ok(Event::Inside(Notice::Pid(pid))) => {
                    self.init = pidfd(pid).ok().map(|fd| (pid, fd));
                }
                Ok(Event::Inside(Notice::Starting)) => {
                    let Some((pid, _)) = self.init else { continue };
                    let sender = self.sender.clone();
                    thread::spawn(move || sender.send(Event::Booted(ready::wait(pid))));
                }
                Ok(Event::Booted(Ok(()))) => {
                    let Some((pid, _)) = self.init else { continue };
                    send(&mut io::stdout(), &Answer::Ready { pid, memory_limits });
                    return Ok(true);
                }
                // Most likely it is dying; its end will say more.
                Ok(Event::Booted(Err(error @ SandboxError::Run { .. }))) => {
                    unreachable = Some(error);
                    deadline = Instant::now() + LAST_WORDS;
                }
                Ok(Event::Booted(Err(error)) | Event::Inside(Notice::Failed(error))) => {
                    return Err(error);
                }
                Ok(Event::Owner(_)) => return Ok(false),
                Ok(Event::Ended(status)) => {
                    self.ended = true;
                    return Err(not_up(format!("it ended with {status}")));
                }
                Err(_) => {
                    let late = || not_up(format!("no answer within {} s", BOOT.as_secs()));
                    return Err(unreachable.unwrap_or_else(late));
                }
            }
        }
    }

    /// Until the owner goes away or the sandbox ends.
    fn hold(&mut self) -> Result<(), SandboxError> {
        let mut deadline = None;
        loop {
            let event = match deadline {
                Some(deadline) => self.next(deadline),
                None => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match event {
                Ok(Event::Owner(Some(Request::PowerOff))) => {
                    let Some((pid, _)) = self.init else { continue };
                    ready::power_off(pid)?;
                    deadline = Some(Instant::now() + POWER_OFF);
                }
                Ok(Event::Owner(None)) => return Ok(()),
                Ok(Event::Ended(_)) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(Event::Inside(_) | Event::Booted(_)) => {}
                Err(_) => return Err(SandboxError::Shutdown { seconds: POWER_OFF.as_secs() }),
            }
        }
    }

    fn next(&self, deadline: Instant) -> Result<Event, RecvTimeoutError> {
        self.events.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    }

    /// Kills PID 1, with it everything inside, and waits until they are dead.
    fn kill(&mut self) {
        let target = self.init.as_ref().map_or(&self.unshare, |(_, init)| init);
        let _ = pidfd_send_signal(target, Signal::KILL);
        while !self.ended {
            self.ended = matches!(self.events.recv(), Ok(Event::Ended(_)) | Err(_));
        }
    }

    /// Adds the last words of the console, when nobody is left to write to it.
    fn explain(self, result: Result<(), SandboxError>) -> Result<(), SandboxError> {
        result.map_err(|error| match error {
            SandboxError::Boot { reason, .. } => {
                SandboxError::Boot { reason, console: self.console.end() }
            }
            other => other,
        })
    }
}

fn not_up(reason: String) -> SandboxError {
    SandboxError::Boot { reason, console: String::new() }
}

/// `unshare` with the program that will become PID 1.
fn spawn(spec: &Spec, tree: &Tree, console: &Console) -> Result<Child, SandboxError> {
    let layout = Layout { spec: spec.clone(), tree: tree.clone() };
    let failed = |e: &dyn ToString| SandboxError::run("unshare", &e.to_string());
    let layout = serde_json::to_string(&layout).map_err(|e| failed(&e))?;
    let this = std::env::current_exe().map_err(|e| failed(&e))?;
    let mut command = Command::new(tool("setpriv"));
    command.args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--fork", "--uts"]);
    command.args(["--ipc", "--net", "--kill-child=KILL", "--propagation", "private", "--"]);
    command.arg(this).args([VERB, CGROUP, &layout]);
    inside::clean(&mut command);
    command.stdin(console.terminal()?).stdout(console.terminal()?).stderr(Stdio::piped());
    command.spawn().map_err(|e| failed(&e))
}

/// Lines that are no notices come from `unshare` or `setpriv`: they belong to the console.
fn read_notices(stderr: ChildStderr, sender: &Sender<Event>, tail: &Tail) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(notice) => drop(sender.send(Event::Inside(notice))),
            Err(_) => tail.push(&line),
        }
    }
}

fn pidfd(pid: u32) -> Result<OwnedFd, SandboxError> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| SandboxError::run("unshare", &"it has no pid"))?;
    pidfd_open(pid, PidfdFlags::empty()).map_err(|e| SandboxError::run("unshare", &e))
}
