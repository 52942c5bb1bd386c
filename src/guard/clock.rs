//! The clock that runs since boot, also while the machine sleeps (`CLOCK_BOOTTIME`,
//! `clock_gettime(2)`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, in microseconds since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootTime(u64);

impl BootTime {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let micros = |count: i64| u64::try_from(count).unwrap_or(0);
        Self(micros(now.tv_sec) * 1_000_000 + micros(now.tv_nsec) / 1000)
    }

    /// The moment so long after boot.
    #[must_use]
    pub fn after_boot(time: Duration) -> Self {
        Self(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }

    /// How long ago `earlier` was; zero where it was not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}
