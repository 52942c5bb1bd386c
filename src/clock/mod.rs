//! The clocks of the kernel that no one sets (`clock_gettime(2)`).

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A moment on the clock that runs since boot, also while the machine sleeps (`CLOCK_BOOTTIME`), in
/// microseconds. For what outlives a process: counts, outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootTime(u64);

impl BootTime {
    /// The boot.
    pub const ZERO: Self = Self(0);

    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self::after_boot(read(ClockId::Boottime))
    }

    /// The moment so long after boot.
    #[must_use]
    pub fn after_boot(time: Duration) -> Self {
        Self(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }

    /// The moment so long after this one.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(Self::after_boot(time).0))
    }

    /// How long ago `earlier` was; zero where it was not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Milliseconds since boot, rounded down.
    #[must_use]
    pub fn milliseconds(self) -> u64 {
        self.0 / 1000
    }
}

/// Now on `CLOCK_MONOTONIC`, on which systemd tells when a unit was started.
#[must_use]
pub fn monotonic() -> Duration {
    read(ClockId::Monotonic)
}

/// A clock before its own zero cannot be; it would read as zero.
fn read(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_runs_forward() {
        let at = |seconds| BootTime::after_boot(Duration::from_secs(seconds));
        let start = BootTime::now();
        assert!(start > at(0));
        assert!(BootTime::now() >= start);
        assert_eq!(at(3).since(at(5)), Duration::ZERO);
        assert_eq!(at(5).since(at(3)), Duration::from_secs(2));
        assert_eq!(at(5).milliseconds(), 5_000);
        assert_eq!(at(5).after(Duration::from_secs(2)), at(7));
        assert_eq!(
            at(5).after(Duration::MAX).since(at(5)),
            Duration::from_micros(u64::MAX - 5_000_000)
        );
    }
}
