//! Why a sandbox could not be had, or could not do what was asked of it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Why a sandbox could not be had. Each says what was tried and what happened; the help says what
/// to do about it. The errors cross process borders as JSON, so causes are kept as text.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, miette::Diagnostic,
)]
pub enum SandboxError {
    /// Namespaces, mounts and cgroups are for root.
    #[error("a sandbox can only be started by root")]
    #[diagnostic(help("run it with sudo"))]
    NotRoot,

    /// A program of the machine is not installed.
    #[error("{program} is not installed")]
    #[diagnostic(help("install it: apt-get install {package}"))]
    Missing {
        /// Its path, or its name where it was looked for on `PATH`.
        program: String,
        /// The Debian package that brings it.
        package: String,
    },

    /// A file or folder of the host that was to be seen inside cannot be opened.
    #[error("cannot bring {path} into the sandbox: {reason}")]
    #[diagnostic(help(
        "programs are files, binds are files or folders that exist on this machine"
    ))]
    Source {
        /// The path on the host.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },

    /// No cgroup of its own.
    #[error("cannot make a cgroup for the sandbox at {path}: {reason}")]
    #[diagnostic(help(
        "systemd needs a writable cgroup tree; in a container: start the container with --privileged"
    ))]
    Cgroup {
        /// The folder in the cgroup file system.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },

    /// The overlay that protects the files of the host was refused.
    #[error("cannot lay an overlay over {lower}: {reason}")]
    #[diagnostic(help(
        "Linux stacks at most two overlays: a sandbox works on a plain root, in a container, or in \
         one sandbox, but no deeper"
    ))]
    Overlay {
        /// The folder below.
        lower: PathBuf,
        /// What the system said.
        reason: String,
    },

    /// Another step of laying out the root failed.
    #[error("cannot {step} {path} for the sandbox: {reason}")]
    #[diagnostic(help("in a container: start the container with --privileged"))]
    Root {
        /// A verb: "mount", "write", ...
        step: String,
        /// The path as seen inside.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },

    /// A helper process could not be started, or ended without a word.
    #[error("cannot run {program}: {reason}")]
    Run {
        /// The program.
        program: String,
        /// What the system said.
        reason: String,
    },

    /// PID 1 ended, or the boot took too long.
    #[error("systemd did not come up in the sandbox: {reason}; the end of its console:\n{console}")]
    #[diagnostic(help("where namespaces are refused in a container: start it with --privileged"))]
    Boot {
        /// How it ended.
        reason: String,
        /// The last lines of `/dev/console`.
        console: String,
    },

    /// It is up, but units that come with the host's packages failed.
    #[error("systemd came up {state} in the sandbox: {units}")]
    #[diagnostic(help("these units come from packages of this machine: mask them in the sandbox"))]
    Degraded {
        /// What `systemctl is-system-running` said.
        state: String,
        /// The failed units, as `systemctl --failed` lists them.
        units: String,
    },

    /// A file inside could not be read or written.
    #[error("cannot {step} {path} in the sandbox: {reason}")]
    File {
        /// "read" or "write".
        step: String,
        /// The path as seen inside.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },

    /// A thread could not enter the network namespace.
    #[error("cannot enter the network of the sandbox: {reason}")]
    Network {
        /// What the system said.
        reason: String,
    },

    /// `poweroff.target` did not end it in time.
    #[error("the sandbox did not power off within {seconds} s and was killed")]
    Shutdown {
        /// How long it was given, in seconds.
        seconds: u64,
    },
}

impl SandboxError {
    pub(super) fn root(step: &str, path: impl AsRef<Path>, reason: &impl ToString) -> Self {
        let path = path.as_ref().to_owned();
        Self::Root { step: step.to_owned(), path, reason: reason.to_string() }
    }

    pub(super) fn run(program: impl AsRef<Path>, reason: &impl ToString) -> Self {
        let program = program.as_ref().display().to_string();
        Self::Run { program, reason: reason.to_string() }
    }

    pub(super) fn file(step: &str, path: impl AsRef<Path>, reason: &impl ToString) -> Self {
        let path = path.as_ref().to_owned();
        Self::File { step: step.to_owned(), path, reason: reason.to_string() }
    }
}
