//! The soak: roll after roll on one machine, each with a fault that the seed chooses.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::faults::{FAULTS, Fault, Kind};
use crate::stage::{By, Moment, Stage};
use crate::{Result, act, broken};

/// Requests that meet each roll at the least: with the usual number of rolls that is a million.
const REQUESTS_A_ROLL: u64 = 10_000;

/// Instances of the app.
const INSTANCES: u16 = 3;

/// Good answers between the turn of an instance and the fault, at the most: more, and the roll might be
/// over before.
const ANSWERS: u64 = 60;

/// One roll in so many is the first one in the other way: it brings that change of the configuration in.
const A_CHANGE: u32 = 8;

/// Good answers of each kind of client after which whoever was hurt by a fault has noticed it.
const NOTICED: u64 = 12;

/// Time that the soak may take, for each roll: it has failed then.
const LONGEST_A_ROLL: Duration = Duration::from_secs(120);

/// What the rolls have come to.
#[derive(Default)]
struct Tally {
    rolls: u64,
    faults: BTreeMap<&'static str, u64>,
    /// Lost by a fault that may lose some.
    allowed: u64,
}

/// Rolls so many times.
pub(crate) async fn run(seed: u64, rolls: u64) -> Result<()> {
    let mut random = Rng::with_seed(seed);
    let begun = Instant::now();
    let longest = LONGEST_A_ROLL * u32::try_from(rolls)?;
    let mut stage = Stage::boot(By::Swap, INSTANCES, longest).await?;
    let mut tally = Tally::default();
    while tally.rolls < rolls {
        if begun.elapsed() > longest {
            return Err(broken(format!("not done within {} s", longest.as_secs())));
        }
        if let Err(error) = once(&mut stage, &mut random, &mut tally).await {
            let journal = stage.journal().await;
            return Err(broken(format!("roll {}: {error}\n{journal}", tally.rolls)));
        }
    }
    let report = stage.load.stop().await;
    println!("\n{report}\n");
    for (fault, count) in &tally.faults {
        println!("{count:4} x {fault}");
    }
    let lost = report.lost().saturating_sub(tally.allowed);
    println!(
        "{} rolls in {} s, {} requests sent, {} lost by instances that were killed, {lost} lost otherwise",
        tally.rolls,
        begun.elapsed().as_secs(),
        report.sent(),
        tally.allowed,
    );
    if lost == 0 { Ok(()) } else { Err(broken("a request was lost that must not be".into())) }
}

/// One roll with one fault, at one moment.
async fn once(stage: &mut Stage, random: &mut Rng, tally: &mut Tally) -> Result<()> {
    let changes = random.u32(0..A_CHANGE) == 0;
    let (name, kind) = if changes { ("change", Kind::None) } else { choose(random) };
    // The last one's turn is the one of the faults that need an instance still to come.
    let after = random.u16(0..INSTANCES - 1);
    stage.moment = Moment { after, answers: random.u64(0..=ANSWERS) };
    tally.rolls += 1;
    *tally.faults.entry(name).or_default() += 1;
    if changes {
        stage.roll_by(if stage.by == By::Swap { By::Restart } else { By::Swap }).await?;
    }
    let (sent, lost) = (stage.load.requests_sent(), stage.load.requests_lost());
    let verdict = act::roll(stage, kind).await?;
    let served = if kind.may_lose() == Some(0) { 1 } else { NOTICED };
    stage.until_each_is_served(served).await?;
    let missing = (REQUESTS_A_ROLL * tally.rolls).saturating_sub(stage.load.requests_sent());
    stage.load.until_answered(missing).await?;
    let new = stage.load.requests_lost() - lost;
    println!(
        "roll {} by {}, {name}: {}: {}; {} sent, {new} lost",
        tally.rolls,
        if stage.by == By::Swap { "swap" } else { "restart" },
        verdict.exit,
        verdict.sentence,
        stage.load.requests_sent() - sent,
    );
    match kind.may_lose() {
        Some(most) if new <= most => tally.allowed += new,
        _ => return Err(broken(format!("{new} requests were lost to {name}"))),
    }
    Ok(())
}

/// A fault after which the app serves, each as likely as any other.
fn choose(random: &mut Rng) -> (&'static str, Kind) {
    let mut faults: Vec<(&str, Kind)> = Vec::new();
    for Fault { name, kind, .. } in FAULTS {
        if kind.ends_serving() && !faults.iter().any(|(_, known)| *known == kind) {
            // How it is rolled is chosen apart from the fault.
            faults.push((name.trim_end_matches("-by-swap").trim_end_matches("-by-restart"), kind));
        }
    }
    faults[random.usize(0..faults.len())]
}
