//! Brings a row about and judges it.

mod gauge;
mod judge;

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::gauge::Gauge;
use self::judge::counts;
use crate::hostile::client::{Tally, attack};
use crate::hostile::exchange::Ask;
use crate::hostile::good::{Good, Sample};
use crate::hostile::ground::{Against, Ground, Life, Memory};
use crate::hostile::outcome::{Back, Figures, Outcome};
use crate::hostile::rows::{BACK, Kind, Row, Serves};
use crate::hostile::script::{Clients, Count};
use crate::hostile::{Result, broken};

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
        if !self.way.back_at_the_end || self.until_back(Instant::now(), BACK) != Back::Not {
            return None;
        }
        Some(self.not_back(BACK))
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
        let back =
            if self.way.back_at_the_end { Back::Unasked } else { self.until_back(ended, row.back) };
        let after = if self.way.quick { QUICK_AFTER } else { AFTER };
        std::thread::sleep(after.saturating_sub(ended.elapsed()));
        let most = gauge.stop();
        let samples = good.stop();
        // What was due when the attack began is of the time before.
        let during = |sample: &&Sample| sample.at >= begun && counts(row.serves, sample.who);
        let samples: Vec<_> = samples.iter().filter(during).cloned().collect();
        let good = Figures::of(&samples);
        wrong.extend(self.judge_good(row.serves, &samples, good, begun));
        wrong.extend(self.judge_memory(row, most));
        wrong.extend((back == Back::Not).then(|| self.not_back(row.back)));
        wrong.extend(self.judge_lives(row));
        let Way { against, memory, .. } = self.way;
        Ok(Outcome { name: row.name.into(), against, memory, most, good, back, tally, wrong })
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

    /// What the hostile app has written down in this row.
    fn log(&self) -> Result<String> {
        Ok(self.ground.log()?.get(self.logged..).unwrap_or_default().to_owned())
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
