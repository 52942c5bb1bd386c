//! What a roll survives. `scripts/reliability` and `scripts/soak` build and run it.
//!
//! `reliability matrix` boots a throwaway machine with a real systemd for each fault of a list, rolls
//! an app on it under the load of many kinds of clients that never retry, brings the fault about in the
//! middle of the roll, and insists on what is promised. `reliability soak` rolls one machine again and
//! again, with a fault that a seed chooses.

mod act;
mod faults;
mod matrix;
#[path = "../shared/mod.rs"]
#[allow(dead_code, reason = "each example needs some of it")]
mod shared;
mod soak;
mod stage;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
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
    /// Name the faults and what is promised
    List,
    /// Bring about each fault, or those that are named
    Matrix {
        /// Their names
        #[arg(value_parser = fault)]
        faults: Vec<Fault>,
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

fn fault(name: &str) -> std::result::Result<Fault, String> {
    let found = FAULTS.iter().find(|fault| fault.name == name).copied();
    found.ok_or_else(|| "there is no such fault; `reliability list` names them".into())
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match (Args::parse().verb, runtime) {
        (Verb::List, _) => {
            for Fault { name, what, promise, .. } in FAULTS {
                println!("{name}\t{what}\t{promise}");
            }
            Ok(())
        }
        (Verb::Matrix { faults, table }, Ok(runtime)) => runtime.block_on(all(faults, table)),
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

/// Goes through faults one after the other, also after one whose promise was broken.
async fn all(faults: Vec<Fault>, table: Option<PathBuf>) -> Result<()> {
    let faults = if faults.is_empty() { FAULTS.to_vec() } else { faults };
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    for fault in faults {
        match matrix::run(fault).await {
            Ok(row) => {
                println!("{row}");
                rows.push(row);
            }
            Err(error) => {
                eprintln!("{error}");
                bad.push(fault.name);
            }
        }
    }
    if !bad.is_empty() {
        return Err(broken(format!("what is promised was not kept: {}", bad.join(", "))));
    }
    table.map_or(Ok(()), |path| matrix::write(&path, &rows))
}

/// An error that is a sentence.
fn broken(sentence: String) -> Box<dyn Error> {
    sentence.into()
}
