//! Typed values of the configuration: sizes, addresses, counts. Durations are
//! `std::time::Duration`, read by [`parse_duration`](super::parse_duration).

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Why a value was refused: what would have been allowed, and how to get there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not {expected}")]
pub struct ValueError {
    /// The refused text.
    pub given: String,
    /// What is allowed, as a noun phrase: "a size such as \"300M\"".
    pub expected: &'static str,
    /// A hint, where one can be given.
    pub hint: Option<String>,
}

/// A size in bytes, written as systemd writes them: `300M`, base 1024 (systemd.syntax(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// So many MiB.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// An address that the app listens on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Listen {
    /// TCP, v4 or v6.
    Tcp(SocketAddr),
    /// A unix socket at this absolute path.
    Unix(PathBuf),
}

/// How many instances to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    /// This many.
    Count(NonZeroU16),
    /// One a CPU.
    Max,
}

impl Default for Listen {
    /// `127.0.0.1:3000`: a proxy or a tunnel in front decides what the world sees.
    fn default() -> Self {
        Self::Tcp(SocketAddr::from(([127, 0, 0, 1], 3000)))
    }
}

impl Default for Instances {
    /// Two: the least that can be rolled one at a time with another one serving.
    fn default() -> Self {
        Self::Count(NonZeroU16::MIN.saturating_add(1))
    }
}

impl Instances {
    /// The count on a machine with so many CPUs.
    #[must_use]
    pub fn count(self, cpus: NonZeroU16) -> NonZeroU16 {
        match self {
            Self::Count(count) => count,
            Self::Max => cpus,
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, suffix) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] {
            if self.0 >= 1 << shift && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{suffix}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for Listen {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if Path::new(text).is_absolute() {
            return Ok(Self::Unix(text.into()));
        }
        text.parse().map(Self::Tcp).map_err(|_| ValueError {
            given: text.into(),
            expected: "an address such as \"127.0.0.1:3000\", \"[::1]:3000\" or an absolute unix path",
            hint: None,
        })
    }
}
