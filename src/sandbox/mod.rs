//! A throwaway machine: a real systemd as PID 1 of new namespaces, with a system bus and a journal,
//! the files of this machine below an overlay, and a network of its own.
//!
//! ```no_run
//! # fn main() -> Result<(), romuo::sandbox::SandboxError> {
//! let sandbox = romuo::sandbox::Sandbox::builder("/usr/bin/romuoctl")
//!     .program("target/debug/romuo-server", "/usr/local/bin/romuo-server")
//!     .bind_read_only("dist", "/srv/site")
//!     .boot()?;
//! assert_eq!(sandbox.run(["systemctl", "is-system-running"])?.stdout, "running\n");
//! sandbox.shutdown()
//! # }
//! ```
//!
//! It needs root, `systemd`, `dbus` and `util-linux`, and a host with or without systemd as its own
//! PID 1. Nothing outlives the owner: the keeper, a process of its own, holds a pipe to it and takes
//! everything down when that closes. All mounts live in the sandbox's mount namespace.
//!
//! | file | what it does |
//! |---|---|
//! | `mod.rs` | [`Sandbox`]: what the owner does with a sandbox |
//! | `builder.rs` | [`SandboxBuilder`]: checks, starts the keeper |
//! | `init.rs` | the steps behind `romuoctl sandbox-init` |
//! | `keeper.rs`, `console.rs`, `ready.rs` | boots it, watches it, takes it down |
//! | `cgroup.rs`, `mountinfo.rs` | its cgroups |
//! | `root.rs`, `quiet.rs` | its files, and what of the host's it does not run |
//! | `inside.rs` | how a program gets inside |
//! | `message.rs` | what these processes tell each other |

mod builder;
mod cgroup;
mod console;
mod error;
mod files;
pub mod init;
mod inside;
mod keeper;
mod message;
mod mountinfo;
mod quiet;
mod ready;
mod root;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command};
use std::thread::JoinHandle;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub use builder::SandboxBuilder;
pub use cgroup::Hierarchy;
pub use error::SandboxError;

/// A running sandbox. Dropping it kills everything inside and removes every trace.
#[derive(Debug)]
pub struct Sandbox {
    keeper: Child,
    /// The pipe whose end of file means that we are gone.
    requests: Option<ChildStdin>,
    /// What else the keeper has to say.
    answers: BufReader<ChildStdout>,
    /// The program that enters.
    romuoctl: PathBuf,
    /// PID 1, as the host sees it.
    pid: u32,
    memory_limits: bool,
}

/// What a command inside said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Its standard output; what is not UTF-8 is replaced.
    pub stdout: String,
    /// Its standard error; what is not UTF-8 is replaced.
    pub stderr: String,
}

impl Output {
    /// Whether the exit code is 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl Sandbox {
    /// A sandbox to be. `romuoctl` is the program that does the work inside, through its hidden
    /// verb [`init::VERB`]: `romuoctl` itself passes its `current_exe`.
    #[must_use]
    pub fn builder(romuoctl: impl Into<PathBuf>) -> SandboxBuilder {
        SandboxBuilder::new(romuoctl.into())
    }

    /// A command that runs inside: in all namespaces and in the cgroups of PID 1, as root, without the capabilities that PID 1
    /// lacks, in `/`, with a clean environment. Killing the child kills the program.
    ///
    /// The program runs beside the units, not as one: `systemd-run --pipe --wait` makes it one.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        inside::member(&self.romuoctl, self.pid, program.as_ref())
    }

    /// Runs a command inside, without input, and collects what it says.
    ///
    /// # Errors
    /// Where it cannot be started. An exit code other than 0 is no error.
    pub fn run<S: AsRef<OsStr>>(
        &self,
        command: impl IntoIterator<Item = S>,
    ) -> Result<Output, SandboxError> {
        let words: Vec<OsString> = command.into_iter().map(|w| w.as_ref().to_owned()).collect();
        let Some((program, args)) = words.split_first() else {
            return Err(SandboxError::run("", &"no program is named"));
        };
        let output = self.command(program).args(args).output();
        let output = output.map_err(|e| SandboxError::run(program, &e))?;
        Ok(Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// A path inside as seen from here. A unix socket can be connected through it. The one trap:
    /// an absolute symlink in it leads to the host's files; [`Sandbox::read`] and
    /// [`Sandbox::write`] follow it inside.
    #[must_use]
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref();
        Path::new("/proc").join(self.pid.to_string()).join("root").join(files::below_root(inside))
    }

    /// Reads a file inside.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(&self, inside: impl AsRef<Path>) -> Result<Vec<u8>, SandboxError> {
        let inside = inside.as_ref();
        files::read(self.pid, inside).map_err(|e| SandboxError::file("read", inside, &e))
    }

    /// Writes a file inside, and makes the folders above it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(
        &self,
        inside: impl AsRef<Path>,
        content: impl AsRef<[u8]>,
    ) -> Result<(), SandboxError> {
        let inside = inside.as_ref();
        files::write(self.pid, inside, content.as_ref())
            .map_err(|e| SandboxError::file("write", inside, &e))
    }

    /// What takes the thread it is called on into the sandbox's network: what that thread connects
    /// to from then on is inside. For a thread of its own, since there is no way back.
    ///
    /// # Errors
    /// Here where the sandbox is gone; from the call where the thread may not enter.
    pub fn network_entrance(
        &self,
    ) -> Result<impl FnOnce() -> std::io::Result<()> + Send + use<>, SandboxError> {
        let network = File::open(format!("/proc/{}/ns/net", self.pid));
        let network = network.map_err(|e| SandboxError::Network { reason: e.to_string() })?;
        Ok(move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(())
        })
    }

    /// Runs `work` on a new thread whose network is the sandbox's. Threads it starts are inside
    /// too, so a runtime of its own is as well.
    ///
    /// # Errors
    /// Here where the sandbox is gone; from the thread where it may not enter.
    pub fn in_network<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<Result<T, SandboxError>>, SandboxError> {
        let enter = self.network_entrance()?;
        Ok(std::thread::spawn(move || {
            enter().map_err(|e| SandboxError::Network { reason: e.to_string() })?;
            Ok(work())
        }))
    }

    /// Its PID 1, as the host sees it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether `MemoryMax=` bites here. Where the memory controller cannot be had, systemd ignores
    /// limits silently: a test of one must be skipped, aloud.
    #[must_use]
    pub fn memory_limits_work(&self) -> bool {
        self.memory_limits
    }

    /// Powers it off as a machine is: units stop, `ExecStop=` runs; then removes every trace.
    ///
    /// # Errors
    /// Where units did not stop in time and were killed.
    pub fn shutdown(mut self) -> Result<(), SandboxError> {
        if let Some(requests) = &mut self.requests {
            init::send(requests, &message::Request::PowerOff);
        }
        let mut answer = String::new();
        let read = self.answers.read_to_string(&mut answer);
        read.map_err(|e| SandboxError::run(init::VERB, &e))?;
        let status = self.keeper.wait().map_err(|e| SandboxError::run(init::VERB, &e))?;
        match serde_json::from_str(answer.trim()) {
            _ if status.success() => Ok(()),
            Ok(message::Answer::Failed(error)) => Err(error),
            _ => Err(SandboxError::run(init::VERB, &status)),
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.requests.take());
        // What fails here has no one to hear of it; the next boot sweeps.
        let _ = self.keeper.wait();
    }
}

/// Whether systemd runs this machine (`sd_booted(3)`).
fn host_runs_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}
