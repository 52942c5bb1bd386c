//! The processes of one life of the app, by the mark in their environment (`/proc/PID/environ`,
//! proc(5)): a worker may leave its process group and outlive its parent, but not shed what it was
//! started with.

use std::fs;
use std::net::SocketAddr;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::environment::MARK;
use crate::gate::parse_address;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// The processes that have this mark.
pub(super) fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    all().filter(|pid| has(*pid, wanted.as_bytes())).collect()
}

fn all() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

fn has(pid: Pid, variable: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|one| one == variable)
}

/// Ends all processes that have this mark, at once.
pub(super) fn kill(mark: &str) {
    for pid in marked(mark) {
        // One that is gone by itself is gone.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Takes note of the end of processes that became children of this one when their parents ended
/// (PR_SET_CHILD_SUBREAPER(2const)), so that they do not stay as zombies. `own`: children that
/// somebody else waits for.
pub(super) fn reap(own: &[Pid]) {
    let us = rustix::process::getpid();
    for pid in all().filter(|pid| !own.contains(pid)) {
        if is_zombie_of(pid, us) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// `pid (name) state ppid ...` (proc(5)); the name may hold anything.
fn is_zombie_of(pid: Pid, parent: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some((_, rest)) = stat.rsplit_once(") ") else { return false };
    let mut fields = rest.split(' ');
    fields.next() == Some("Z")
        && fields.next().and_then(|id| id.parse().ok()) == Some(parent.as_raw_pid())
}

/// Bytes that processes hold in memory, pages that they share counted for each.
pub(super) fn resident(pids: impl IntoIterator<Item = Pid>) -> u64 {
    let one = |pid: Pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
    };
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
        let us = rustix::process::getpid();
        assert!(listening(&[us]).contains(&listener.local_addr().unwrap()));
        assert!(resident([us]) > 0);
    }
}
