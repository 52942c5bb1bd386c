//! How much memory the instance, the machine and the heap hold.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use crate::recycle::Memory;

/// Longest text of a figure: 20 digits and a newline.
const FIGURE_SIZE: usize = 32;

/// Files of a memory cgroup: what is used, and the limit of it. v1 has other names than v2.
const V1_FIGURE: &str = "memory.usage_in_bytes";
const V1_LIMIT: &str = "memory.limit_in_bytes";
const V2_FIGURE: &str = "memory.current";
const V2_LIMIT: &str = "memory.max";

/// Pages of files and of the kernel's own caches, as `memory.stat` names them: the kernel takes them
/// back before it kills for want of memory. Those of v1 count the cgroups below too, as v2 does.
const V1_RECLAIMABLE: &[&str] = &["total_inactive_file", "total_active_file"];
const V2_RECLAIMABLE: &[&str] = &["inactive_file", "active_file", "slab_reclaimable"];

/// The memory figure of this process's cgroup. It is opened once and read at each call: one
/// system call.
#[derive(Debug)]
pub(super) struct CgroupMemory {
    figure: Option<File>,
    path: PathBuf,
}

impl CgroupMemory {
    /// Finds the cgroup of this process (cgroups(7)). It is not there for a process in the root of
    /// the hierarchy; the process's own resident size stands in then.
    pub(super) fn open() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let path = figure_path(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
        let path = path.unwrap_or_default();
        Self { figure: File::open(&path).ok(), path }
    }

    /// Bytes in use now.
    pub(super) fn used(&self) -> u64 {
        self.of_cgroup().or_else(resident).unwrap_or(0)
    }

    /// How near it is to the limit at which the kernel kills; none: there is no such limit.
    pub(super) fn pressure(&self) -> Option<Memory> {
        let (is_v1, folder) = (self.path.ends_with(V1_FIGURE), self.path.parent()?);
        let read = |file| fs::read_to_string(folder.join(file)).ok();
        // Read anew each time: somebody may change it on the running unit.
        let limit = read(if is_v1 { V1_LIMIT } else { V2_LIMIT })?.trim().parse().ok()?;
        let taken_back = reclaimable(&read("memory.stat")?, is_v1);
        let used = self.of_cgroup()?.saturating_sub(taken_back);
        // v1 writes "no limit" as a number that no machine has.
        (limit < of_machine()).then_some(Memory { used, limit })
    }

    fn of_cgroup(&self) -> Option<u64> {
        let mut text = [0; FIGURE_SIZE];
        let count = self.figure.as_ref()?.read_at(&mut text, 0).ok()?;
        std::str::from_utf8(&text[..count]).ok()?.trim().parse().ok()
    }
}

/// The file with the memory figure, from the texts of `/proc/self/cgroup` and
/// `/proc/self/mountinfo` (proc(5)). Where the memory controller is bound to cgroup v1, the v2
/// tree has no figure, so v1 is looked for first.
fn figure_path(cgroup: &str, mountinfo: &str) -> Option<PathBuf> {
    let groups: Vec<(&str, &str)> =
        cgroup.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')).collect();
    let v1 = groups.iter().find(|(controllers, _)| has_word(controllers, "memory"));
    let v2 = groups.iter().find(|(controllers, _)| controllers.is_empty());
    let (group, kind, file) = match (v1, v2) {
        (Some((_, group)), _) => (*group, "cgroup", V1_FIGURE),
        (None, Some((_, group))) => (*group, "cgroup2", V2_FIGURE),
        (None, None) => return None,
    };
    mountinfo.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut filesystem = filesystem.split(' ');
        let matches = filesystem.next()? == kind
            && (kind == "cgroup2" || has_word(filesystem.nth(1)?, "memory"));
        // The mount may show only a part of the hierarchy, in a container for one.
        let inside = if root == "/" { group } else { group.strip_prefix(root)? };
        matches.then(|| PathBuf::from(format!("{point}{}/{file}", inside.trim_end_matches('/'))))
    })
}

