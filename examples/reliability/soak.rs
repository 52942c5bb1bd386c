//! The soak: roll after roll on one machine, each with a fault that the seed chooses.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::faults::{FAULTS, Fault};
use crate::stage::{By, Moment, Stage};
use crate::{Result, act, broken};

/// Requests that meet each roll at the least: with the usual number of rolls that is a million.
const REQUESTS_A_ROLL: u64 = 10_000;

/// Instances of the app.
const INSTANCES: u16 = 3;

/// Good answers between the turn of an instance and the fault, at the most: more, and the roll might be
/// over before.
const ANSWERS: u64 = 60;

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
    let fault = choose(random);
    let by = if random.bool() { By::Swap } else { By::Restart };
    // The last one's turn is the one of the faults that need an instance still to come.
    let after = random.u16(0..INSTANCES - 1);
    stage.moment = Moment { after, answers: random.u64(0..=ANSWERS) };
    tally.rolls += 1;
    *tally.faults.entry(fault.name).or_default() += 1;
    stage.roll_by(by).await?;
    let (sent, lost) = (stage.load.requests_sent(), stage.load.requests_lost());
    let verdict = act::roll(stage, fault.kind).await?;
    stage.until_each_is_served().await?;
    let missing = (REQUESTS_A_ROLL * tally.rolls).saturating_sub(stage.load.requests_sent());
    stage.load.until_answered(missing).await?;
    let new = stage.load.requests_lost() - lost;
    println!(
        "roll {}, {}: {}: {}; {} sent, {new} lost",
        tally.rolls,
        fault.name,
        verdict.exit,
        verdict.sentence,
        stage.load.requests_sent() - sent,
    );
    match fault.kind.may_lose() {
        Some(most) if new <= most => tally.allowed += new,
        _ => return Err(broken(format!("{} lost {new} requests", fault.name))),
    }
    Ok(())
}

/// A fault after which the app serves. The way that it is rolled is chosen apart from it.
fn choose(random: &mut Rng) -> Fault {
    let fits = |fault: &&Fault| fault.kind.ends_serving() && fault.by != By::Site;
    let faults: Vec<_> = FAULTS.iter().filter(fits).collect();
    *faults[random.usize(0..faults.len())]
}
