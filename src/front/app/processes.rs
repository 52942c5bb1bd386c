//! The processes of one life of the app.
//!
//! They are found by what they cannot shed: a process group or session, a parent, and the mark in the
//! environment that they were started with (`/proc/PID/environ`, proc(5)). Each alone has a hole: a
//! daemon leaves its group and its parent, and a program that writes its title into the room of its
//! environment (setproctitle, as puma and gunicorn do) wipes out the mark.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

use super::environment::MARK;
use crate::gate::parse_address;
use crate::release::Contents;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// How often is looked for processes that were started between the last look and their parent's end.
const ROUNDS: u32 = 5;

/// The main processes of all lives: somebody waits for each of them.
#[derive(Debug, Default)]
pub(super) struct Mains(Mutex<HashSet<Pid>>);

impl Mains {
    /// Starts one. Nobody takes note of its end before it is known here.
    ///
    /// # Errors
    /// What `start` says.
    pub(super) fn start<T, E>(&self, start: impl FnOnce() -> Result<(T, Pid), E>) -> Result<T, E> {
        let mut mains = self.lock();
        let (started, pid) = start()?;
        mains.insert(pid);
        Ok(started)
    }

    /// Its end was taken note of.
    pub(super) fn forget(&self, pid: Pid) {
        self.lock().remove(&pid);
    }

    /// Does something that depends on whether there is no other one. None is started meanwhile.
    pub(super) fn alone<T>(&self, pid: Pid, what: impl FnOnce(bool) -> T) -> T {
        let mains = self.lock();
        what(mains.iter().all(|main| *main == pid))
    }

    /// Takes note of the end of processes that became children of this one when their parents ended
    /// (PR_SET_CHILD_SUBREAPER(2const)), so that they do not stay as zombies.
    pub(super) fn reap_orphans(&self) {
        let mains = self.lock();
        let us = getpid();
        let is_ours = |process: &&Process| process.parent == Some(us) && process.is_zombie;
        for orphan in all().iter().filter(is_ours).filter(|it| !mains.contains(&it.pid)) {
            let _ = waitpid(Some(orphan.pid), WaitOptions::NOHANG);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process, and what it started.
#[derive(Debug, Clone)]
pub(super) struct Family {
    main: Pid,
    mark: String,
    /// Processes that were found to belong to it, and when each began: a number may be given again.
    known: HashMap<Pid, u64>,
    /// What it runs.
    contents: Contents,
}

impl Family {
    /// `mark`: the value of [`MARK`] that `main` was started with.
    pub(super) fn new(main: Pid, mark: String, contents: Contents) -> Self {
        Self { main, mark, known: HashMap::new(), contents }
    }

    /// What it runs: as it was when it began.
    pub(super) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The main process.
    pub(super) fn main(&self) -> Pid {
        self.main
    }

    /// Those that run now.
    pub(super) fn members(&self) -> Vec<Pid> {
        self.among(&all(), false).into_iter().map(|process| process.pid).collect()
    }

    /// Remembers who belongs to it: to be called while the main process is there to tell by.
    pub(super) fn remember(&mut self) {
        let found = self.among(&all(), false);
        self.known.extend(found.into_iter().map(|process| (process.pid, process.begun)));
    }

    /// Ends all of them at once. `alone`: there is no other life, so that whoever descends from the
    /// front belongs to this one.
    pub(super) fn kill(&self, alone: bool) {
        for _ in 0..ROUNDS {
            let members = self.among(&all(), alone);
            if members.is_empty() {
                return;
            }
            for process in members {
                // One that is gone by itself is gone.
                let _ = kill_process(process.pid, Signal::KILL);
            }
        }
    }

    /// Those that belong to it and have not ended.
    fn among(&self, all: &[Process], alone: bool) -> Vec<Process> {
        let wanted = format!("{MARK}={}", self.mark);
        let us = getpid();
        let alive = || all.iter().filter(|process| !process.is_zombie && process.pid != us);
        let mut found: HashSet<Pid> = alive()
            .filter(|process| {
                [Some(process.pid), process.group, process.session].contains(&Some(self.main))
                    || self.known.get(&process.pid) == Some(&process.begun)
                    || (alone && process.parent == Some(us))
                    || has(process.pid, wanted.as_bytes())
            })
            .map(|process| process.pid)
            .collect();
        loop {
            let is_child =
                |process: &&Process| process.parent.is_some_and(|it| found.contains(&it));
            let children = alive().filter(is_child);
            let before = found.len();
            let children: Vec<Pid> = children.map(|process| process.pid).collect();
            found.extend(children);
            if found.len() == before {
                return alive().filter(|process| found.contains(&process.pid)).copied().collect();
            }
        }
    }
}

/// A line of `/proc/PID/stat` (proc_pid_stat(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: Pid,
    /// None, as the next two: one that cannot be seen from this namespace (pid_namespaces(7)).
    parent: Option<Pid>,
    group: Option<Pid>,
    session: Option<Pid>,
    is_zombie: bool,
    /// In ticks since boot.
    begun: u64,
}

impl Process {
    /// `pid (name) state ppid pgrp session ... starttime ...`; the name may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let (pid, rest) = stat.split_once(" (")?;
        let (_, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let id = |text: &str| text.parse().ok().map(Pid::from_raw);
        Some(Self {
            pid: id(pid)??,
            parent: id(fields.get(1)?)?,
            group: id(fields.get(2)?)?,
            session: id(fields.get(3)?)?,
            is_zombie: fields.first() == Some(&"Z"),
            begun: fields.get(19)?.parse().ok()?,
        })
    }
}

/// All processes that can be seen; not those of the kernel.
fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit)
        })
        .filter_map(|entry| Process::parse(&fs::read_to_string(entry.path().join("stat")).ok()?))
        .collect()
}

