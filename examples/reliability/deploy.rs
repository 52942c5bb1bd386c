//! Ships a release, brings about what happens to that, and insists on what is promised.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::deploys::{Deploy, Kind, Release, Serves, Step, Way};
use crate::shop::{Now, Shop, line_for_ever, line_that_waits, other_memory};
use crate::stage::{Said, now};
use crate::{Result, broken, table};

/// Time after which the load of one row ends by itself.
const LONGEST: Duration = Duration::from_secs(300);

/// Where the table begins in its document.
const BEGIN: &str = "<!-- deploys: made by scripts/reliability -->\n";

/// What came of it.
pub(crate) struct Row {
    deploy: Deploy,
    sent: u64,
    lost: u64,
    /// How each of the commands ended.
    exits: String,
    now: Now,
    took: Duration,
}

/// Boots a machine, ships, and insists on what is promised.
pub(crate) async fn run(deploy: Deploy) -> Result<Row> {
    let shop = Shop::boot(deploy.kind.watches(), LONGEST).await?;
    let begun = Instant::now();
    let shipped = ship(&shop, deploy.kind).await;
    let took = begun.elapsed();
    let judged = match shipped {
        Ok((exits, last)) => judge(&shop, deploy.kind, last).await.map(|now| (exits, now)),
        Err(error) => Err(error),
    };
    let judged = match judged {
        Ok(judged) => shop.stage.until_each_is_served(1).await.map(|()| judged),
        Err(error) => Err(error),
    };
    let journal = shop.stage.journal().await;
    let report = shop.stage.load.stop().await;
    let told = |error| broken(format!("{}: {error}\n{journal}\n{report}", deploy.name));
    let (exits, now) = judged.map_err(told)?;
    if report.lost() > deploy.kind.may_lose() {
        let lost: String =
            report.failures().iter().fold(String::new(), |text, one| text + &format!("{one}\n"));
        return Err(told(broken(format!("{} requests were lost:\n{lost}", report.lost()))));
    }
    Ok(Row { deploy, sent: report.sent(), lost: report.lost(), exits, now, took })
}

/// Does it; how the commands ended, and what the last one said.
async fn ship(shop: &Shop, kind: Kind) -> Result<(String, Said)> {
    match kind {
        Kind::Ships(release) => {
            shop.write(release, "")?;
            let said = shop.ctl(&["deploy"]).await?;
            Ok((code(&said), said))
        }
        Kind::Rollback => {
            shop.write(Release::Good, "")?;
            shop.ctl(&["deploy"]).await?.exits(0)?;
            let said = shop.ctl(&["rollback"]).await?;
            Ok((format!("0, then {}", code(&said)), said))
        }
        Kind::Killed(step) => {
            killed(shop, step).await?;
            let said = plain(shop).await?;
            Ok((format!("killed, then {}", code(&said)), said))
        }
        Kind::RollerKilled(way) => {
            roller_killed(shop, way).await?.exits(1)?;
            let said = plain(shop).await?;
            Ok((format!("1, then {}", code(&said)), said))
        }
        Kind::Second => second(shop).await,
    }
}

fn code(said: &Said) -> String {
    said.code.map_or_else(|| "killed".into(), |code| code.to_string())
}

/// A plain deploy of a good release.
async fn plain(shop: &Shop) -> Result<Said> {
    shop.write(Release::Good, "")?;
    shop.ctl(&["deploy"]).await
}

/// Kills a deploy in one of its steps.
async fn killed(shop: &Shop, step: Step) -> Result<()> {
    let begun = now();
    let lines = match step {
        Step::Build => line_for_ever("build"),
        Step::Before => line_for_ever("before"),
        Step::After => line_for_ever("after"),
        _ => String::new(),
    };
    shop.write(Release::Good, &lines)?;
    match step {
        Step::Check => {
            shop.commit().await?;
            let deploy = shop.begun(shop.start(&["deploy", "--git", "HEAD"])?).await?;
            shop.kill(deploy).await
        }
        Step::Build | Step::Before | Step::After => {
            let deploy = shop.begun(shop.start(&["deploy"])?).await?;
            shop.kill(deploy).await
        }
        Step::Stage => shop.ambush().await,
        Step::Rehearse => {
            shop.write_slow()?;
            let deploy = shop.start(&["deploy"])?;
            let is_begun = |message: &str| message.contains("a slow start has begun");
            shop.stage.until_logged(begun, "the candidate starts", is_begun).await?;
            shop.kill(deploy).await
        }
        Step::Asked | Step::Waiting => {
            shop.hold().await?;
            let deploy = shop.begun(shop.start(&["deploy"])?).await?;
            shop.kill(deploy).await?;
            shop.let_go().await?;
            if step == Step::Asked {
                shop.kill_roller().await?;
            } else {
                shop.end().await?;
            }
            shop.rolled().await?;
            let serves = shop.now().await?;
            let is_old = serves.runs.iter().all(|one| *one == shop.old);
            if is_old == (step == Step::Asked) {
                return Ok(());
            }
            Err(broken(format!("this serves, and {} did at the begin: {serves:?}", shop.old)))
        }
        Step::Roll => {
            let deploy = shop.start(&["deploy"])?;
            watching(shop, begun).await?;
            shop.kill(deploy).await
        }
    }
}

