//! Brings a row about and judges it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::hostile::client::{Tally, attack};
use crate::hostile::exchange::Ask;
use crate::hostile::good::{Good, NEIGHBOUR, Sample};
use crate::hostile::ground::{Against, Ground, Life, Memory};
use crate::hostile::outcome::{Back, Figures, Outcome, Shown, megabytes};
use crate::hostile::rows::{Also, Kind, Row, Serves};
use crate::hostile::script::{Clients, Count};
use crate::hostile::{Result, broken};

/// How soon a good client is answered, all but one time in a hundred.
const GOOD: Duration = Duration::from_secs(1);

/// How soon memory has to be back.
const BACK: Duration = Duration::from_secs(15);

/// Answers that each good client gets in an attack's second half, at the least.
const ANSWERS: usize = 3;

/// How much longer an attack lasts where it has got fewer, at the most.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long the good clients go on after an attack; and in a quick run.
const AFTER: Duration = Duration::from_secs(1);
const QUICK_AFTER: Duration = Duration::from_millis(200);

/// By how much the attack gives way to the servers and the good clients: it would come from other machines.
const NICE: i32 = 10;

/// How long the app may take to see that its client has gone.
const GONE: Duration = Duration::from_secs(3);

/// How a row is brought about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) against: Against,
    pub(crate) memory: Memory,
    /// With fewer clients, and for a shorter time.
    pub(crate) quick: bool,
    /// Whether times are judged.
    pub(crate) timed: bool,
    /// Memory has to be back after all rows, and not after each.
    pub(crate) back_at_the_end: bool,
}

/// What was so before.
struct Before {
    memory: Vec<u64>,
    lives: Vec<Life>,
}

/// Brings rows about, one after the other, on one ground.
pub(crate) struct Trials {
    ground: Box<dyn Ground>,
    way: Way,
    before: Before,
    /// Requests to the hostile app so far: each has a target of its own.
    mark: usize,
    /// Bytes that the hostile app had written down before the row.
    logged: usize,
}

impl Trials {
    pub(crate) fn new(ground: Box<dyn Ground>, way: Way) -> Result<Self> {
        let before = before(ground.as_ref())?;
        Ok(Self { ground, way, before, mark: 0, logged: 0 })
    }

    /// Brings a row about. After one that was not kept the app is started anew.
    pub(crate) fn run(&mut self, row: &Row) -> Result<Outcome> {
        let outcome = self.bring_about(row)?;
        if !outcome.wrong.is_empty() {
            self.ground.recover()?;
            self.before = before(self.ground.as_ref())?;
        }
        Ok(outcome)
    }

    /// What is wrong after all rows, where not each was waited for.
    pub(crate) fn end(self) -> Option<String> {
        if !self.way.back_at_the_end || self.until_back(Instant::now()) != Back::Not {
            return None;
        }
        Some(self.not_back())
    }

    fn bring_about(&mut self, row: &Row) -> Result<Outcome> {
        let good = Good::start(self.ground.address(), self.ground.entrance()?);
        good.until_answered()?;
        let gauge = Gauge::start(self.ground.gauge());
        self.logged = self.ground.log()?.len();
        let begun = Instant::now();
        let mut wrong = Vec::new();
        let tally = match (row.kind)() {
            Kind::Attack(clients) => {
                let (tally, unserved) = self.attack(row, clients, &good)?;
                wrong.extend(unserved);
                tally
            }
            Kind::Asks(asks) => {
                wrong.extend(self.ask(&asks)?);
                Tally::default()
            }
        };
        let ended = Instant::now();
        for also in row.also {
            wrong.extend(self.check(*also, row, tally)?);
        }
        let back = if self.way.back_at_the_end { Back::Unasked } else { self.until_back(ended) };
        let after = if self.way.quick { QUICK_AFTER } else { AFTER };
        std::thread::sleep(after.saturating_sub(ended.elapsed()));
        let most = gauge.stop();
        let samples = good.stop();
        // What was due when the attack began is of the time before.
        let during = |sample: &&Sample| sample.at >= begun && counts(row.serves, sample.who);
        let samples: Vec<_> = samples.iter().filter(during).cloned().collect();
        let good = Figures::of(&samples);
        wrong.extend(self.judge_good(row.serves, &samples, good));
        wrong.extend(self.judge_memory(row, most));
        wrong.extend((back == Back::Not).then(|| self.not_back()));
        wrong.extend(self.judge_lives(row));
        let Way { against, memory, .. } = self.way;
        Ok(Outcome { name: row.name, against, memory, most, good, back, tally, wrong })
    }

