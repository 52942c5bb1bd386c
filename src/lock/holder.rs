//! Who has a lock: what the holder wrote of itself, and what the kernel tells (proc(5), `/proc/locks`).

use std::fmt;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{major, minor};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use crate::account::{Account, login};
use crate::clock::BootTime;
use crate::config::format_duration;
use crate::text::shown;

/// Longest text that is read of a lock, in bytes: a user name, a few words and two numbers.
const TEXT_MAX: u64 = 4096;

/// The locks that processes of this machine have.
const LOCKS: &str = "/proc/locks";

/// Who has a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The login name of who started it.
    pub user: String,
    /// What it does: "deploying", or the name of its program.
    #[serde(default)]
    pub doing: String,
    /// Since when; none: it did not say so.
    pub since: Option<BootTime>,
}

impl Holder {
    /// This process.
    pub(super) fn me(doing: &str) -> Self {
        let since = Some(BootTime::now());
        Self { pid: std::process::id(), user: login(), doing: doing.into(), since }
    }

    /// Who has the lock `path`; none: nobody can tell. Nothing is opened that could wait.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let said = Self::said(&file);
        match Self::seen(&file) {
            // What it says of itself tells more.
            Some(seen) => said.filter(|said| said.pid == seen.pid).or(Some(seen)),
            None => said,
        }
    }

    fn said(file: &File) -> Option<Self> {
        let mut text = Vec::new();
        file.take(TEXT_MAX).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Who the kernel says has the file locked; none: nobody, or it is not told here.
    pub(super) fn seen(file: &File) -> Option<Self> {
        let file = file.metadata().ok()?;
        let device = format!("{:02x}:{:02x}", major(file.dev()), minor(file.dev()));
        let pid = holder_in(&fs::read_to_string(LOCKS).ok()?, &device, file.ino())?;
        let process = PathBuf::from(format!("/proc/{pid}"));
        let uid = process.metadata().ok()?.uid();
        let user = Account::of(uid).map_or_else(|| format!("user {uid}"), |account| account.name);
        let program = fs::read_to_string(process.join("comm")).unwrap_or_default();
        Some(Self { pid, user, doing: shown(program.trim_end()).into(), since: None })
    }

    /// Whether its process runs as the user of this one.
    pub(super) fn is_of_our_user(&self) -> bool {
        let process = fs::metadata(format!("/proc/{}", self.pid));
        process.is_ok_and(|process| process.uid() == geteuid().as_raw())
    }
}

impl fmt::Display for Holder {
    /// A clause: "alice has been deploying for 3s (process 4711)".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, user, doing, since } = self;
        match since {
            Some(since) => {
                let doing = if doing.is_empty() { "at it" } else { doing };
                let seconds = BootTime::now().since(*since).as_secs();
                let time = format_duration(Duration::from_secs(seconds));
                write!(f, "{user} has been {doing} for {time} (process {pid})")
            }
            None => write!(f, "process {pid}, `{doing}` of {user}, has it"),
        }
    }
}

/// The process that has a file locked by flock(2), in the text of `/proc/locks`. Those who wait for it are
/// marked with an arrow. Where files lie on layers (overlayfs, btrfs) the kernel names another device
/// there than stat(2) does: then the number has to do, if only one file with it is locked.
fn holder_in(locks: &str, device: &str, inode: u64) -> Option<u32> {
    let number = inode.to_string();
    let with_number: Vec<_> = locks
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            (fields.next()? == "FLOCK").then_some(())?;
            let pid = fields.nth(2)?.parse().ok()?;
            let (device, found) = fields.next()?.rsplit_once(':')?;
            (found == number).then_some((device, pid))
        })
        .collect();
    match with_number.iter().find(|(found, _)| *found == device) {
        Some((_, pid)) => Some(*pid),
        None => match with_number.as_slice() {
            [(_, pid)] => Some(*pid),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_found_among_those_of_the_kernel() {
        let locks = "1: POSIX  ADVISORY  READ  11 00:19:7 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 12 00:19:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 13 00:19:7 0 EOF\n\
                     3: FLOCK  ADVISORY  READ 14 00:19:7 0 EOF\n";
        assert_eq!(holder_in(locks, "00:19", 7), Some(14));
        assert_eq!(holder_in(locks, "00:19", 77), Some(12));
        assert_eq!(holder_in(locks, "00:19", 70), None);
        assert_eq!(holder_in(locks, "00:1a", 77), Some(12), "on layers");
        let two = "1: FLOCK  ADVISORY  WRITE 12 00:19:7 0 EOF\n\
                   2: FLOCK  ADVISORY  WRITE 13 00:20:7 0 EOF\n";
        assert_eq!(holder_in(two, "00:20", 7), Some(13));
        assert_eq!(holder_in(two, "00:21", 7), None);
    }

    #[test]
    fn it_is_said_who_it_is_and_since_when() {
        let (pid, user) = (4711, String::from("alice"));
        let holder = Holder { pid, user, doing: "deploying".into(), since: Some(BootTime::ZERO) };
        let text = holder.to_string();
        let (start, end) = ("alice has been deploying for ", " (process 4711)");
        assert!(text.starts_with(start) && text.ends_with(end), "{text}");
        let seen = Holder { doing: "flock".into(), since: None, ..holder };
        assert_eq!(seen.to_string(), "process 4711, `flock` of alice, has it");
    }
}
