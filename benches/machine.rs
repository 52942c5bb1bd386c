//! What romuo costs on a machine, beside PM2 on the same one: the wall time of `romuoctl status`
//! against `pm2 list`, and the memory that stays resident. `scripts/bench` installs PM2 and runs it.
//!
//! Both run in one sandbox with a real systemd, their calls alternating. Needs root.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use romuo::sandbox::Sandbox;

/// Slices of calls of each command; the median counts.
const SLICES: usize = 7;

/// Calls in a slice.
const CALLS: u32 = 10;

/// What is asked of `pm2` for two instances of a plain Node app.
const PM2: &str = "/opt/pm2/node_modules/.bin/pm2";

const NODE_APP: &str = "require('http').createServer((q, s) => s.end('ok')).listen(3001)";

fn main() -> ExitCode {
    match compare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the bench could not run: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<(), Box<dyn Error>> {
    let pm2 = PathBuf::from(std::env::var_os("ROMUO_BENCH_PM2").ok_or("run scripts/bench")?);
    let romuoctl = Path::new(env!("CARGO_BIN_EXE_romuoctl"));
    let sandbox = Sandbox::builder(romuoctl)
        .program(romuoctl, "/usr/local/bin/romuoctl")
        .program(env!("CARGO_BIN_EXE_romuo-server"), "/usr/local/bin/romuo-server")
        .bind_read_only(pm2, "/opt/pm2")
        .boot()?;
    sandbox.write("/srv/app/romuo.toml", "")?;
    sandbox.write("/srv/app/app.js", NODE_APP)?;
    run(&sandbox, &["romuoctl", "-c", "/srv/app/romuo.toml", "install-units", "--now"])?;
    run(&sandbox, &[PM2, "start", "/srv/app/app.js", "-i", "2", "-s"])?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..SLICES {
        ours.push(timed(&sandbox, &["romuoctl", "status"])?);
        theirs.push(timed(&sandbox, &[PM2, "list"])?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("romuoctl status    {:8.1} ms", ours.as_secs_f64() * 1e3);
    println!("pm2 list           {:8.1} ms", theirs.as_secs_f64() * 1e3);
    println!(
        "ratio              {:8.3}  (goal: below 0.05)",
        ours.as_secs_f64() / theirs.as_secs_f64()
    );

    println!("\nresident, idle                           PSS");
    let show = ["systemctl", "show", "--value", "-p", "MainPID", "romuo@1", "romuo@2"];
    for pid in run(&sandbox, &show)?.split_whitespace() {
        println!(
            "romuo-server, an instance          {:6.1} MB  (goal: at most 6)",
            pss(&sandbox, pid)?
        );
    }
    let daemon = run(&sandbox, &["cat", "/root/.pm2/pm2.pid"])?;
    println!("PM2's daemon                       {:6.1} MB", pss(&sandbox, daemon.trim())?);
    let romuo = run(&sandbox, &["pgrep", "-c", "romuo"])?;
    println!("processes of romuo: {} for 2 instances", romuo.trim());
    run(&sandbox, &[PM2, "kill", "-s"])?;
    sandbox.shutdown()?;
    Ok(())
}

/// The proportional set size of a process, in MB of 10^6 bytes.
fn pss(sandbox: &Sandbox, pid: &str) -> Result<f64, Box<dyn Error>> {
    let rollup = run(sandbox, &["cat", &format!("/proc/{pid}/smaps_rollup")])?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// How long a command takes, as a shell inside measures it: the way into the sandbox is no part of
/// it.
fn timed(sandbox: &Sandbox, command: &[&str]) -> Result<Duration, Box<dyn Error>> {
    let script = format!(
        "TIMEFORMAT=%R; {{ time for i in {{1..{CALLS}}}; do \"$@\" >/dev/null || exit 1; done; }} 2>&1"
    );
    let took = run(sandbox, &[&["bash", "-c", &script, "bash"], command].concat())?;
    Ok(Duration::try_from_secs_f64(took.trim().parse()?)? / CALLS)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn run(sandbox: &Sandbox, command: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = sandbox.run(command)?;
    if output.success() {
        return Ok(output.stdout);
    }
    Err(format!("{} failed: {}{}", command.join(" "), output.stdout, output.stderr).into())
}
