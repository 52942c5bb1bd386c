//! What a roll survives. `scripts/reliability` and `scripts/soak` build and run it.
//!
//! `reliability matrix` boots a throwaway machine with a real systemd for each fault of a list, rolls
//! an app on it under the load of many kinds of clients that never retry, brings the fault about in the
//! middle of the roll, and insists on what is promised. `reliability deploys` does so with releases that
//! are shipped, good ones and broken ones, and with a deploy that is killed at each of its steps.
//! `reliability soak` rolls one machine again and again, with a fault that a seed chooses.

mod act;
mod deploy;
mod deploys;
mod faults;
mod matrix;
#[path = "../shared/mod.rs"]
#[allow(dead_code, reason = "each example needs some of it")]
mod shared;
mod shop;
mod soak;
mod stage;
mod table;

use std::error::Error;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use deploys::{DEPLOYS, Deploy};
use faults::{FAULTS, Fault};

/// Rolls of a soak where no other number is given.
const ROLLS: u64 = 100;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Name the faults, or the deploys, and what is promised
    List {
        /// Which of them
        #[arg(default_value = "matrix")]
        of: List,
    },
    /// Bring about each fault, or those that are named
    Matrix {
        /// Their names
        #[arg(value_parser = fault)]
        faults: Vec<Fault>,
        /// The document whose table is made anew
        #[arg(long)]
        table: Option<PathBuf>,
    },
    /// Ship a release of each kind, or of those that are named
    Deploys {
        /// Their names
        #[arg(value_parser = deploy)]
        deploys: Vec<Deploy>,
        /// The document whose table is made anew
        #[arg(long)]
        table: Option<PathBuf>,
    },
    /// Roll again and again, each time with another fault
    Soak {
        /// What the faults and their moments come of
        seed: Option<u64>,
        /// How many rolls
        #[arg(default_value_t = ROLLS)]
        rolls: u64,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum List {
    Matrix,
    Deploys,
}

fn fault(name: &str) -> std::result::Result<Fault, String> {
    let found = FAULTS.iter().find(|fault| fault.name == name).copied();
    found.ok_or_else(|| "there is no such fault; `reliability list` names them".into())
}

fn deploy(name: &str) -> std::result::Result<Deploy, String> {
    let found = DEPLOYS.iter().find(|deploy| deploy.name == name).copied();
    found.ok_or_else(|| "there is no such deploy; `reliability list deploys` names them".into())
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match (Args::parse().verb, runtime) {
        (Verb::List { of }, _) => {
            let faults = FAULTS.iter().map(|it| (it.name, it.what, it.promise));
            let deploys = DEPLOYS.iter().map(|it| (it.name, it.what, it.promise));
            let all: Vec<_> = match of {
                List::Matrix => faults.collect(),
                List::Deploys => deploys.collect(),
            };
            for (name, what, promise) in all {
                println!("{name}\t{what}\t{promise}");
            }
            Ok(())
        }
        (Verb::Matrix { faults, table }, Ok(runtime)) => runtime.block_on(async {
            let rows = all(faults, &FAULTS, |fault| fault.name, matrix::run).await?;
            table.map_or(Ok(()), |path| matrix::write(&path, &rows))
        }),
        (Verb::Deploys { deploys, table }, Ok(runtime)) => runtime.block_on(async {
            let rows = all(deploys, &DEPLOYS, |deploy| deploy.name, deploy::run).await?;
            table.map_or(Ok(()), |path| deploy::write(&path, &rows))
        }),
        (Verb::Soak { seed, rolls }, Ok(runtime)) => {
            let seed = seed.unwrap_or_else(|| fastrand::u64(..));
            println!("seed {seed}");
            let soaked = runtime.block_on(soak::run(seed, rolls));
            soaked.map_err(|error| broken(format!("seed {seed}: {error}")))
        }
        (_, Err(error)) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reliability: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Goes through those that are named, or all, one after the other, also after one whose promise was broken.
async fn all<T: Copy, R: Display>(
    named: Vec<T>,
    all: &[T],
    name: impl Fn(T) -> &'static str,
    run: impl AsyncFn(T) -> Result<R>,
) -> Result<Vec<R>> {
    let named = if named.is_empty() { all.to_vec() } else { named };
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    for one in named {
        match run(one).await {
            Ok(row) => {
                println!("{row}");
                rows.push(row);
            }
            Err(error) => {
                eprintln!("{error}");
                bad.push(name(one));
            }
        }
    }
    if bad.is_empty() {
        return Ok(rows);
    }
    Err(broken(format!("what is promised was not kept: {}", bad.join(", "))))
}

/// An error that is a sentence.
fn broken(sentence: String) -> Box<dyn Error> {
    sentence.into()
}