    /// What became of the attack, and whether nobody was served while it lasted.
    fn attack(
        &self,
        row: &Row,
        clients: Vec<Clients>,
        good: &Good,
    ) -> Result<(Tally, Option<String>)> {
        let Way { memory, quick, .. } = self.way;
        let (full, short) = row.lasts;
        let lasts = Duration::from_secs(if quick { short } else { full });
        let clients: Vec<_> = clients
            .into_iter()
            .map(|clients| {
                let count = match clients.count {
                    Count::Of(_, few) if quick => few,
                    Count::Of(many, _) => many,
                    Count::Crowd => memory.connections() / 4 * 5,
                    Count::Full => memory.connections(),
                };
                (count, clients)
            })
            .collect();
        let (entrance, address) = (self.ground.entrance()?, self.ground.address());
        let (end, ended) = oneshot::channel();
        let begun = Instant::now();
        let thread = std::thread::spawn(move || {
            entrance()?;
            // Of this thread alone, and where it may not be said it does not matter much.
            let _ = rustix::process::nice(NICE);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok::<_, std::io::Error>(runtime.block_on(attack(address, clients, ended)))
        });
        let is_over = |time: Duration| begun.elapsed() > time || thread.is_finished();
        while !is_over(lasts) {
            std::thread::sleep(LOOK);
        }
        // In a short attack all requests could wait for its end.
        let counts = |who: &str| counts(row.serves, who);
        let is_served = || good.are_served(begun + lasts / 2, ANSWERS, counts);
        while row.serves != Serves::Hardly && !is_served() && !is_over(lasts + PATIENCE) {
            std::thread::sleep(LOOK);
        }
        let unserved = !thread.is_finished() && row.serves != Serves::Hardly && !is_served();
        let unserved = unserved.then(|| {
            format!("good clients were not served within {} s", (lasts + PATIENCE).as_secs())
        });
        let _ = end.send(());
        let tally = thread.join().map_err(|_| broken("the attack panicked".into()))?;
        Ok((tally?, unserved))
    }

    /// Asks one after the other.
    fn ask(&mut self, asks: &[Ask]) -> Result<Vec<String>> {
        let (entrance, address) = (self.ground.entrance()?, self.ground.address());
        let first = self.mark + 1;
        self.mark += asks.len();
        let all: Vec<(usize, Ask)> = (first..).zip(asks.iter().copied()).collect();
        let theirs = all.clone();
        let thread = std::thread::spawn(move || {
            entrance()?;
            let sent = theirs.iter().map(|(mark, ask)| ask.send(address, *mark));
            Ok::<_, std::io::Error>(sent.collect::<Vec<_>>())
        });
        let came = thread.join().map_err(|_| broken("the client panicked".into()))??;
        let log = self.log()?;
        Ok(all
            .iter()
            .zip(&came)
            .flat_map(|((mark, ask), came)| ask.judge(*mark, came, &log))
            .collect())
    }

    fn check(&self, also: Also, row: &Row, tally: Tally) -> Result<Vec<String>> {
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

    /// What the hostile app has written down in this row.
    fn log(&self) -> Result<String> {
        Ok(self.ground.log()?.get(self.logged..).unwrap_or_default().to_owned())
    }

    /// Waits until all instances hold what they held before, and a little.
    fn until_back(&self, ended: Instant) -> Back {
        loop {
            let (now, limit) = (self.ground.memory(), self.way.memory.bytes());
            let is_back = |(now, before): (&u64, &u64)| *now <= before + margin(*before, limit);
            // One that is gone holds nothing, and is no better for it.
            if now.iter().zip(&self.before.memory).all(is_back) && now.iter().all(|it| *it > 0) {
                return Back::After(ended.elapsed());
            }
            if ended.elapsed() > BACK {
                return Back::Not;
            }
            std::thread::sleep(LOOK);
        }
    }

    fn judge_good(&self, serves: Serves, samples: &[Sample], good: Figures) -> Vec<String> {
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
        if self.way.timed && good.p99 >= GOOD {
            wrong.push(format!("good clients had a p99 of {}", Shown(good.p99)));
        }
        wrong
    }

    fn judge_memory(&self, row: &Row, most: u64) -> Option<String> {
        let limit = self.way.memory.bytes();
        let bound = row.most.map_or(limit, |most| limit.min(most << 20));
        (most >= bound)
            .then(|| format!("an instance held {} of {}", megabytes(most), megabytes(bound)))
    }

    fn not_back(&self) -> String {
        let list =
            |all: &[u64]| all.iter().map(|it| megabytes(*it)).collect::<Vec<_>>().join(" and ");
        let (now, before) = (list(&self.ground.memory()), list(&self.before.memory));
        format!("memory was not back after {} s: {now}, and {before} before", BACK.as_secs())
    }

    fn judge_lives(&mut self, row: &Row) -> Vec<String> {
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

fn before(ground: &dyn Ground) -> Result<Before> {
    // So that what every server takes once is taken.
    let good = Good::start(ground.address(), ground.entrance()?);
    good.until_answered()?;
    std::thread::sleep(AFTER);
    good.stop();
    Ok(Before { memory: ground.memory(), lives: ground.lives()? })
}

/// Whether this good client is one of those that are served.
fn counts(serves: Serves, who: &str) -> bool {
    serves != Serves::Others || who != NEIGHBOUR
}

/// What an instance may hold after an attack beyond what it held before: a quarter, or a few megabytes, or
/// of a small limit three eighths.
fn margin(before: u64, limit: u64) -> u64 {
    (before / 4).max((limit / 8 * 3).min(8 << 20))
}

/// Looks at memory again and again.
struct Gauge {
    end: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Gauge {
    fn start(look: Box<dyn Fn() -> Vec<u64> + Send>) -> Self {
        let end = Arc::<AtomicBool>::default();
        let ended = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            let mut most = 0;
            while !ended.load(Relaxed) {
                most = look().into_iter().max().unwrap_or(0).max(most);
                std::thread::sleep(LOOK);
            }
            most
        });
        Self { end, thread }
    }

    fn stop(self) -> u64 {
        self.end.store(true, Relaxed);
        self.thread.join().unwrap_or(u64::MAX)
    }
}
