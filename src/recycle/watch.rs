//! When an instance is to be recycled, and why. Pure.

use std::fmt;
use std::time::Duration;

use crate::config::{Limits, Size, Threshold, format_duration};

/// So many samples in a row have to be over the threshold, about one a second: a peak that a garbage
/// collection ends is no reason.
const SAMPLES: u32 = 3;

/// Younger than this no app is judged by its memory, whatever `limits.min_uptime` says: a few
/// samples have to show whether it is full from the start.
const SETTLED: Duration = Duration::from_secs(5);

/// What is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    threshold: Threshold,
    max_age: Option<Duration>,
    min_uptime: Duration,
}

impl From<&Limits> for Rules {
    fn from(limits: &Limits) -> Self {
        let Limits { recycle, max_age, min_uptime, .. } = *limits;
        Self { threshold: recycle, max_age, min_uptime: min_uptime.max(SETTLED) }
    }
}

/// Memory of an instance, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// In use, without what the kernel could take back at once.
    pub used: u64,
    /// At this much the kernel kills.
    pub limit: u64,
}

/// One look at an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// None: it has no limit, or none that can be read.
    pub memory: Option<Memory>,
    /// How long it has been up; in front mode, how long its program has.
    pub age: Duration,
}

/// Why an instance is recycled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its memory nears its limit.
    Memory(Memory),
    /// It has been up for this long.
    Age(Duration),
}

/// What follows from a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Fine,
    /// It is over the threshold since its start, so another start would not help. Said once.
    FullFromTheStart(Memory),
    /// It is to be recycled; said at each look until it is.
    Due(Reason),
}

/// Judges looks at one instance, or at one life of its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    rules: Rules,
    /// Samples in a row that were over the threshold.
    over: u32,
    /// It was over the threshold at its start, and has been ever since.
    full: bool,
}

impl Watch {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, over: 0, full: false }
    }

    /// A new life begins.
    pub fn begin(&mut self) {
        *self = Self::new(self.rules);
    }

    /// Judges one look.
    pub fn look(&mut self, sample: Sample) -> Verdict {
        let Rules { threshold, max_age, min_uptime } = self.rules;
        let over = sample.memory.filter(|memory| memory.is_over(threshold));
        self.over = if over.is_some() { self.over.saturating_add(1) } else { 0 };
        self.full &= over.is_some();
        if let Some(memory) = over.filter(|_| self.over >= SAMPLES && !self.full) {
            if sample.age >= min_uptime {
                return Verdict::Due(Reason::Memory(memory));
            }
            self.full = true;
            return Verdict::FullFromTheStart(memory);
        }
        match max_age {
            Some(limit) if sample.age >= limit => Verdict::Due(Reason::Age(sample.age)),
            _ => Verdict::Fine,
        }
    }
}

impl Memory {
    fn is_over(self, threshold: Threshold) -> bool {
        match threshold {
            Threshold::Percent(percent) => {
                u128::from(self.used) * 100 >= u128::from(self.limit) * u128::from(percent.get())
            }
            Threshold::Off => false,
        }
    }

    /// Whether as much again fits below the limit.
    fn has_room_for_two(self) -> bool {
        self.used.saturating_mul(2) <= self.limit
    }

    /// The used share, rounded down.
    fn percent(self) -> u128 {
        u128::from(self.used) * 100 / u128::from(self.limit.max(1))
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory at {} % of {}", self.percent(), Size::of_bytes(self.limit))
    }
}

impl Reason {
    /// Whether waiting is worse than having no other instance that is well.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::Memory(_))
    }

    /// Whether a new program may be started beside the old one.
    #[must_use]
    pub fn allows_swap(self) -> bool {
        match self {
            Self::Memory(memory) => memory.has_room_for_two(),
            Self::Age(_) => true,
        }
    }
}

