//! What was wrong in a trial.

use std::time::{Duration, Instant};

use super::{LOOK, Trials};
use crate::hostile::Result;
use crate::hostile::client::Tally;
use crate::hostile::good::{NEIGHBOUR, Sample};
use crate::hostile::ground::Life;
use crate::hostile::outcome::{Back, Figures, Shown, megabytes};
use crate::hostile::rows::{Also, Row, Serves};

/// How soon a good client is answered, all but one time in a hundred.
const GOOD: Duration = Duration::from_secs(1);

/// One request in so many may meet the end of the idle connection that it is sent on, and is asked again.
const SELDOM: usize = 50;

/// How long memory is given to come back by itself, and again.
const SETTLED: Duration = Duration::from_secs(5);

/// How long the app may take to see that its client has gone.
const GONE: Duration = Duration::from_secs(3);

impl Trials {
    pub(super) fn check(&self, also: Also, row: &Row, tally: Tally) -> Result<Vec<String>> {
        let lines = |log: &str, what: &str, path: &str| {
            let is_it = |line: &&str| line.contains(&format!(" {what} ")) && line.ends_with(path);
            log.lines().filter(is_it).count()
        };
        let wrong = match also {
            Also::Ended => {
                let open = tally.connected - tally.ended;
                (open > 0 && !self.way.quick)
                    .then(|| format!("{open} of {} connections were still open", tally.connected))
            }
            Also::SentAway => (tally.ended == 0)
                .then(|| format!("none of {} connections was ended", tally.connected)),
            Also::NoFailures => (tally.failed > 0)
                .then(|| format!("{} of {} answers were failures", tally.failed, tally.answers)),
            Also::Gone(path) => {
                let begun = Instant::now();
                loop {
                    let log = self.log()?;
                    let (hits, gone) = (lines(&log, "hit", path), lines(&log, "gone", path));
                    if hits == gone && hits > 0 {
                        break None;
                    }
                    if begun.elapsed() > GONE {
                        break Some(format!("the app saw {gone} of {hits} clients of {path} go"));
                    }
                    std::thread::sleep(LOOK);
                }
            }
            Also::Hits(path) => {
                let hits = lines(&self.log()?, "hit", path);
                (hits > tally.connected)
                    .then(|| format!("{} requests became {hits}", tally.connected))
            }
            Also::OneInstance(path) => {
                let log = self.log()?;
                let of_it = log.lines().filter(|line| line.contains(path));
                let mut instances: Vec<_> =
                    of_it.filter_map(|line| line.split(' ').nth(1)).collect();
                instances.sort_unstable();
                instances.dedup();
                (instances.len() > 1)
                    .then(|| format!("instances {} died of one request", instances.join(" and ")))
            }
            Also::Reload(within) => {
                let took = self.ground.reload()?;
                (self.way.timed && took > within)
                    .then(|| format!("a reload took {:.1} s", took.as_secs_f64()))
            }
        };
        Ok(wrong.into_iter().map(|wrong| format!("{wrong} ({})", row.name)).collect())
    }

    /// Waits until all instances hold what they held before, and a little.
    pub(super) fn until_back(&self, ended: Instant, most: Duration) -> Back {
        let mut relief = SETTLED;
        loop {
            let (now, limit) = (self.ground.memory(), self.way.memory.bytes());
            let is_back = |(now, before): (&u64, &u64)| *now <= before + margin(*before, limit);
            // One that is gone holds nothing, and is no better for it.
            if now.iter().zip(&self.before.memory).all(is_back) && now.iter().all(|it| *it > 0) {
                return Back::After(ended.elapsed());
            }
            if ended.elapsed() > most {
                return Back::Not;
            }
            if ended.elapsed() > relief {
                self.ground.relieve();
                relief += SETTLED;
            }
            std::thread::sleep(LOOK);
        }
    }

    pub(super) fn judge_good(
        &self,
        serves: Serves,
        samples: &[Sample],
        good: Figures,
        begun: Instant,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        if serves == Serves::Hardly {
            return wrong;
        }
        let is_lost = |sample: &&Sample| sample.lost.is_some();
        let lost: Vec<_> = samples.iter().filter(is_lost).collect();
        if let Some(first) = lost.first() {
            let why = first.lost.clone().unwrap_or_default();
            let (who, count, all) = (first.who, lost.len(), samples.len());
            wrong.push(format!("good clients lost {count} of {all} requests, first {who}: {why}"));
        }
        if good.again > (good.requests / SELDOM).max(1) {
            let (again, all) = (good.again, good.requests);
            wrong.push(format!("good clients had to ask {again} of {all} requests again"));
        }
        if self.way.timed && good.p99 >= GOOD {
            let slow = samples.iter().filter(|sample| sample.took >= GOOD);
            let slow = slow.map(|sample| {
                let after = sample.at.saturating_duration_since(begun);
                format!("{} after {}: {}", sample.who, Shown(after), Shown(sample.took))
            });
            let slow = slow.collect::<Vec<_>>().join("; ");
            wrong.push(format!("good clients had a p99 of {} ({slow})", Shown(good.p99)));
        }
        wrong
    }

    pub(super) fn judge_memory(&self, row: &Row, most: u64) -> Option<String> {
        let limit = self.way.memory.bytes();
        let bound = row.most.map_or(limit, |most| limit.min(most << 20));
        (most >= bound)
            .then(|| format!("an instance held {} of {}", megabytes(most), megabytes(bound)))
    }

    pub(super) fn not_back(&self, most: Duration) -> String {
        let list =
            |all: &[u64]| all.iter().map(|it| megabytes(*it)).collect::<Vec<_>>().join(" and ");
        let (now, before) = (list(&self.ground.memory()), list(&self.before.memory));
        format!("memory was not back after {} s: {now}, and {before} before", most.as_secs())
    }

    pub(super) fn judge_lives(&mut self, row: &Row) -> Vec<String> {
        let lives = match self.ground.lives() {
            Ok(lives) => lives,
            Err(error) => return vec![format!("an instance is gone: {error}")],
        };
        let before = std::mem::replace(&mut self.before.lives, lives.clone());
        let pairs = before.iter().zip(&lives);
        let (deaths, renewed) = pairs.fold((0, false), |(deaths, renewed), (before, now)| {
            let deaths = deaths + now.app_restarts.saturating_sub(before.app_restarts);
            // A roll starts instances anew, and by swap the front alone stays.
            (deaths, renewed || now.is != before.is)
        });
        let mut wrong = Vec::new();
        let reloads = row.also.iter().any(|also| matches!(also, Also::Reload(_)));
        if renewed && !reloads {
            let is = |lives: &[Life]| lives.iter().map(|it| it.is.clone()).collect::<Vec<_>>();
            let (before, now) = (is(&before).join("; "), is(&lives).join("; "));
            wrong.push(format!("an instance ended: {now}, and before {before}"));
        }
        if deaths > row.deaths {
            wrong.push(format!("the app died {deaths} times"));
        }
        wrong
    }
}

/// Whether this good client is one of those that are served.
pub(super) fn counts(serves: Serves, who: &str) -> bool {
    serves != Serves::Others || who != NEIGHBOUR
}

/// What an instance may hold after an attack beyond what it held when it was new: a quarter, or 12 MB, or of a small
/// limit three eighths. An allocator keeps pages of which a part is in use: after 180 MB for 12,000 connections it
/// was seen to keep 8.5 MB, which no further row made more.
fn margin(before: u64, limit: u64) -> u64 {
    (before / 4).max((limit / 8 * 3).min(12 << 20))
}
