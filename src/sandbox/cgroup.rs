//! The cgroups of a sandbox: one in each hierarchy, below our own, so that all limits that hold
//! for us hold for it (cgroups(7)).

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::error::SandboxError;
use super::mountinfo::{self, Mount};

/// The first part of a sandbox's cgroup names; the keeper's pid follows.
const PREFIX: &str = "romuo-sandbox-";
/// How long removal goes on. The dead leave their cgroup a moment after they are reaped, and v1 has
/// no event that says so.
const REMOVAL: Duration = Duration::from_secs(5);
/// The pause between two tries of what another process makes impossible for a moment.
const PAUSE: Duration = Duration::from_millis(5);
/// How often entering is tried. A systemd that owns the root of a v1 hierarchy removes empty
/// cgroups in it now and then, so ours may vanish between its making and the first process in it.
const ENTRIES: u32 = 20;
/// The v2 controllers that systemd's limits need (systemd.resource-control(5)).
const WANTED: [&str; 4] = ["cpu", "io", "memory", "pids"];

/// The controllers a v2 cgroup has, and those that its children have.
const CONTROLLERS: &str = "cgroup.controllers";
const SUBTREE: &str = "cgroup.subtree_control";

/// How the cgroups are mounted inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hierarchy {
    /// v1 for the controllers, v2 for systemd's own tracking. systemd before 258 only.
    Hybrid,
    /// v2 alone.
    Unified,
}

/// All cgroups of one sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tree {
    pub(super) hierarchy: Hierarchy,
    pub(super) groups: Vec<Group>,
    /// Whether `MemoryMax=` has a controller behind it.
    pub(super) memory: bool,
}

/// One cgroup. `controllers` is the hierarchy as `/proc/self/cgroup` names it: `cpu,cpuacct`,
/// `name=systemd`; empty for v2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) controllers: String,
    pub(super) path: PathBuf,
}

impl Group {
    fn has(&self, controller: &str) -> bool {
        self.controllers.split(',').any(|c| c == controller)
    }
}

impl Hierarchy {
    /// What fits this machine: the controllers are where they are bound, and systemd knows v1 up
    /// to version 257.
    pub(super) fn detect(systemd: u32) -> Result<Self, SandboxError> {
        let v1 = mounts()?.iter().any(|m| m.kind == "cgroup" && !m.options.contains("name="));
        Ok(if v1 && systemd < 258 { Self::Hybrid } else { Self::Unified })
    }
}

impl Tree {
    /// Makes the cgroups of the sandbox that the process `keeper` looks after, and removes those
    /// of dead keepers on the way.
    pub(super) fn create(hierarchy: Hierarchy, keeper: u32) -> Result<Self, SandboxError> {
        let mut groups = Vec::new();
        let mut memory = false;
        for mut group in memberships(&read("/proc/self/cgroup")?, &mounts()?) {
            if group.controllers.is_empty() {
                if hierarchy == Hierarchy::Unified {
                    (group.path, memory) = delegate(&group.path);
                }
            } else if hierarchy == Hierarchy::Unified {
                continue;
            }
            sweep(&group.path);
            group.path.push(format!("{PREFIX}{keeper}"));
            match make(&group) {
                Ok(()) => groups.push(group),
                // A v1 controller that is not ours to use is one limit less, not a failure.
                Err(_) if !group.controllers.is_empty() && !group.has("name=systemd") => {}
                Err(error) => return Err(refused(&group.path, &error)),
            }
        }
        if !groups.iter().any(|g| g.controllers.is_empty()) {
            return Err(refused(Path::new("/sys/fs/cgroup"), &"no cgroup2 is mounted"));
        }
        memory |= hierarchy == Hierarchy::Hybrid && groups.iter().any(|g| g.has("memory"));
        Ok(Self { hierarchy, groups, memory })
    }

    /// Moves the calling process into all of them.
    pub(super) fn enter(&self) -> Result<(), SandboxError> {
        self.groups.iter().try_for_each(|group| {
            let mut tries = 0;
            loop {
                match make(group).and_then(|()| write(&group.path, "cgroup.procs", "0")) {
                    Ok(()) => return Ok(()),
                    Err(error) if tries == ENTRIES => return Err(refused(&group.path, &error)),
                    Err(_) => thread::sleep(PAUSE),
                }
                tries += 1;
            }
        })
    }

    /// Removes them, once the processes in them are dead.
    pub(super) fn remove(&self) {
        let end = Instant::now() + REMOVAL;
        for group in &self.groups {
            while !remove(&group.path) && Instant::now() < end {
                thread::sleep(PAUSE);
            }
        }
    }
}

/// Moves the calling process into the cgroups of the process `pid`.
pub(super) fn join(pid: u32) -> Result<(), SandboxError> {
    let text = read(format!("/proc/{pid}/cgroup"))?;
    memberships(&text, &mounts()?).iter().try_for_each(|group| {
        match write(&group.path, "cgroup.procs", "0") {
            // As in the making of the tree: a v1 controller may be beyond us.
            Err(error) if group.controllers.is_empty() => Err(refused(&group.path, &error)),
            _ => Ok(()),
        }
    })
}