impl fmt::Display for Reason {
    /// A phrase: "memory at 91 % of 300M".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(memory) => memory.fmt(f),
            Self::Age(age) => {
                write!(f, "up for {}", format_duration(Duration::from_secs(age.as_secs())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: u64 = 300 << 20;

    fn rules(recycle: &str, max_age: Option<u64>, min_uptime: u64) -> Rules {
        let settings = crate::config::Settings::new("shop".parse().unwrap(), "/".into());
        Rules::from(&Limits {
            recycle: recycle.parse().unwrap(),
            max_age: max_age.map(Duration::from_secs),
            min_uptime: Duration::from_secs(min_uptime),
            ..settings.limits
        })
    }

    /// A look at `percent` of the limit, so many seconds after the start.
    fn sample(percent: u64, age: u64) -> Sample {
        let memory = Some(Memory { used: LIMIT * percent / 100, limit: LIMIT });
        Sample { memory, age: Duration::from_secs(age) }
    }

    fn is_due(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Due(_))
    }

    #[test]
    fn memory_that_stays_over_the_threshold_is_a_reason_and_a_peak_is_none() {
        let mut watch = Watch::new(rules("90%", None, 10));
        assert_eq!(watch.look(sample(89, 99)), Verdict::Fine);
        for (percent, age) in [(95, 100), (95, 101), (89, 102), (95, 103), (95, 104)] {
            assert_eq!(watch.look(sample(percent, age)), Verdict::Fine, "{age}");
        }
        let Verdict::Due(reason) = watch.look(sample(91, 105)) else { panic!("not due") };
        assert_eq!(reason.to_string(), "memory at 91 % of 300M");
        assert!(is_due(watch.look(sample(91, 106))), "until it is done");
        assert_eq!(watch.look(sample(80, 107)), Verdict::Fine);
    }

    #[test]
    fn an_app_that_is_full_from_the_start_is_not_recycled_over_and_over() {
        let mut watch = Watch::new(rules("90%", None, 10));
        let said: Vec<_> = (1..200).map(|age| watch.look(sample(95, age))).collect();
        let full = |verdict: &&Verdict| matches!(verdict, Verdict::FullFromTheStart(_));
        assert_eq!(said.iter().filter(full).count(), 1, "said once");
        assert!(!said.iter().any(|verdict| is_due(*verdict)));
        // It was not the start, after all.
        assert_eq!(watch.look(sample(50, 200)), Verdict::Fine);
        let later: Vec<_> = (201..204).map(|age| watch.look(sample(95, age))).collect();
        assert!(is_due(later[2]), "{later:?}");
    }

    #[test]
    fn without_a_minimum_of_uptime_there_is_one_all_the_same() {
        let mut watch = Watch::new(rules("90%", None, 0));
        assert!((0..60).all(|age| !is_due(watch.look(sample(95, age)))));
    }

    #[test]
    fn age_is_a_reason_of_its_own_whatever_the_memory_is() {
        let mut watch = Watch::new(rules("off", Some(3600), 10));
        assert_eq!(watch.look(sample(99, 3599)), Verdict::Fine);
        let Verdict::Due(reason) = watch.look(sample(99, 3600)) else { panic!("not due") };
        assert_eq!(reason.to_string(), "up for 1h");
        assert!(reason.allows_swap());
        let unlimited = Sample { memory: None, age: Duration::from_secs(4000) };
        assert!(is_due(watch.look(unlimited)));
        assert_eq!(Watch::new(rules("90%", None, 10)).look(unlimited), Verdict::Fine);
        // One that is full from the start gets old too.
        let mut watch = Watch::new(rules("90%", Some(60), 10));
        let said: Vec<_> = (1..=60).map(|age| watch.look(sample(95, age))).collect();
        assert!(is_due(said[59]) && !is_due(said[58]));
    }

    #[test]
    fn beside_a_program_of_more_than_half_the_limit_there_is_no_room_for_another_one() {
        let reason = |percent| Reason::Memory(sample(percent, 0).memory.unwrap());
        assert!(reason(50).allows_swap());
        assert!(!reason(51).allows_swap());
    }

    proptest! {
        #[test]
        fn nothing_is_due_below_the_threshold_or_before_the_minimum_of_uptime(
            looks in proptest::collection::vec((any::<u64>(), 1..=u64::MAX, 0..40_u64), 0..60),
            percent in 1..=99_u8,
        ) {
            let mut watch = Watch::new(rules(&format!("{percent}%"), None, 10));
            for (used, limit, age) in looks {
                let age = Duration::from_secs(age);
                let verdict = watch.look(Sample { memory: Some(Memory { used, limit }), age });
                if let Verdict::Due(Reason::Memory(memory)) = verdict {
                    prop_assert!(memory.percent() >= u128::from(percent));
                    prop_assert!(age >= Duration::from_secs(10));
                }
            }
        }
    }
}
