//! What a roll costs: the CPU time of planning and driving one of many instances, its time against
//! the least that it can take and who uses CPU time for it, and what the clients feel of it.
//! `scripts/bench` runs it. Needs root for all but the first. A part alone:
//! `cargo bench --bench roll -- felt` (or `simulated`, `time`, `many`).
//!
//! | figure | goal |
//! |---|---|
//! | CPU time to plan and drive a roll of 200 simulated instances | below 1 ms each |
//! | calls of systemd for the list of 2 and of 200 instances | as many |
//! | time of a roll against the starts and drains of its instances | at most 1.1 times, and 100 ms |
//! | p99 during rolls against p99 before, two instances, half load | at most 1.2 times |

#![allow(clippy::cast_precision_loss)] // figures for a person

mod app;
mod felt;
mod many;
mod simulated;
mod time;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use romuo::sandbox::Sandbox;

/// Where the app listens.
const LISTEN: &str = "listen = [\"127.0.0.1:3000\"]\n";

/// A site, which `romuo-server` serves by itself.
const SITE: &str = "[static]\nroot = \"/srv/site/public\"\n";

/// A way to roll: what it is called, the configuration, and whether instances are restarted.
type Way = (&'static str, String, bool);

/// A part of the bench that looks at one way.
type Measure = fn(&Way, &Sandbox) -> Result<(), Box<dyn Error>>;

fn ways() -> [Way; 3] {
    let app = |method| {
        let command = format!("[\"{}\", \"{}\"]", app::PATH, app::ARGUMENT);
        format!("command = {command}\n[reload]\nmethod = \"{method}\"\n")
    };
    [
        ("a site, by restart", SITE.into(), true),
        ("an app behind its front, by restart", app("restart"), true),
        ("the same app, by swap", app("swap"), false),
    ]
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first() {
        Some(first) if first == app::ARGUMENT => app::serve(),
        // `cargo bench` adds one of its own.
        _ => run(&arguments.into_iter().filter(|part| !part.starts_with('-')).collect::<Vec<_>>()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the bench could not run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs these parts; all where none is named.
fn run(parts: &[String]) -> Result<(), Box<dyn Error>> {
    let is_wanted = |name: &str| parts.is_empty() || parts.iter().any(|part| part == name);
    if is_wanted("simulated") {
        simulated::plan_and_drive()?;
    }
    for (part, measure) in [("time", time::and_cost as Measure), ("felt", felt::by_clients)] {
        for way in ways().iter().filter(|_| is_wanted(part)) {
            let sandbox = serving(&way.1)?;
            measure(way, &sandbox)?;
            sandbox.shutdown()?;
        }
    }
    if is_wanted("many") {
        many::listed()?;
    }
    Ok(())
}

/// A machine on which the app of this configuration is up.
fn serving(config: &str) -> Result<Sandbox, Box<dyn Error>> {
    let sandbox = booted(config)?;
    ctl(&sandbox, &["install-units", "--now"])?;
    Ok(sandbox)
}

/// A machine on which it could be installed.
fn booted(config: &str) -> Result<Sandbox, Box<dyn Error>> {
    let romuoctl = Path::new(env!("CARGO_BIN_EXE_romuoctl"));
    let sandbox = Sandbox::builder(romuoctl)
        .program(romuoctl, "/usr/local/bin/romuoctl")
        .program(env!("CARGO_BIN_EXE_romuo-server"), "/usr/local/bin/romuo-server")
        .program(std::env::current_exe()?, app::PATH)
        .boot()?;
    sandbox.write("/srv/site/public/index.html", "It serves.\n")?;
    sandbox.write("/srv/site/romuo.toml", format!("{LISTEN}{config}"))?;
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
