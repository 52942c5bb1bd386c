//! What became of a row, and how a person reads it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::hostile::client::Tally;
use crate::hostile::good::Sample;
use crate::hostile::ground::{Against, Memory};

/// What became of a row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) against: Against,
    pub(crate) memory: Memory,
    /// The most that an instance held, in bytes.
    pub(crate) most: u64,
    /// What the good clients had.
    pub(crate) good: Figures,
    /// Whether memory was back.
    pub(crate) back: Back,
    /// What the attackers had.
    pub(crate) tally: Tally,
    /// What was promised and not kept.
    pub(crate) wrong: Vec<String>,
}

/// What good clients had.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) requests: usize,
    pub(crate) lost: usize,
    /// Those that were asked again, since the connection that they were sent on had just ended.
    pub(crate) again: usize,
    pub(crate) p99: Duration,
    pub(crate) worst: Duration,
}

/// Whether memory was back after an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Back {
    /// That was not waited for.
    Unasked,
    /// Not in time.
    Not,
    /// After so long.
    After(Duration),
}

impl Outcome {
    /// Whether it is that of this row.
    pub(crate) fn is_of(&self, name: &str, against: Against, memory: Memory) -> bool {
        self.name == name && self.against == against && self.memory == memory
    }
}

impl Figures {
    pub(crate) fn of(samples: &[Sample]) -> Self {
        let mut times: Vec<_> = samples.iter().map(|sample| sample.took).collect();
        times.sort_unstable();
        let p99 = times.get((times.len() * 99).div_ceil(100).saturating_sub(1));
        Self {
            requests: samples.len(),
            lost: samples.iter().filter(|sample| sample.lost.is_some()).count(),
            again: samples.iter().filter(|sample| sample.again).count(),
            p99: p99.copied().unwrap_or_default(),
            worst: times.last().copied().unwrap_or_default(),
        }
    }
}

/// A time as a person reads it.
pub(crate) struct Shown(pub(crate) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            millis @ ..1000 => write!(f, "{millis} ms"),
            _ => write!(f, "{:.1} s", self.0.as_secs_f64()),
        }
    }
}

/// Bytes as a person reads them.
pub(crate) fn megabytes(bytes: u64) -> String {
    let tenths = bytes * 10 / (1 << 20);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, against, memory, most, good, back, tally, wrong } = self;
        let kept = if wrong.is_empty() { "kept  " } else { "BROKEN" };
        let back = match back {
            Back::Unasked => String::new(),
            Back::Not => ", not back".into(),
            Back::After(time) => format!(", back in {}", Shown(*time)),
        };
        write!(
            f,
            "{kept} {name} ({against}, {memory}): at most {}{back}; good: {} asked, {} of them again, \
             {} lost, p99 {}, worst {}; hostile: {} connected, {} refused, {} ended, {} answers, {} of them failures",
            megabytes(*most),
            good.requests,
            good.again,
            good.lost,
            Shown(good.p99),
            Shown(good.worst),
            tally.connected,
            tally.refused,
            tally.ended,
            tally.answers,
            tally.failed,
        )?;
        wrong.iter().try_for_each(|wrong| write!(f, "\n       {wrong}"))
    }
}
