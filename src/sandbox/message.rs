//! What the processes of a sandbox tell each other: one JSON value a line, or one as an argument.
//!
//! owner -> keeper: [`Spec`] as an argument, then [`Request`]s on stdin; end of file ends it all.
//! keeper -> owner: one [`Answer`] on stdout.
//! keeper -> inside: [`Layout`] as an argument.
//! inside -> keeper: [`Notice`]s on stderr, until systemd takes over.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::cgroup::Tree;
use super::error::SandboxError;

/// What the owner wishes to find inside.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Spec {
    pub(super) programs: Vec<Program>,
    pub(super) binds: Vec<Bind>,
    /// None: as the machine has it.
    pub(super) hierarchy: Option<super::Hierarchy>,
}

/// An executable that is copied into the sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Program {
    pub(super) host: PathBuf,
    pub(super) inside: PathBuf,
}

/// A file or folder of the host that is mounted into the sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Bind {
    pub(super) host: PathBuf,
    pub(super) inside: PathBuf,
    pub(super) read_only: bool,
}

/// What the process inside needs to lay out its root and start systemd.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) spec: Spec,
    pub(super) tree: Tree,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// Start `poweroff.target` and end when it is through.
    PowerOff,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// `multi-user.target` is reached. `pid`: PID 1 as the host sees it.
    Ready {
        pid: u32,
        memory_limits: bool,
    },
    Failed(SandboxError),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Notice {
    /// The sender's pid as the host sees it; it becomes PID 1's.
    Pid(u32),
    /// The root is laid out; what follows is systemd.
    Starting,
    Failed(SandboxError),
}