fn has(pid: Pid, variable: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|one| one == variable)
}

/// Bytes that processes hold in memory. Pages that several hold are shared out among them (`Pss`,
/// proc_pid_smaps(5)), as workers share most of theirs with the process that forked them.
pub(super) fn memory(pids: impl IntoIterator<Item = Pid>) -> u64 {
    let figure = |pid: Pid, file: &str, name: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
    };
    // Not to be seen for a process that changed its user: then all that it has in memory.
    let one = |pid| figure(pid, "smaps_rollup", "Pss:").or_else(|| figure(pid, "status", "VmRSS:"));
    pids.into_iter().filter_map(one).sum()
}

/// Where processes listen.
pub(super) fn listening(pids: &[Pid]) -> Vec<SocketAddr> {
    let inodes: Vec<String> = pids.iter().flat_map(|pid| sockets(*pid)).collect();
    let table =
        |name: &str| fs::read_to_string(format!("/proc/self/net/{name}")).unwrap_or_default();
    let mut found: Vec<SocketAddr> =
        ["tcp", "tcp6"].into_iter().flat_map(|name| listeners(&table(name), &inodes)).collect();
    found.sort();
    found.dedup();
    found
}

/// The inodes of a process's sockets: `/proc/PID/fd/7 -> socket:[INODE]`.
fn sockets(pid: Pid) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect()
}

/// The rows of `/proc/net/tcp` (proc(5)) that listen and have one of these inodes.
fn listeners(table: &str, inodes: &[String]) -> Vec<SocketAddr> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let is_one = *state == LISTENING && inodes.iter().any(|one| one == inode);
        if is_one { parse_address(local).map(SocketAddr::from) } else { None }
    };
    table.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_listening_row_of_the_process_is_found() {
        let table = "  sl  local_address rem_address   st tx rx tr tm retr uid timeout inode\n\
            0: 0100007F:0BB8 00000000:0000 0A 0:0 00:0 0 0 0 58733 1\n\
            1: 00000000:1F90 00000000:0000 0A 0:0 00:0 0 0 0 58734 1\n\
            2: 0100007F:0BB8 0100007F:A2F4 01 0:0 00:0 0 0 0 58735 1\n";
        let inodes = ["58734".to_owned(), "58735".to_owned()];
        assert_eq!(listeners(table, &inodes), ["0.0.0.0:8080".parse().unwrap()]);
    }

    #[test]
    fn this_process_listens_where_it_does_and_holds_memory() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let us = getpid();
        assert!(listening(&[us]).contains(&listener.local_addr().unwrap()));
        assert!(memory([us]) > 0);
    }

    fn pid(raw: i32) -> Pid {
        Pid::from_raw(raw).unwrap()
    }

    /// A process of the family tree: its number, its parent's, its group's.
    fn process(number: i32, parent: i32, group: i32) -> Process {
        Process {
            pid: pid(number),
            parent: Some(pid(parent)),
            group: Some(pid(group)),
            session: Some(pid(group)),
            is_zombie: false,
            begun: 0,
        }
    }

    #[test]
    fn a_line_of_a_process_is_read_whatever_its_name() {
        let stat = "42 (a) Z 1 (b)) S 7 42 41 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 9876 0 0\n";
        let found = Process::parse(stat).unwrap();
        let begun = Process { session: Some(pid(41)), begun: 9876, ..process(42, 7, 42) };
        assert_eq!(found, begun);
        assert!(Process::parse("42 (kthread").is_none());
        let stat = stat.replace("7 42 41", "0 0 0");
        let from_outside = Process { parent: None, group: None, session: None, ..begun };
        assert_eq!(Process::parse(&stat), Some(from_outside), "started from another namespace");
        assert!(all().iter().any(|process| process.pid == getpid()));
    }

    #[test]
    fn a_family_is_found_by_group_parent_and_memory() {
        // Numbers that no process of this machine has, so that none of them has a mark.
        const APP: i32 = 2_000_000_000;
        let (worker, daemon, child, other) = (APP + 1, APP + 2, APP + 3, APP + 4);
        let us = getpid().as_raw_pid();
        let zombie = Process { is_zombie: true, ..process(APP + 5, APP, APP) };
        let all = [
            process(us, 1, us),
            process(APP, us, APP),
            process(worker, APP, APP),
            process(daemon, APP, daemon),
            process(child, daemon, child),
            process(other, us, other),
            zombie,
        ];
        let mut family = Family::new(pid(APP), "none".into(), Contents::default());
        let found = |family: &Family, all: &[Process], alone| {
            let mut numbers: Vec<i32> =
                family.among(all, alone).iter().map(|it| it.pid.as_raw_pid()).collect();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(found(&family, &all, false), [APP, worker, daemon, child]);
        // The daemon's parent is gone: only who remembers it, or is alone, knows whose it was.
        let orphaned = [all[0], process(daemon, us, daemon), all[4], all[5]];
        assert_eq!(found(&family, &orphaned, false), [0; 0]);
        assert_eq!(found(&family, &orphaned, true), [daemon, child, other]);
        family.known.insert(pid(daemon), 0);
        assert_eq!(found(&family, &orphaned, false), [daemon, child]);
        family.known.insert(pid(daemon), 1);
        assert_eq!(found(&family, &orphaned, false), [0; 0], "the number was given again");
    }
}
