//! Waiting times in bounded memory.

use std::time::Duration;

/// Buckets per doubling, as a power of two: a quantile is exact to 1/16 (6 %).
const FINENESS: u32 = 4;

/// The first power of two, in microseconds, that no longer has buckets: 2^36 us are 19 hours.
const LIMIT: u32 = 36;

/// Number of buckets: 4 KiB in all.
const BUCKETS: usize = ((LIMIT - FINENESS + 1) << FINENESS) as usize;

/// Counts durations in buckets that grow with the duration: of microseconds at the short end, of
/// 1/16 of the value further up.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    slowest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, slowest: Duration::ZERO }
    }
}

impl Histogram {
    /// Counts one duration.
    pub(super) fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(bucket_of(micros)) {
            *bucket += 1;
        }
        self.count += 1;
        self.slowest = self.slowest.max(duration);
    }

    /// Adds what another one has counted.
    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.slowest = self.slowest.max(other.slowest);
    }

    /// The longest duration; zero where none was counted.
    pub(super) fn slowest(&self) -> Duration {
        self.slowest
    }

    /// A duration that `percent` of all do not exceed, rounded up by 6 % at the most; zero where
    /// none was counted.
    pub(super) fn percentile(&self, percent: u64) -> Duration {
        let rank = u128::from(self.count) * u128::from(percent);
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += u128::from(*bucket) * 100;
            if *bucket > 0 && seen >= rank {
                return Duration::from_micros(end_of(index)).min(self.slowest);
            }
        }
        self.slowest
    }
}

/// The bucket that holds a number of microseconds.
fn bucket_of(micros: u64) -> usize {
    let micros = micros.min((1 << LIMIT) - 1);
    let doublings = micros.checked_ilog2().map_or(0, |log| log.saturating_sub(FINENESS));
    // Below 16 us: the value itself. Above: 16 buckets per doubling, by the four bits after the
    // leading one, which the shift leaves in place and the doublings count past.
    let index = (u64::from(doublings) << FINENESS) + (micros >> doublings);
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The largest number of microseconds, plus one, that a bucket holds.
fn end_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let doublings = (bucket >> FINENESS).saturating_sub(1);
    (bucket - (doublings << FINENESS) + 1) << doublings
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_duration_lies_in_a_bucket_that_ends_at_most_a_sixteenth_above_it(
            micros in 0..1_u64 << LIMIT,
        ) {
            let bucket = bucket_of(micros);
            prop_assert!(bucket < BUCKETS);
            prop_assert!(end_of(bucket) > micros);
            prop_assert!(end_of(bucket) <= micros + micros / 16 + 1);
        }
    }

    #[test]
    fn percentiles_follow_the_order_of_the_durations() {
        let mut histogram = Histogram::default();
        for millis in 1..=100 {
            histogram.record(Duration::from_millis(millis));
        }
        let p50 = histogram.percentile(50);
        assert!(p50 >= Duration::from_millis(50) && p50 < Duration::from_millis(54), "{p50:?}");
        let p99 = histogram.percentile(99);
        assert!(p99 >= Duration::from_millis(99) && p99 <= histogram.slowest(), "{p99:?}");
        assert_eq!(histogram.slowest(), Duration::from_millis(100));
    }

    #[test]
    fn a_merge_counts_what_both_have_counted() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        one.record(Duration::from_micros(3));
        other.record(Duration::MAX);
        one.merge(&other);
        assert_eq!((one.count, one.slowest()), (2, Duration::MAX));
        assert_eq!(one.percentile(50), Duration::from_micros(4));
    }

    #[test]
    fn nothing_counted_is_zero() {
        assert_eq!(Histogram::default().percentile(99), Duration::ZERO);
    }
}
