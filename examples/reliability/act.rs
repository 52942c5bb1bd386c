//! Brings a fault about in the middle of a roll, and insists on what is promised.

use std::time::{Duration, Instant};

use romuo::load::{Loss, Report};

use crate::faults::{Kind, Release};
use crate::stage::{By, ROLL, Said, Stage, now};
use crate::{Result, broken};

/// A file that takes all the room there is.
const FILLER: &str = "filler";

/// How a roll ended.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The exit code of `romuoctl reload`, or what became of it.
    pub(crate) exit: String,
    /// The outcome's sentence.
    pub(crate) sentence: String,
    /// From the question to the end.
    pub(crate) took: Duration,
}

/// One roll with one fault. Afterwards the stage is mended, unless the fault is the end of the app.
pub(crate) async fn roll(stage: &Stage, kind: Kind) -> Result<Verdict> {
    let begun = Instant::now();
    let exit = match kind {
        Kind::None => stage.reload(&[])?.end().await?,
        Kind::OperatorDies => return operator_dies(stage).await,
        Kind::RollerDies => roller_dies(stage).await?,
        Kind::Command(command) => during(stage, command).await?,
        Kind::Full(folder) => full(stage, folder).await?,
        Kind::Crash => crash(stage).await?,
        Kind::Long => long(stage).await?,
        Kind::StoppedByHand => during(stage, &["systemctl", "stop", &stage.last()]).await?,
        Kind::Masked => during(stage, &["systemctl", "mask", "--runtime", &stage.last()]).await?,
        Kind::Edited => {
            stage.drop_in("[Service]\nNice=1\n")?;
            stage.reload(&[])?.end().await?
        }
        Kind::Stop => stop(stage).await?,
        Kind::Release(release) => {
            deploy(stage, release).await?;
            stage.reload(&[])?.end().await?
        }
        Kind::Cancel => {
            let roll = stage.reload(&[])?;
            stage.mid(&roll).await?;
            stage.reload(&["--cancel"])?.end().await?.exits(0)?;
            roll.end().await?
        }
        Kind::Second => {
            let roll = stage.reload(&[])?;
            stage.mid(&roll).await?;
            let second = stage.reload(&[])?.end().await?;
            second.exits(0)?.says("waiting: process ")?.says("rolled ")?;
            roll.end().await?
        }
        Kind::NoWait => {
            let roll = stage.reload(&[])?;
            stage.mid(&roll).await?;
            let second = stage.reload(&["--no-wait"])?.end().await?;
            second.exits(1)?.says("is being rolled already: process ")?;
            roll.end().await?
        }
    };
    let took = begun.elapsed();
    let sentence = stage.sentence().await?;
    let exit = judge(stage, kind, exit, &sentence)?;
    mend(stage, kind).await?;
    Ok(Verdict { exit, sentence, took })
}

/// Insists on the exit code and the sentence that are promised.
fn judge(stage: &Stage, kind: Kind, said: Said, sentence: &str) -> Result<String> {
    let all = format!("rolled {0} of {0} instances of shop in ", stage.instances);
    let last = stage.last();
    let (code, parts) = match kind {
        Kind::StoppedByHand => {
            (0, vec!["rolled ".into(), format!("left stopped: {}", stage.instances)])
        }
        Kind::Masked => {
            (1, vec![format!("the roll of shop halted: {last} was left alone: its unit is masked")])
        }
        Kind::Release(_) => (1, vec!["the roll of shop halted: shop@1.service ".into()]),
        Kind::Cancel => (1, vec!["the roll of shop was canceled at ".into(), "not touched".into()]),
        Kind::Stop => (1, vec![]),
        _ => (0, vec![all]),
    };
    let said = said.exits(code)?;
    match parts.iter().find(|part| !sentence.contains(part.as_str())) {
        Some(part) => Err(broken(format!("{part:?} is not in {sentence:?}: {}", said.text))),
        None => Ok(code.to_string()),
    }
}

/// Undoes what a fault has left behind; then every instance serves.
async fn mend(stage: &Stage, kind: Kind) -> Result<()> {
    match kind {
        Kind::Full(folder) => {
            stage.ok(&["rm", &format!("{folder}/{FILLER}")]).await?;
        }
        Kind::StoppedByHand => {
            stage.ok(&["systemctl", "start", &stage.last()]).await?;
        }
        Kind::Masked => {
            stage.ok(&["systemctl", "unmask", "--runtime", &stage.last()]).await?;
        }
        Kind::Edited => stage.remove_drop_in().await?,
        Kind::Release(_) => {
            if stage.by == By::Site {
                stage.remove_drop_in().await?;
            } else {
                stage.deploy_good()?;
            }
            stage.reload(&[])?.end().await?.exits(0)?;
        }
        Kind::Stop => return Ok(()),
        _ => {}
    }
    stage.until_online().await
}

/// Runs a command in mid-roll; how the roll ended.
async fn during(stage: &Stage, command: &[&str]) -> Result<Said> {
    let roll = stage.reload(&[])?;
    stage.mid(&roll).await?;
    stage.ok(command).await?;
    roll.end().await
}

