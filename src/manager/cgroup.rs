//! What a unit uses, from its own cgroup: systemd has no figure where a controller is not its own (containers,
//! cgroup v1), and the kernel has it still.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Where cgroups are mounted (file-hierarchy of systemd, cgroups(7)).
const MOUNT: &str = "/sys/fs/cgroup";

/// Files with the memory of a cgroup, in bytes: the folder of the controller, the name. v2 first.
const MEMORY: [(&str, &str); 2] = [("", "memory.current"), ("memory", "memory.usage_in_bytes")];

/// Files with the CPU time of a cgroup, of v2: `usage_usec` is there without the controller, too.
const CPU_STAT: [(&str, &str); 2] = [("", "cpu.stat"), ("unified", "cpu.stat")];

/// The same of v1, in nanoseconds.
const CPU_USAGE: [(&str, &str); 2] =
    [("cpuacct", "cpuacct.usage"), ("cpu,cpuacct", "cpuacct.usage")];

/// Bytes that a cgroup uses, by its path as systemd has it (`ControlGroup`); none: the kernel does not count.
pub(super) fn memory(group: &str) -> Option<u64> {
    texts(&MEMORY, group, Path::new(MOUNT)).find_map(|text| text.trim().parse().ok())
}

/// CPU time that a cgroup has used.
pub(super) fn cpu(group: &str) -> Option<Duration> {
    cpu_below(group, Path::new(MOUNT))
}

fn cpu_below(group: &str, mount: &Path) -> Option<Duration> {
    let microseconds = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
        Some(Duration::from_micros(line?.trim().parse().ok()?))
    };
    let nanoseconds = |text: String| Some(Duration::from_nanos(text.trim().parse().ok()?));
    let v2 = texts(&CPU_STAT, group, mount).find_map(microseconds);
    v2.or_else(|| texts(&CPU_USAGE, group, mount).find_map(nanoseconds))
}

fn texts<'a>(
    files: &'a [(&str, &str)],
    group: &'a str,
    mount: &'a Path,
) -> impl Iterator<Item = String> + 'a {
    // Of the root cgroup, which no unit has, it would be those of the machine.
    let group = group.strip_prefix('/').filter(|group| !group.is_empty());
    files.iter().filter_map(move |(controller, name)| {
        fs::read_to_string(mount.join(controller).join(group?).join(name)).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_cgroups_have_the_time() {
        let mount = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = mount.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let group = "/system.slice/shop@1.service";
        assert_eq!(cpu_below(group, mount.path()), None);
        write("cpuacct/system.slice/shop@1.service/cpuacct.usage", "2000000\n");
        assert_eq!(cpu_below(group, mount.path()), Some(Duration::from_millis(2)));
        write("system.slice/shop@1.service/cpu.stat", "usage_usec 3000\nuser_usec 1\n");
        assert_eq!(cpu_below(group, mount.path()), Some(Duration::from_millis(3)));
        for no_unit in ["", "/"] {
            write("cpu.stat", "usage_usec 3000\n");
            assert_eq!(cpu_below(no_unit, mount.path()), None);
        }
    }
}
