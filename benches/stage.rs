//! What staging a release costs: a tree of 5000 files and 200 MB, of which 50 files changed, against
//! `cp -al` of the release before and a copy of the changed files. In memory, where nothing waits for a
//! disk, and on the disk, where both bring all of it there (syncfs(2)). `scripts/bench` runs it.
//!
//! | figure | goal |
//! |---|---|
//! | time against that, in memory | at most 1.0 times |
//! | time on the disk | well below a second |

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use romuo::release::{Additions, Rules, Store};

/// Most of what is staged are packages.
const PACKAGES: &str = "node_modules";

/// Folders of the tree, and files in each.
const FOLDERS: usize = 50;
const FILES: usize = 100;

/// How long a file is, in bytes: 200 MB in all.
const LENGTH: usize = 40_000;

/// How many files change from one release to the next.
const CHANGED: usize = 50;

/// Releases that are counted; the median counts.
const ROUNDS: usize = 15;

fn main() -> ExitCode {
    let memory = Path::new("/dev/shm");
    let disk = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for (name, place) in [("in memory", memory), ("on the disk", &disk)] {
        if let Err(error) = compare(name, place) {
            eprintln!("the bench could not run {name}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn compare(name: &str, place: &Path) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir_in(place)?;
    let source = dir.path().join("source");
    for folder in 0..FOLDERS {
        fs::create_dir_all(source.join(format!("{PACKAGES}/{folder}")))?;
        for file in 0..FILES {
            write(&source.join(format!("{PACKAGES}/{folder}/{file}")), 0)?;
        }
    }
    let store = Store::at(dir.path().join("store"));
    let start = Instant::now();
    stage(&store, &source)?;
    let first = start.elapsed().as_secs_f64() * 1e3;

    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let path = |at| format!("{PACKAGES}/{}/{}", at % FOLDERS, (at + round) % FILES);
        let changed: Vec<_> = (0..CHANGED).map(path).collect();
        for path in &changed {
            write(&source.join(path), round)?;
        }
        let old = store.newest()?.ok_or("no release")?;
        // Each goes first every other time.
        let (romuo, cp) = if round % 2 == 0 {
            let romuo = stage(&store, &source)?;
            (romuo, link_and_copy(&store.path(&old), &source, &changed, dir.path())?)
        } else {
            let cp = link_and_copy(&store.path(&old), &source, &changed, dir.path())?;
            (stage(&store, &source)?, cp)
        };
        ratios.push(romuo / cp);
        ours.push(romuo);
        theirs.push(cp);
    }
    // What a checkout of its own makes of them: other files, of another time.
    let again = dir.path().join("again");
    copy_all(&source, &again)?;
    let anew = stage(&store, &again)?;
    println!("staging {} files, {CHANGED} of them changed, {name}", FOLDERS * FILES);
    println!("  cp -al and the changed files {:8.1} ms", median(&mut theirs));
    println!("  romuo                        {:8.1} ms", median(&mut ours));
    println!("  the first release, all new   {first:8.1} ms");
    println!("  romuo, all installed anew    {anew:8.1} ms");
    let middle = median(&mut ratios);
    println!(
        "  ratio {middle:.2} (rounds: {:.2} to {:.2}; the goal is 1.0 at most)\n",
        ratios[0],
        ratios[ROUNDS - 1],
    );
    Ok(())
}

fn write(path: &Path, round: usize) -> std::io::Result<()> {
    let line = format!("{} in round {round}\n", path.display());
    fs::write(path, line.repeat(LENGTH / line.len()))
}

/// Stages, and says how long that took, in milliseconds.
fn stage(store: &Store, source: &Path) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let lock = store.lock()?;
    let rules = Rules::read(source, &[])?;
    store.stage(&lock, source, &rules, &store.next_id(None)?, &Additions::default())?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// What a script would do, in milliseconds.
fn link_and_copy(
    old: &Path,
    source: &Path,
    changed: &[String],
    dir: &Path,
) -> Result<f64, Box<dyn Error>> {
    let new = dir.join("linked");
    let start = Instant::now();
    if !Command::new("cp").arg("-al").args([old, &new]).status()?.success() {
        return Err("cp failed".into());
    }
    for path in changed {
        let (from, to) = (source.join(path), new.join(path));
        fs::remove_file(&to)?;
        fs::copy(from, to)?;
    }
    rustix::fs::syncfs(fs::File::open(&new)?)?;
    let took = start.elapsed().as_secs_f64() * 1e3;
    fs::remove_dir_all(new)?;
    Ok(took)
}

fn copy_all(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    if !Command::new("cp").arg("-r").args([from, to]).status()?.success() {
        return Err("cp failed".into());
    }
    // Until they are on the disk a sync of the release would wait for them.
    Ok(rustix::fs::syncfs(fs::File::open(to)?)?)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
