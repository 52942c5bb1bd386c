//! What hostile clients, and a hostile app, may do. `scripts/hostile` builds and runs it.
//!
//! `hostile run` boots a throwaway machine with a real systemd, serves a site and an app on it, and brings
//! about each row of a list: clients that do not read, floods, bodies without an end, an app that answers
//! garbage. Beside them good clients ask, and must not notice. With `--in-process` the instances are children of
//! this process, which is quicker and needs no root.

#[path = "../../tests/hostile/mod.rs"]
mod hostile;
mod record;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use clap::{Parser, Subcommand};
use hostile::ground::{Against, Ground, Memory};
use hostile::rows::{Row, all};
use hostile::trial::{Trials, Way};
use hostile::{Result, broken, ground, table};
use record::Record;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As the app it is part of the memory that is judged: what it has given back is to be the kernel's, too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Name the rows, and how each begins in the table
    List,
    /// Bring about each row, or those that are named
    Run(Run),
    /// Be the hostile app, which writes down what it is asked
    #[command(hide = true)]
    App {
        /// Where
        log: PathBuf,
    },
}

#[derive(clap::Args)]
struct Run {
    /// Their names
    #[arg(value_parser = row)]
    rows: Vec<Row>,
    /// Against what; none: all
    #[arg(long)]
    against: Option<Against>,
    /// With which memory an instance; none: all
    #[arg(long)]
    memory: Option<Memory>,
    /// The instances are children of this process, which needs no root
    #[arg(long)]
    in_process: bool,
    /// With fewer clients and for a shorter time; without names, only the rows that are for that
    #[arg(long)]
    quick: bool,
    /// The document whose table is made anew
    #[arg(long)]
    table: Option<PathBuf>,
    /// Where it is written down what was kept. Without names, what the same server has kept before is not
    /// brought about again
    #[arg(long)]
    record: Option<PathBuf>,
}

fn row(name: &str) -> std::result::Result<Row, String> {
    let found = all().into_iter().find(|row| row.name == name);
    found.ok_or_else(|| "there is no such row; `hostile list` names them".into())
}

fn main() -> ExitCode {
    let done = match Args::parse().verb {
        Verb::List => {
            for row in all() {
                println!("{}\t{}", row.name, table::begin(&row));
            }
            Ok(())
        }
        Verb::Run(run) => run.all(),
        Verb::App { log } => {
            // What it does not hold any more is given back also while it has nothing to do.
            let _ = tikv_jemalloc_ctl::background_thread::write(true);
            hostile::app::run(&log)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hostile: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Run {
    /// Brings about all rows, also after one that was not kept.
    fn all(&self) -> Result<()> {
        raise_descriptor_limit();
        let programs = ground::programs()?;
        let sandbox = if self.in_process { None } else { Some(Rc::new(ground::boot(&programs)?)) };
        let record = self.record.as_deref().map(|path| Record::open(path, &programs));
        let mut record = record.transpose()?;
        let mut outcomes = Vec::new();
        let mut bad = Vec::new();
        for against in [Against::Site, Against::Front, Against::Inherit] {
            for memory in [Memory::Usual, Memory::Small] {
                let mut rows = self.rows(against, memory);
                if let (Some(record), true) = (&record, self.rows.is_empty()) {
                    rows.retain(|row| !record.has(row, against, memory));
                }
                if rows.is_empty() {
                    continue;
                }
                let ground: Box<dyn Ground> =
                    ground::start(&programs, sandbox.as_ref(), (against, memory))?;
                // A debug build, and a machine that does other things too, tell nothing of times.
                let timed = !self.quick && !cfg!(debug_assertions);
                let back_at_the_end = self.quick && self.rows.is_empty();
                let way = Way { against, memory, quick: self.quick, timed, back_at_the_end };
                let mut trials = Trials::new(ground, way)?;
                for row in rows {
                    let outcome = trials.run(&row)?;
                    println!("{outcome}");
                    if let (Some(record), true) = (&mut record, outcome.wrong.is_empty()) {
                        record.add(outcome.clone())?;
                    }
                    outcomes.push(outcome);
                }
                if let Some(wrong) = trials.end() {
                    println!("BROKEN after all of them ({against}, {memory}): {wrong}");
                    bad.push(format!("all ({against}, {memory})"));
                }
            }
        }
        let broken_ones = outcomes.iter().filter(|outcome| !outcome.wrong.is_empty());
        bad.extend(broken_ones.map(|it| format!("{} ({}, {})", it.name, it.against, it.memory)));
        println!("{} rows, {} not kept", outcomes.len(), bad.len());
        if !bad.is_empty() {
            return Err(broken(format!("what is promised was not kept: {}", bad.join(", "))));
        }
        let kept = record.as_ref().map_or(&*outcomes, Record::kept);
        self.table.as_deref().map_or(Ok(()), |path: &Path| table::write(path, kept))
    }

    /// What is to be brought about there.
    fn rows(&self, against: Against, memory: Memory) -> Vec<Row> {
        // Without systemd nobody would start the app again there.
        let is_there = against != Against::Inherit || !self.in_process;
        let is_asked = is_there
            && self.against.is_none_or(|it| it == against)
            && self.memory.is_none_or(|it| it == memory);
        let named = |row: &Row| self.rows.iter().any(|it| it.name == row.name);
        let by_itself = |row: &Row| !self.quick || row.quick.contains(&memory);
        let mut rows = all();
        rows.retain(|row| {
            is_asked
                && row.against.contains(&against)
                && if self.rows.is_empty() { by_itself(row) } else { named(row) }
        });
        rows
    }
}

/// Thousands of clients are of this one process.
fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it may not be raised, the rows with the most clients say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
