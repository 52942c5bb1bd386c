//! What a deploy that was killed has left running: git, tar and lines of `[deploy]` that nobody waits for any
//! more.
//!
//! While one runs, a file beside its log, or beside the folder that it works in, holds its mark, which is also
//! in the environment of whatever it has started. So what is left is known by more than a number, which may
//! be somebody else's by now.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::error::ShipError;
use crate::clock;

/// The variable that holds the mark.
pub(super) const MARK: &str = "ROMUO_LINE";

/// How the name of the file ends.
const RUNNING: &str = "running";

/// How often what is left is looked for: whatever is killed may just have started something.
const ROUNDS: usize = 100;

/// Something that runs; the file goes with it.
pub(super) struct Mark {
    path: PathBuf,
    text: String,
}

impl Mark {
    /// It begins; what it writes is this.
    pub(super) fn begin(beside: &Path) -> io::Result<Self> {
        let mut name = beside.file_name().unwrap_or_default().to_owned();
        name.push(".");
        name.push(RUNNING);
        let path = beside.with_file_name(name);
        let text = format!("{}-{}", std::process::id(), clock::monotonic().as_nanos());
        fs::write(&path, &text)?;
        Ok(Self { path, text })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // One that stays costs the next deploy a look.
        let _ = fs::remove_file(&self.path);
    }
}

/// Ends what a deploy that was killed has left running, and says how many processes that were. `folder` is
/// that of its logs, or that of its work; the caller has the right to deploy.
///
/// # Errors
/// Where the folder cannot be read. One that is missing holds nothing.
pub fn end_leftovers(folder: &Path) -> Result<usize, ShipError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        result => result.map_err(ShipError::io("read", folder))?,
    };
    let mut ended = 0;
    for entry in entries {
        let path = entry.map_err(ShipError::io("read", folder))?.path();
        if path.extension().is_none_or(|extension| extension != RUNNING) {
            continue;
        }
        let mark = fs::read_to_string(&path).map_err(ShipError::io("read", &path))?;
        // One that is empty was never in an environment.
        if !mark.is_empty() {
            ended += end(&format!("{MARK}={mark}"));
        }
        fs::remove_file(&path).map_err(ShipError::io("remove", &path))?;
    }
    Ok(ended)
}

/// Kills all that have this in their environment.
fn end(variable: &str) -> usize {
    let mut ended = 0;
    for _ in 0..ROUNDS {
        let found = with(variable);
        if found.is_empty() {
            break;
        }
        // One that has ended meanwhile need not be.
        ended +=
            found.iter().filter(|process| pidfd_send_signal(process, Signal::KILL).is_ok()).count();
    }
    ended
}

/// The processes that have it in their environment. One that is dead, and not yet waited for, has none.
fn with(variable: &str) -> Vec<OwnedFd> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has_it = |pid: i32| {
        // Held before it is looked at, so that it is the same one that is killed.
        let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut variables = environment.split(|byte| *byte == 0);
        variables.any(|found| found == variable.as_bytes()).then_some(process)
    };
    pids.filter_map(has_it).collect()
}
