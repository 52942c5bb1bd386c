//! What romuo costs and gives on a machine, beside PM2 on the same one, in one run: the wall time of
//! `romuoctl status`, the memory that stays resident, the throughput of the same Node app with two
//! instances, what a `kill -9` of one of them does to its clients, and what a deploy takes. `scripts/bench`
//! installs PM2 and wrk and runs it.
//!
//! Both run in one sandbox with a real systemd, their turns alternating. Needs root.

mod crash;
mod look;
mod ship;
mod traffic;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use romuo::sandbox::Sandbox;

/// Where PM2 lies in the sandbox.
const PM2: &str = "/opt/pm2/node_modules/.bin/pm2";

/// Where romuo's app listens, and where PM2's.
const PORTS: [u16; 2] = [3000, 3001];

/// A plain app: no handler of signals, nothing of sockets handed down. It says who answered.
const APP: &str = "require('http').createServer((q, s) => s.end(String(process.pid)))\
                   .listen(process.env.PORT)\n";

const CONFIG: &str = "command = [\"node\", \"app.js\"]\n[health]\npath = \"/\"\n";

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
    sandbox.write("/srv/app/romuo.toml", CONFIG)?;
    sandbox.write("/srv/app/app.js", APP)?;
    run(&sandbox, &["romuoctl", "-c", "/srv/app/romuo.toml", "install-units", "--now"])?;
    let port = format!("PORT={}", PORTS[1]);
    run(&sandbox, &["env", &port, PM2, "start", "/srv/app/app.js", "-i", "2", "-s"])?;

    look::compare(&sandbox)?;
    traffic::compare(&sandbox)?;
    crash::compare(&sandbox)?;
    ship::compare(&sandbox)?;

    run(&sandbox, &[PM2, "kill", "-s"])?;
    sandbox.shutdown()?;
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn run(sandbox: &Sandbox, command: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = sandbox.run(command)?;
    if output.success() {
        return Ok(output.stdout);
    }
    Err(format!("{} failed: {}{}", command.join(" "), output.stdout, output.stderr).into())
}
