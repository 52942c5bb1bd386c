//! What `GET /health` answers.

use serde::{Deserialize, Serialize};

/// The answer to `GET /health`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How the instance is.
    pub status: Status,
    /// When it answered, RFC 3339 in UTC with milliseconds.
    pub timestamp: String,
    /// Time since it got ready, in seconds: `"120s"`.
    pub uptime: String,
    /// Memory, in MB (2^20 bytes, as Node counts them).
    pub memory: Memory,
    /// Requests answered on the public listeners since it got ready.
    pub requests: u64,
    /// Those of them that say that the app or the server failed: codes of 500 and above that no client can
    /// bring about by itself.
    #[serde(default)]
    pub errors: u64,
    /// Those of them that say that the request was no good: all other codes of 400 and above.
    #[serde(default)]
    pub refused: u64,
    /// Idle connections that it took over from siblings on their way out.
    #[serde(default)]
    pub taken_over: u64,
    /// Version of the app; `"unknown"` where none is known.
    pub version: String,
    /// Version of the compiler that built `romuo-server`.
    pub rust_version: String,
    /// Name of the environment.
    pub env: String,
    /// Id of the instance; none: started by hand.
    pub instance: Option<String>,
    /// The release it runs; none: not deployed by romuo.
    pub release: Option<String>,
    /// The program behind the front; none: the instance answers by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppReport>,
    /// How often it was recycled since the boot; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recycled: Option<Recycled>,
}

/// How often an instance was recycled, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recycled {
    /// Since the boot.
    pub count: u64,
    /// Why the last time, as a phrase: "memory at 91 % of 300M".
    pub last: String,
}

/// How the program behind a front is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppReport {
    /// Its main process; none: it is down.
    pub pid: Option<u32>,
    /// How often the front has started it again after it had ended or hung.
    pub restarts: u32,
    /// Counts its starts since that of the front, swaps too; the first is 1.
    pub generation: u32,
    /// Whether it is up and has not failed its health question `health.failures` times in a row.
    pub healthy: bool,
}

/// Memory figures, in MB (2^20 bytes).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Used by the instance's cgroup.
    pub used: u64,
    /// Of the machine.
    pub total: u64,
    /// Held by the allocator's heap.
    pub heap_total: u64,
}

/// How an instance is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Serving.
    #[default]
    Ok,
    /// Finishing what it has; answered with 503.
    Draining,
    /// Its program is down or not healthy; answered with 503.
    Failing,
}