async fn watching(shop: &Shop, begun: i64) -> Result<()> {
    let watches = |message: &str| message.contains("watching shop@1.service");
    shop.stage.until_logged(begun, "the first instance is watched", watches).await
}

/// Kills the roller of a deploy; how that deploy ended.
async fn roller_killed(shop: &Shop, way: Way) -> Result<Said> {
    let begun = now();
    let release = match way {
        Way::Forward => Release::Good,
        Way::Back => Release::ThrowsInTwo,
    };
    shop.write(release, "")?;
    let deploy = shop.start(&["deploy"])?;
    match way {
        Way::Forward => watching(shop, begun).await?,
        Way::Back => {
            let is_back = Cell::new(false);
            let goes_back = |message: &str| {
                is_back.set(is_back.get() || message.contains("; going back to release "));
                is_back.get() && message.contains("swapping the program of shop@1.service")
            };
            shop.stage.until_logged(begun, "the first instance goes back", goes_back).await?;
        }
    }
    shop.kill_roller().await?;
    shop.stage.end("romuoctl deploy", deploy).await
}

/// Two that come while a deploy is under way.
async fn second(shop: &Shop) -> Result<(String, Said)> {
    shop.write(Release::Good, &line_that_waits("before"))?;
    let first = shop.begun(shop.start(&["deploy"])?).await?;
    let before = shop.kept().await?;
    for verb in ["deploy", "rollback"] {
        shop.ctl(&[verb]).await?.exits(1)?.says("root has been deploying for ")?;
    }
    let after = shop.kept().await?;
    if before != after {
        return Err(broken(format!("something was touched:\n{before}\n{after}")));
    }
    shop.end().await?;
    let said = shop.stage.end("romuoctl deploy", first).await?;
    Ok((format!("1 and 1, the first one {}", code(&said)), said))
}

/// Insists on what is promised of a deploy; what is so now.
async fn judge(shop: &Shop, kind: Kind, last: Said) -> Result<Now> {
    let end = kind.end();
    let last = last.exits(end.code)?;
    let now = shop.now().await?;
    let (verdict, is_new) = (end.verdict.unwrap_or("serving"), end.verdict.is_some());
    let serves = match end.serves {
        Serves::Old => &shop.old,
        Serves::New => &now.newest,
    };
    let memory_is_other = now.memory == other_memory();
    let is_other = kind == Kind::Ships(Release::Configured);
    if now.verdict != verdict
        || !now.reason.contains(end.reason)
        || (now.newest == shop.old) == is_new
        || now.runs != [serves.as_str(), serves]
        || memory_is_other != is_other
    {
        let old = &shop.old;
        return Err(broken(format!("{now:?}, {old} served before, and it said: {}", last.text)));
    }
    shop.is_clean().await?;
    Ok(now)
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deploy: Deploy { what, promise, kind, .. }, sent, lost, exits, now, took } =
            self;
        let end = kind.end();
        let verdict = match end.verdict {
            None => "none".to_owned(),
            Some(_) if now.reason.is_empty() => now.verdict.clone(),
            Some(_) => format!("{}: {}", now.verdict, now.reason),
        };
        let serves = match end.serves {
            Serves::Old => "the old one",
            Serves::New => "the new one",
        };
        let seconds = took.as_secs_f64();
        write!(
            f,
            "| {what} | {promise} | {sent} | {lost} | {exits} | {verdict} | {serves} | {seconds:.1} s |"
        )
    }
}

/// Writes the table.
pub(crate) fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let mut text = String::from(
        "| shipped | promised | sent | lost | exit code | verdict | serves then | time |\n\
         |---|---|--:|--:|---|---|---|--:|\n",
    );
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
    table::write(path, BEGIN, &text)
}
