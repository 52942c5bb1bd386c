//! What a sandbox shall be, and the start of its keeper.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::error::SandboxError;
use super::init::{KEEPER, SYSTEMD, VERB};
use super::message::{Answer, Bind, Program, Spec};
use super::{Hierarchy, Sandbox, inside};
use crate::account::tool;

/// What the machine must have, and the Debian package that brings it.
const NEEDED: [(&str, &str); 7] = [
    (SYSTEMD, "systemd"),
    ("systemctl", "systemd"),
    ("/usr/lib/systemd/system/dbus.service", "dbus"),
    ("dbus-daemon", "dbus"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
];

/// Describes a sandbox; [`SandboxBuilder::boot`] makes it.
#[derive(Debug, Clone)]
pub struct SandboxBuilder {
    romuoctl: PathBuf,
    spec: Spec,
}

impl SandboxBuilder {
    pub(super) fn new(romuoctl: PathBuf) -> Self {
        Self { romuoctl, spec: Spec::default() }
    }

    /// Copies an executable of this machine to an absolute path inside, in place of what is there.
    #[must_use]
    pub fn program(mut self, host: impl Into<PathBuf>, inside: impl Into<PathBuf>) -> Self {
        let program = Program { host: host.into(), inside: inside.into() };
        self.spec.programs.push(program);
        self
    }

    /// Shows a file or folder of this machine at an absolute path inside. What is written to it is
    /// written to this machine. Mounts below the folder are not taken along.
    #[must_use]
    pub fn bind(self, host: impl Into<PathBuf>, inside: impl Into<PathBuf>) -> Self {
        self.bound(host.into(), inside.into(), false)
    }

    /// As [`SandboxBuilder::bind`], but nothing can be written to it.
    #[must_use]
    pub fn bind_read_only(self, host: impl Into<PathBuf>, inside: impl Into<PathBuf>) -> Self {
        self.bound(host.into(), inside.into(), true)
    }

    fn bound(mut self, host: PathBuf, inside: PathBuf, read_only: bool) -> Self {
        self.spec.binds.push(Bind { host, inside, read_only });
        self
    }

    /// How cgroups are mounted inside. Without this: as the machine has its controllers.
    #[must_use]
    pub fn hierarchy(mut self, hierarchy: Hierarchy) -> Self {
        self.spec.hierarchy = Some(hierarchy);
        self
    }

    /// Boots it and waits until `multi-user.target` is reached and nothing has failed.
    ///
    /// # Errors
    /// Where this is not root, something is not installed, or the machine refuses a step; where a
    /// unit fails on the way up.
    pub fn boot(mut self) -> Result<Sandbox, SandboxError> {
        if !rustix::process::geteuid().is_root() {
            return Err(SandboxError::NotRoot);
        }
        NEEDED.into_iter().try_for_each(|(program, package)| installed(program, package))?;
        // The keeper runs in another folder, and the mounts in another view of the files.
        let hosts = self.spec.programs.iter_mut().map(|p| &mut p.host);
        for host in hosts.chain(self.spec.binds.iter_mut().map(|b| &mut b.host)) {
            *host = host
                .canonicalize()
                .map_err(|e| SandboxError::Source { path: host.clone(), reason: e.to_string() })?;
        }
        let romuoctl = self.romuoctl.canonicalize();
        let romuoctl = romuoctl.map_err(|e| SandboxError::run(&self.romuoctl, &e))?;
        let spec = serde_json::to_string(&self.spec);
        let spec = spec.map_err(|e| SandboxError::run(VERB, &e))?;
        let keeper = keeper(&romuoctl, &spec).spawn();
        await_answer(keeper.map_err(|e| SandboxError::run(&romuoctl, &e))?, &romuoctl)
    }
}

/// The keeper's command. On a host that runs systemd, it asks that systemd for a piece of the
/// cgroup tree instead of scribbling in it (Delegate=, systemd.resource-control(5)).
fn keeper(romuoctl: &Path, spec: &str) -> Command {
    let mut command = if super::host_runs_systemd() {
        let mut scope = Command::new(tool("systemd-run"));
        scope.args(["--scope", "--collect", "--property=Delegate=yes"]);
        scope.arg("--description=romuo sandbox").arg("--").arg(romuoctl);
        scope
    } else {
        Command::new(romuoctl)
    };
    command.args([VERB, KEEPER, spec]);
    inside::clean(&mut command);
    // A process group of its own: what is sent to the owner's (Ctrl-C, a test runner's SIGKILL)
    // must not keep it from cleaning up.
    command.process_group(0).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits until the keeper says that the sandbox is up.
fn await_answer(mut keeper: Child, romuoctl: &Path) -> Result<Sandbox, SandboxError> {
    let requests = keeper.stdin.take();
    let mut line = String::new();
    let answers = keeper.stdout.take().map(BufReader::new);
    let answers = answers.map(|mut a| a.read_line(&mut line).map(|_| a));
    match (serde_json::from_str(&line), answers) {
        (Ok(Answer::Ready { pid, memory_limits }), Some(Ok(answers))) => {
            let romuoctl = romuoctl.to_owned();
            Ok(Sandbox { keeper, requests, answers, romuoctl, pid, memory_limits })
        }
        (answer, _) => {
            drop(requests);
            let mut words = String::new();
            if let Some(mut stderr) = keeper.stderr.take() {
                let _ = stderr.read_to_string(&mut words);
            }
            let status = keeper.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
            Err(match answer {
                Ok(Answer::Failed(error)) => error,
                _ => SandboxError::run(romuoctl, &format!("{status}: {}", words.trim())),
            })
        }
    }
}

fn installed(program: &str, package: &str) -> Result<(), SandboxError> {
    let there = inside::PATH.split(':').any(|dir| Path::new(dir).join(program).exists());
    let missing = || SandboxError::Missing { program: program.into(), package: package.into() };
    there.then_some(()).ok_or_else(missing)
}