/// The cgroups in a `/proc/PID/cgroup`, as folders.
fn memberships(text: &str, mounts: &[Mount]) -> Vec<Group> {
    let folder = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let first = controllers.split(',').next()?;
        let mount = mounts.iter().find(|m| match controllers {
            "" => m.kind == "cgroup2",
            _ => m.kind == "cgroup" && m.options.split(',').any(|o| o == first),
        })?;
        let below = Path::new(path).strip_prefix(&mount.root).ok();
        // A path with `..` lies outside of our cgroup namespace: then its root is all we see.
        let below = below.filter(|p| !path.contains("..") && mount.point.join(p).is_dir());
        let path = below.map_or_else(|| mount.point.clone(), |p| mount.point.join(p));
        Some(Group { controllers: controllers.to_owned(), path })
    };
    text.lines().filter_map(folder).collect()
}

/// The v2 cgroup whose children have controllers, as many as can be had; and whether memory is
/// among them. Ours if it can be; else, where no systemd owns the tree, the nearest above.
fn delegate(own: &Path) -> (PathBuf, bool) {
    let is_cgroup = |path: &&Path| path.join(CONTROLLERS).exists();
    let reach = if super::host_runs_systemd() { 1 } else { usize::MAX };
    let found = own.ancestors().take(reach).take_while(is_cgroup).find(|group| {
        enable(group);
        listed(group, SUBTREE, "memory")
    });
    (found.unwrap_or(own).to_owned(), found.is_some())
}

/// Gives the children of `group` the controllers that it has itself. A cgroup whose children have
/// controllers may hold no process: where we are the only one in it, we step aside into a leaf.
fn enable(group: &Path) {
    let wanted = WANTED.into_iter().filter(|c| listed(group, CONTROLLERS, c));
    let missing: Vec<_> = wanted.filter(|c| !listed(group, SUBTREE, c)).collect();
    if missing.is_empty() {
        return;
    }
    let processes = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    if processes.trim() == std::process::id().to_string() {
        let leaf = group.join("keeper");
        let _ = std::fs::create_dir(&leaf).and_then(|()| write(&leaf, "cgroup.procs", "0"));
    }
    for controller in missing {
        // Refused by the kernel or not: what counts is what the file says afterwards.
        let _ = write(group, SUBTREE, &format!("+{controller}"));
    }
}

fn make(group: &Group) -> io::Result<()> {
    match std::fs::create_dir(&group.path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // v1 cpusets are born empty and refuse processes until they are filled (cpuset(7)).
    if let (true, Some(parent)) = (group.has("cpuset"), group.path.parent()) {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            write(&group.path, file, &std::fs::read_to_string(parent.join(file))?)?;
        }
    }
    Ok(())
}

/// Removes what dead keepers left in `parent`. A cgroup with a process in it cannot be removed, so
/// this can hurt nobody alive.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let keeper = name.to_str().and_then(|n| n.strip_prefix(PREFIX));
        if keeper.is_some_and(|pid| !is_alive(pid)) {
            remove(&entry.path());
        }
    }
}

/// A zombie is dead: in a container it may wait for ever for a PID 1 that does not reap.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    // "PID (NAME) STATE ...", and the name may hold anything.
    let state = stat.ok().and_then(|s| s.rsplit_once(") ")?.1.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Removes a cgroup and those below; false where something is in the way.
fn remove(group: &Path) -> bool {
    if let Ok(entries) = std::fs::read_dir(group) {
        for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
            remove(&entry.path());
        }
    }
    match std::fs::remove_dir(group) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn mounts() -> Result<Vec<Mount>, SandboxError> {
    Ok(mountinfo::parse(&read("/proc/self/mountinfo")?))
}

fn read(path: impl AsRef<Path>) -> Result<String, SandboxError> {
    let path = path.as_ref();
    std::fs::read_to_string(path).map_err(|e| refused(path, &e))
}

fn write(group: &Path, file: &str, value: &str) -> io::Result<()> {
    // Opened, never created: cgroup files exist or the cgroup is gone.
    let mut file = std::fs::OpenOptions::new().write(true).open(group.join(file))?;
    io::Write::write_all(&mut file, value.as_bytes())
}

fn listed(group: &Path, file: &str, word: &str) -> bool {
    let text = std::fs::read_to_string(group.join(file)).unwrap_or_default();
    text.split_whitespace().any(|w| w == word)
}

fn refused(path: &Path, reason: &impl ToString) -> SandboxError {
    SandboxError::Cgroup { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroups_are_found_below_the_root_of_their_mount() {
        let dir = tempfile::tempdir().unwrap();
        let point = dir.path().join("memory");
        std::fs::create_dir_all(point.join("inner")).unwrap();
        let mount = |kind: &str, root: &str, options: &str| Mount {
            kind: kind.into(),
            root: root.into(),
            point: point.clone(),
            options: options.into(),
        };
        let mounts = [mount("cgroup", "/outer", "rw,memory"), mount("cgroup2", "/", "rw")];
        let found = memberships("4:memory:/outer/inner\n3:cpuset:/\n0::/../elsewhere\n", &mounts);
        let group =
            |controllers: &str, path: PathBuf| Group { controllers: controllers.into(), path };
        // cpuset is not mounted; the v2 one lies outside of the namespace.
        assert_eq!(found, [group("memory", point.join("inner")), group("", point.clone())]);
    }

    #[test]
    fn a_process_is_alive_until_it_is_a_zombie() {
        let mut child = std::process::Command::new("true")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let waited =
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(pid), waited).unwrap();
        assert!(!is_alive(&child.id().to_string()));
        child.wait().unwrap();
        assert!(is_alive(&std::process::id().to_string()));
    }

    #[test]
    fn a_cgroup_that_is_gone_already_counts_as_removed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
        assert!(remove(&dir.path().join("a")));
        assert!(remove(&dir.path().join("a")));
    }
}
