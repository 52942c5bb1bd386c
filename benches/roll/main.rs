//! What a roll costs: the CPU time of planning and driving one of many instances, its time against
//! the least that it can take, and what the clients feel of it. `scripts/bench` runs it. Needs root
//! for all but the first.
//!
//! | figure | goal |
//! |---|---|
//! | CPU time to plan and drive a roll of 200 simulated instances | below 1 ms each |
//! | calls of systemd for the list of 2 and of 200 instances | as many |
//! | time of a roll against the starts and drains of its instances | at most 1.1 times, and 100 ms |
//! | p99 during rolls against p99 before, two instances, half load | at most 1.2 times |

#![allow(clippy::cast_precision_loss)] // figures for a person

mod felt;
mod many;
mod simulated;
mod time;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use romuo::sandbox::Sandbox;

const CONFIG: &str = "listen = [\"127.0.0.1:3000\"]\n[static]\nroot = \"/srv/site/public\"\n";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the bench could not run: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    simulated::plan_and_drive()?;
    let sandbox = serving()?;
    time::against_the_least(&sandbox)?;
    felt::by_clients(&sandbox)?;
    sandbox.shutdown()?;
    many::listed()
}

/// A machine on which a site is served.
fn serving() -> Result<Sandbox, Box<dyn Error>> {
    let sandbox = booted("")?;
    ctl(&sandbox, &["install-units", "--now"])?;
    Ok(sandbox)
}

/// A machine on which a site could be installed, with `keys` added to its configuration.
fn booted(keys: &str) -> Result<Sandbox, Box<dyn Error>> {
    let romuoctl = Path::new(env!("CARGO_BIN_EXE_romuoctl"));
    let sandbox = Sandbox::builder(romuoctl)
        .program(romuoctl, "/usr/local/bin/romuoctl")
        .program(env!("CARGO_BIN_EXE_romuo-server"), "/usr/local/bin/romuo-server")
        .boot()?;
    sandbox.write("/srv/site/public/index.html", "It serves.\n")?;
    sandbox.write("/srv/site/romuo.toml", format!("{keys}{CONFIG}"))?;
    Ok(sandbox)
}

fn ctl(sandbox: &Sandbox, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    execute(sandbox, &[&["romuoctl", "-c", "/srv/site/romuo.toml"], arguments].concat())
}

fn execute(sandbox: &Sandbox, command: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = sandbox.run(command)?;
    if output.success() {
        return Ok(output.stdout);
    }
    Err(format!("{} failed: {}{}", command.join(" "), output.stdout, output.stderr).into())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