async fn operator_dies(stage: &Stage) -> Result<Verdict> {
    let begun = Instant::now();
    let roll = stage.reload(&[])?;
    let time = roll.begun;
    stage.mid(&roll).await?;
    roll.kill().await?;
    let all = format!("rolled {0} of {0} instances of shop in ", stage.instances);
    stage.until_logged(time, "the roll ends well", |message| message.starts_with(&all)).await?;
    stage.until_property(ROLL, "ActiveState", |state| state == "active").await?;
    let took = begun.elapsed();
    stage.until_online().await?;
    Ok(Verdict { exit: "killed".into(), sentence: stage.sentence().await?, took })
}

/// The first roll fails; how the second one ended.
async fn roller_dies(stage: &Stage) -> Result<Said> {
    let roll = stage.reload(&[])?;
    let time = roll.begun;
    stage.mid(&roll).await?;
    let roller = stage.property(ROLL, "ControlPID").await?;
    stage.ok(&["kill", "-KILL", &roller]).await?;
    roll.end().await?.exits(1)?;
    let second = stage.reload(&[])?.end().await?;
    let said = "the second roll says that the first was interrupted";
    stage.until_logged(time, said, |message| message.contains("was interrupted at")).await?;
    Ok(second)
}

async fn full(stage: &Stage, folder: &str) -> Result<Said> {
    let roll = stage.reload(&[])?;
    stage.mid(&roll).await?;
    let file = format!("of={folder}/{FILLER}");
    let filled = stage.run(&["dd", "if=/dev/zero", &file, "bs=4k"]).await?;
    filled.exits(1)?.says("No space left on device")?;
    // It cannot be kept, but systemd knows it.
    roll.end().await?.says("rolled ")
}

async fn crash(stage: &Stage) -> Result<Said> {
    let last = stage.last();
    let pid = stage.property(&last, "MainPID").await?;
    during(stage, &["kill", "-KILL", &pid]).await
}

async fn long(stage: &Stage) -> Result<Said> {
    let time = now();
    // Not to be sent again elsewhere, as a GET would be.
    let post = ["curl", "-s", "-w", "%{http_code}", "-d", "x", "http://127.0.0.1:3000/slow"];
    let request = stage.start(&post)?;
    let begun = |message: &str| message.contains("a slow request has begun");
    stage.until_logged(time, "the request is in hand", begun).await?;
    let said = stage.reload(&[])?.end().await?;
    // 000: the connection was cut off before there was an answer.
    let answer = stage.end(&post.join(" "), request).await?.text;
    if answer == "000" || answer.ends_with("502") {
        return Ok(said);
    }
    Err(broken(format!("a request that takes for ever was answered: {answer}")))
}

/// Puts a broken release in the place of the good one.
async fn deploy(stage: &Stage, release: Release) -> Result<()> {
    if stage.by == By::Site {
        let server = match release {
            Release::Throws | Release::Unwell => "/bin/false",
            Release::Deaf => "/bin/sleep infinity",
        };
        stage.drop_in(&format!("[Service]\nExecStart=\nExecStart={server}\n"))?;
        return stage.ok(&["systemctl", "daemon-reload"]).await.map(drop);
    }
    stage.deploy(&match release {
        Release::Throws => Stage::code_with("const http", "throw new Error('no')\nconst http"),
        Release::Deaf => {
            Stage::code_with("server.listen(process.env.PORT)", "setInterval(() => {}, 1000)")
        }
        Release::Unwell => {
            Stage::code_with("response.end('ok')", "response.writeHead(500).end('no')")
        }
    })
}

async fn stop(stage: &Stage) -> Result<Said> {
    let said = during(stage, &["systemctl", "stop", "shop.target"]).await?;
    // What is still to be done, is: after that nothing can come back by itself.
    for unit in (1..=stage.instances).map(Stage::unit).chain([ROLL.into(), "shop.socket".into()]) {
        stage.until_property(&unit, "ActiveState", |state| state == "inactive").await?;
        stage.until_property(&unit, "Job", str::is_empty).await?;
    }
    let jobs = stage.ok(&["systemctl", "list-jobs"]).await?;
    if jobs.contains("shop") {
        return Err(broken(format!("something is still to be started: {jobs}")));
    }
    let asked = stage.run(&["curl", "-s", "http://127.0.0.1:3000/"]).await?;
    // 7: it could not connect (curl(1)).
    asked.exits(7)?;
    stage.run(&["romuoctl", "--app", "shop", "status"]).await?.exits(3)?.says("stopped")?;
    Ok(said)
}

/// Insists on nothing being lost that a fault does not take, where one may take that much.
pub(crate) fn account(kind: Kind, lost: u64, failures: &Report) -> Result<()> {
    match kind.may_lose() {
        Some(most) if lost > most => {
            Err(broken(format!("{lost} requests lost, {most} may be\n{failures}")))
        }
        Some(_) => Ok(()),
        None => {
            let cut = |loss: &Loss| match loss {
                Loss::Receive { received, .. } | Loss::Ended { received } => *received > 0,
                _ => false,
            };
            match failures.failures().iter().find(|failure| cut(&failure.loss)) {
                Some(cut) => Err(broken(format!("an answer was cut off: {cut}"))),
                None => Ok(()),
            }
        }
    }
}
