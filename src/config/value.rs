//! Typed values of the configuration: sizes and counts. Addresses are [`Listen`](super::Listen),
//! durations `std::time::Duration`, read by [`parse_duration`](super::parse_duration).

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use crate::unit::NameError;

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

impl ValueError {
    /// `given` is not `expected`.
    #[must_use]
    pub fn new(given: impl fmt::Display, expected: &'static str) -> Self {
        Self { given: given.to_string(), expected, hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<Option<String>>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

impl From<NameError> for ValueError {
    fn from(error: NameError) -> Self {
        Self::new(error.given, error.expected)
    }
}

/// A size in bytes, written as systemd writes them: `300M`, base 1024 (systemd.syntax(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// What a size looks like, for error texts.
    pub const ALLOWED: &'static str =
        "a size above 0 such as \"300M\" or \"1G\" (K, M, G, T; base 1024)";

    /// The suffixes and the powers of two they stand for.
    const SUFFIXES: [(u32, &'static str); 4] = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];

    /// So many MiB.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// So many bytes.
    #[must_use]
    pub const fn of_bytes(count: u64) -> Self {
        Self(count)
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, suffix) in Self::SUFFIXES {
            if self.0 >= 1 << shift && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{suffix}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl FromStr for Size {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, suffix) =
            text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let known = Self::SUFFIXES.iter().find(|(_, known)| *known == suffix);
        let shift = known.map(|(shift, _)| *shift).or((suffix.is_empty()).then_some(0));
        let bytes = shift
            .and_then(|shift| digits.parse::<u64>().ok()?.checked_mul(1 << shift))
            .filter(|bytes| *bytes > 0);
        bytes.map(Self).ok_or_else(|| Self::refuse(text, digits, suffix))
    }
}

impl Size {
    /// The error for `text`, with the hint for `300m`, `300MB`, `300 MiB` and `1.5G`.
    fn refuse(text: &str, digits: &str, suffix: &str) -> ValueError {
        let unit = suffix.trim_start().get(..1).unwrap_or_default().to_ascii_uppercase();
        let hint = if digits.is_empty() {
            None
        } else if suffix.starts_with('.') {
            Some("write a whole number of a smaller unit, such as \"1536M\"".into())
        } else if Self::SUFFIXES.iter().any(|(_, known)| *known == unit) {
            Some(format!("write \"{digits}{unit}\"")).filter(|_| suffix != unit)
        } else {
            None
        };
        ValueError::new(text, Self::ALLOWED).hint(hint)
    }
}

/// How many instances to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    /// This many.
    Count(NonZeroU16),
    /// One a CPU.
    Max,
}

impl Instances {
    /// What a count of instances looks like, for error texts.
    pub const ALLOWED: &'static str = "a whole number from 1 to 65535, or \"max\" (one a CPU)";

    /// The count on a machine with so many CPUs.
    #[must_use]
    pub fn count(self, cpus: NonZeroU16) -> NonZeroU16 {
        match self {
            Self::Count(count) => count,
            Self::Max => cpus,
        }
    }
}

impl Default for Instances {
    /// Two: the least that can be rolled one at a time with another one serving.
    fn default() -> Self {
        Self::Count(NonZeroU16::MIN.saturating_add(1))
    }
}

impl fmt::Display for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Max => f.write_str("max"),
        }
    }
}

impl FromStr for Instances {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "max" => Ok(Self::Max),
            _ => text.parse().map(Self::Count).map_err(|_| ValueError::new(text, Self::ALLOWED)),
        }
    }
}
