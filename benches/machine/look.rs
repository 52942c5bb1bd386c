//! What it costs to look, and what stays resident.

use std::error::Error;

use romuo::sandbox::Sandbox;

use crate::{PM2, median, run};

/// Slices of calls of each command; the median counts.
const SLICES: usize = 7;

/// Calls in a slice.
const CALLS: u32 = 10;

pub(crate) fn compare(sandbox: &Sandbox) -> Result<(), Box<dyn Error>> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..SLICES {
        ours.push(timed(sandbox, &["romuoctl", "status"])?);
        theirs.push(timed(sandbox, &[PM2, "list"])?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("romuoctl status    {:8.1} ms", ours * 1e3);
    println!("pm2 list           {:8.1} ms", theirs * 1e3);
    println!("ratio              {:8.3}  (goal: below 0.05)", ours / theirs);

    println!("\nresident, idle                           PSS");
    let show = ["systemctl", "show", "--value", "-p", "MainPID", "romuo@1", "romuo@2"];
    for pid in run(sandbox, &show)?.split_whitespace() {
        println!(
            "romuo-server, an instance          {:6.1} MB  (goal: at most 6)",
            pss(sandbox, pid)?
        );
    }
    let daemon = run(sandbox, &["cat", "/root/.pm2/pm2.pid"])?;
    println!("PM2's daemon                       {:6.1} MB", pss(sandbox, daemon.trim())?);
    let romuo = run(sandbox, &["pgrep", "-c", "romuo"])?;
    println!("processes of romuo: {} for 2 instances", romuo.trim());
    Ok(())
}

/// The proportional set size of a process, in MB of 10^6 bytes.
fn pss(sandbox: &Sandbox, pid: &str) -> Result<f64, Box<dyn Error>> {
    let rollup = run(sandbox, &["cat", &format!("/proc/{pid}/smaps_rollup")])?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// How long a command takes, in seconds, as a shell inside measures it: the way into the sandbox is
/// no part of it.
fn timed(sandbox: &Sandbox, command: &[&str]) -> Result<f64, Box<dyn Error>> {
    let script = format!(
        "TIMEFORMAT=%R; {{ time for i in {{1..{CALLS}}}; do \"$@\" >/dev/null || exit 1; done; }} 2>&1"
    );
    let took = run(sandbox, &[&["bash", "-c", &script, "bash"], command].concat())?;
    Ok(took.trim().parse::<f64>()? / f64::from(CALLS))
}