/// Bytes that the kernel can take back, from the text of `memory.stat`.
fn reclaimable(stat: &str, is_v1: bool) -> u64 {
    let names = if is_v1 { V1_RECLAIMABLE } else { V2_RECLAIMABLE };
    let value = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        names.contains(&name).then(|| value.trim().parse::<u64>().ok())?
    };
    stat.lines().filter_map(value).sum()
}

fn has_word(list: &str, word: &str) -> bool {
    list.split(',').any(|item| item == word)
}

/// The process's resident size in bytes (`VmRSS`, proc(5)).
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// Bytes of the machine's memory. sysinfo(2) works where `ProcSubset=pid` hides /proc/meminfo.
pub(crate) fn of_machine() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

/// Has the allocator give freed memory back to the kernel after a while (10 s) also when nothing is
/// allocated any more: by a thread of its own, as an idle server does nothing by itself. Where the
/// program does not run on jemalloc nothing happens.
pub(super) fn give_back() {
    let _ = tikv_jemalloc_ctl::max_background_threads::write(1);
    let _ = tikv_jemalloc_ctl::background_thread::write(true);
}

/// Bytes that the allocator holds in memory for the heap, as jemalloc counts them; 0 where the
/// program does not run on jemalloc.
pub(super) fn of_heap() -> u64 {
    // The figures are of the last epoch; this begins a new one.
    let resident = tikv_jemalloc_ctl::epoch::advance()
        .and_then(|_| tikv_jemalloc_ctl::stats::resident::read())
        .unwrap_or(0);
    resident as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_of_a_unified_hierarchy_is_found() {
        let mounts = "\
22 1 0:20 / /proc rw,nosuid shared:5 - proc proc rw
30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(
            figure_path("0::/romuo.slice/romuo@1.service\n", mounts),
            Some("/sys/fs/cgroup/romuo.slice/romuo@1.service/memory.current".into())
        );
    }

    #[test]
    fn the_figure_of_a_hybrid_hierarchy_is_that_of_the_memory_controller() {
        let groups = "4:cpu,cpuacct:/a\n3:memory:/system.slice/x\n0::/system.slice/x\n";
        let mounts = "\
30 23 0:26 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw
31 23 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 23 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
        assert_eq!(
            figure_path(groups, mounts),
            Some("/sys/fs/cgroup/memory/system.slice/x/memory.usage_in_bytes".into())
        );
    }

    #[test]
    fn a_mount_of_a_part_of_the_hierarchy_shortens_the_path() {
        let mounts = "30 23 0:26 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        assert_eq!(
            figure_path("0::/box/app\n", mounts),
            Some("/sys/fs/cgroup/app/memory.current".into())
        );
        assert_eq!(figure_path("0::/other\n", mounts), None);
    }

    #[test]
    fn what_the_kernel_can_take_back_is_no_use_of_memory() {
        let v2 = "anon 1000\nfile 900\nactive_file 200\ninactive_file 300\nslab_reclaimable 40\n";
        assert_eq!(reclaimable(v2, false), 540);
        let v1 = "inactive_file 1\nactive_file 2\ntotal_inactive_file 30\ntotal_active_file 20\n";
        assert_eq!(reclaimable(v1, true), 50);
        assert_eq!(reclaimable("", true), 0);
    }

    #[test]
    fn pressure_is_that_of_the_files_of_the_cgroup_and_none_without_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        for (figure, limit, none) in
            [(V2_FIGURE, V2_LIMIT, "max"), (V1_FIGURE, V1_LIMIT, "9223372036854771712")]
        {
            let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
            write(figure, "900\n");
            write("memory.stat", "active_file 100\ntotal_active_file 100\n");
            write(limit, "1000\n");
            let path = folder.path().join(figure);
            let memory = CgroupMemory { figure: File::open(&path).ok(), path };
            assert_eq!(memory.pressure(), Some(Memory { used: 800, limit: 1000 }));
            write(limit, none);
            assert_eq!(memory.pressure(), None);
        }
        assert_eq!(CgroupMemory { figure: None, path: PathBuf::new() }.pressure(), None);
    }

    #[test]
    fn this_process_uses_memory_and_less_than_the_machine_has() {
        let used = resident().unwrap();
        assert!(used > 0);
        assert!(used < of_machine());
        assert!(CgroupMemory::open().used() > 0);
    }
}
