//! The processes of a unit, and the sockets that they hold.

use std::fs;
use std::io;
use std::process;

/// The name of the hierarchy in which systemd keeps its units where cgroups are of version 1, alone
/// or beside version 2 (cgroups(7)).
const NAMED: &str = "name=systemd";

/// The cgroup of this process, which systemd made for the unit that runs it.
#[derive(Debug, Clone)]
pub(super) struct Cgroup(String);

impl Cgroup {
    /// Where this process is.
    ///
    /// # Errors
    /// Where /proc cannot be read; `NotFound` where this process is in no cgroup of a unit.
    pub(super) fn own() -> io::Result<Self> {
        let text = fs::read_to_string("/proc/self/cgroup")?;
        let path = path(&text).filter(|path| *path != "/").ok_or(io::ErrorKind::NotFound)?;
        Ok(Self(path.into()))
    }

    /// All processes in it and below it, but for this one.
    ///
    /// # Errors
    /// Where /proc cannot be read.
    pub(super) fn processes(&self) -> io::Result<Vec<u32>> {
        let is_ours = |pid: &u32| {
            // One that has ended meanwhile is none of the unit's.
            let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            *pid != process::id() && path(&text).is_some_and(|path| self.holds(path))
        };
        Ok(all()?.into_iter().filter(is_ours).collect())
    }

    fn holds(&self, path: &str) -> bool {
        path.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// All processes, the oldest number first.
///
/// # Errors
/// Where /proc cannot be read.
pub(crate) fn all() -> io::Result<Vec<u32>> {
    let names = fs::read_dir("/proc")?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<io::Result<Vec<_>>>()?;
    let mut pids: Vec<_> = names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    Ok(pids)
}

/// The path of a process's cgroup among systemd's units, from its `/proc/PID/cgroup`: lines of
/// `ID:CONTROLLERS:PATH`, of which version 2 has the one without controllers.
fn path(text: &str) -> Option<&str> {
    let of = |wanted: &str| {
        text.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            (controllers == wanted).then_some(path)
        })
    };
    // Where another manager than the one that is asked about has that hierarchy, all are in its root.
    of(NAMED).filter(|path| *path != "/").or_else(|| of(""))
}

/// Whether one of these processes holds a socket.
pub(crate) fn hold(processes: &[u32], socket: u64) -> bool {
    let target = format!("socket:[{socket}]");
    processes.iter().any(|pid| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut targets = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.any(|to| to.as_os_str() == target.as_str())
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn a_process_is_found_in_each_kind_of_hierarchy() {
        let unit = "/system.slice/system-shop.slice/shop@1.service";
        let two = format!("0::{unit}\n");
        let hybrid = format!("5:memory:/other\n1:name=systemd:{unit}\n0::{unit}\n");
        let one = format!("2:cpu,cpuacct:/\n1:name=systemd:{unit}\n0::/\n");
        let two_beside_one = format!("1:name=systemd:/\n0::{unit}\n");
        for text in [two, hybrid, one, two_beside_one] {
            assert_eq!(path(&text), Some(unit), "{text}");
        }
        for text in ["", "x", "1:memory:/a\n"] {
            assert_eq!(path(text), None, "{text}");
        }
    }

    #[test]
    fn what_lies_below_the_cgroup_is_the_units_and_what_begins_alike_is_not() {
        let unit = Cgroup("/a/shop@1.service".into());
        assert!(unit.holds("/a/shop@1.service"));
        assert!(unit.holds("/a/shop@1.service/workers"));
        assert!(!unit.holds("/a/shop@1.services"));
        assert!(!unit.holds("/a/shop@2.service"));
    }

    #[test]
    fn a_socket_is_found_with_the_process_that_holds_it() {
        let (mine, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let inode = rustix::fs::fstat(mine.as_fd()).unwrap().st_ino;
        assert!(hold(&[process::id()], inode));
        assert!(!hold(&[process::id()], 1));
        assert!(!hold(&[], inode));
    }
}
