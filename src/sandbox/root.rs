//! Lays out the root of a sandbox: the files of the host below an overlay, everything else new.
//! Runs inside the new namespaces, before systemd does.
//!
//! What comes from the host is opened first; then the new root takes the place of the old one,
//! which goes away; all further paths are the sandbox's own, so that no symlink in them can lead
//! back to the host.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount,
    mount_bind, mount_change, mount_remount, move_mount, open_tree, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::cgroup::{Hierarchy, Tree};
use super::error::SandboxError;
use super::message::{Bind, Program, Spec};

type Result<T> = std::result::Result<T, SandboxError>;

/// Most that all writes inside may take: 1 GiB of memory. Copied programs count.
const WRITES: &str = "mode=755,size=1g";
/// Most that `/run` (with the journal) may take.
const RUN: &str = "mode=755,size=256m";
/// Most that `/tmp` may take.
const TMP: &str = "mode=1777,size=512m";
/// Folders that may be file systems of their own on the host. An overlay sees only one.
const OFTEN_APART: [&str; 4] = ["/usr", "/etc", "/var", "/opt"];
/// Where the parts of the overlay are put together; what lies there on the host is hidden
/// meanwhile, in this mount namespace alone.
const STAGE: &str = "/tmp";
/// The device nodes that every program may count on. systemd-udevd, which would make more, does
/// not run.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Group `tty` on Debian (base-passwd), the owner of terminals.
const PTS: &str = "newinstance,ptmxmode=0666,mode=620,gid=5";

const SHIELDED: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);
const READ_ONLY: MountFlags = MountFlags::BIND.union(MountFlags::RDONLY);

/// Builds the root and makes it the root of this process.
pub(super) fn build(spec: &Spec, tree: &Tree) -> Result<()> {
    let origin = Origin::open(spec)?;
    overlay()?;
    devices(&origin)?;
    kernel(tree)?;
    fs_mount("tmpfs", "/run", MountFlags::NOSUID | MountFlags::NODEV, RUN)?;
    fs_mount("tmpfs", "/tmp", MountFlags::NOSUID | MountFlags::NODEV, TMP)?;
    super::quiet::quiet()?;
    origin.programs.into_iter().try_for_each(|(file, program)| install(file, program))?;
    origin.binds.iter().try_for_each(|(tree, bind)| attach(tree, bind))?;
    // systemd's container interface asks for it: BindPaths=, PrivateTmp= and the like lean on it.
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::SHARED)
        .map_err(|e| SandboxError::root("share", "/", &e))
}

/// What is taken along from the host, held open across the change of roots.
struct Origin<'a> {
    devices: Vec<(OwnedFd, &'static str)>,
    console: OwnedFd,
    programs: Vec<(File, &'a Program)>,
    binds: Vec<(OwnedFd, &'a Bind)>,
}

impl<'a> Origin<'a> {
    fn open(spec: &'a Spec) -> Result<Self> {
        let clone = |path: &Path| {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            open_tree(CWD, path, flags).map_err(|e| source(path, &e.into()))
        };
        let device = |name| Ok((clone(&Path::new("/dev").join(name))?, name));
        let program = |program: &'a Program| {
            let file = File::open(&program.host).map_err(|e| source(&program.host, &e))?;
            Ok((file, program))
        };
        let stdin = Path::new("/proc/self/fd/0");
        let console = fs::read_link(stdin).map_err(|e| source(stdin, &e))?;
        Ok(Self {
            devices: DEVICES.into_iter().map(device).collect::<Result<_>>()?,
            console: clone(&console)?,
            programs: spec.programs.iter().map(program).collect::<Result<_>>()?,
            binds: spec.binds.iter().map(|b| Ok((clone(&b.host)?, b))).collect::<Result<_>>()?,
        })
    }
}

/// Puts an overlay in the place of the root, and throws the old root away.
fn overlay() -> Result<()> {
    let device = |path: &str| fs::metadata(path).map(|m| m.dev());
    let apart: Vec<_> = OFTEN_APART
        .into_iter()
        .filter(|path| device(path).ok() != device("/").ok() && Path::new(path).is_dir())
        .collect();
    fs_mount("tmpfs", STAGE, MountFlags::empty(), WRITES)?;
    let root = Path::new(STAGE).join("root");
    make_dir(&root)?;
    stack("/", &root)?;
    for lower in apart {
        // The name below `/` is one folder deep, so it is there in the overlay as well.
        stack(lower, &root.join(lower.trim_start_matches('/')))?;
    }
    let step = |step, result: rustix::io::Result<()>| {
        result.map_err(|e| SandboxError::root(step, &root, &e))
    };
    step("enter", chdir(&root))?;
    step("pivot to", pivot_root(".", "."))?;
    step("leave the old root for", unmount(".", UnmountFlags::DETACH))?;
    step("enter", chdir("/"))
}

fn stack(lower: &str, target: &Path) -> Result<()> {
    let name = lower.trim_start_matches('/');
    let part = |part: &str| Path::new(STAGE).join(format!("{part}-{name}"));
    let (upper, work) = (part("upper"), part("work"));
    make_dir(&upper)?;
    make_dir(&work)?;
    let (upper, work) = (upper.display(), work.display());
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    fs_mount("overlay", target, MountFlags::empty(), &options).map_err(|error| match error {
        SandboxError::Root { reason, .. } => SandboxError::Overlay { lower: lower.into(), reason },
        other => other,
    })
}

/// A `/dev` of its own: systemd makes `/dev/log`, `/dev/initctl` and more in it.
fn devices(origin: &Origin<'_>) -> Result<()> {
    fs_mount("tmpfs", "/dev", MountFlags::NOSUID, "mode=755,size=4m")?;
    let console = (&origin.console, "console");
    let devices = origin.devices.iter().map(|(tree, name)| (tree, *name));
    for (tree, name) in devices.chain([console]) {
        let node = Path::new("/dev").join(name);
        fs::write(&node, "").map_err(|e| SandboxError::root("make", &node, &e))?;
        place(tree, &node)?;
        if name != "console" {
            // Still writable as devices, but their mode and owner on the host are out of reach.
            remount(&node, READ_ONLY | MountFlags::NOSUID)?;
        }
    }
    for dir in ["/dev/pts", "/dev/shm", "/dev/mqueue"] {
        make_dir(dir)?;
    }
    fs_mount("devpts", "/dev/pts", MountFlags::NOSUID | MountFlags::NOEXEC, PTS)?;
    fs_mount("tmpfs", "/dev/shm", MountFlags::NOSUID | MountFlags::NODEV, TMP)?;
    for (target, link) in [
        ("pts/ptmx", "/dev/ptmx"),
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
    ] {
        symlink(target, link)?;
    }
    Ok(())
}

/// `/proc` and `/sys`. What configures the one kernel is read-only, but for the network, which is
/// the sandbox's own; systemd-sysctl and its like see that and stay away.
fn kernel(tree: &Tree) -> Result<()> {
    fs_mount("proc", "/proc", SHIELDED, "")?;
    for path in ["/proc/sys", "/proc/sys/net", "/proc/sysrq-trigger"].map(Path::new) {
        if path.exists() {
            mount_bind(path, path).map_err(|e| SandboxError::root("mount", path, &e))?;
        }
    }
    for path in
        ["/proc/sys", "/proc/sysrq-trigger"].map(Path::new).into_iter().filter(|p| p.exists())
    {
        remount(path, READ_ONLY | SHIELDED)?;
    }
    fs_mount("sysfs", "/sys", SHIELDED, "")?;
    cgroups(tree)?;
    remount(Path::new("/sys"), READ_ONLY | SHIELDED)
}

fn cgroups(tree: &Tree) -> Result<()> {
    let top = Path::new("/sys/fs/cgroup");
    if tree.hierarchy == Hierarchy::Unified {
        return fs_mount("cgroup2", top, SHIELDED, "");
    }
    fs_mount("tmpfs", top, SHIELDED, "mode=755,size=1m")?;
    for controllers in tree.groups.iter().map(|group| group.controllers.as_str()) {
        let name = match controllers {
            "" => "unified",
            named => named.trim_start_matches("name="),
        };
        let point = top.join(name);
        make_dir(&point)?;
        match controllers {
            "" => fs_mount("cgroup2", &point, SHIELDED, "")?,
            _ if controllers.starts_with("name=") => {
                fs_mount("cgroup", &point, SHIELDED, &format!("none,{controllers}"))?;
            }
            _ => fs_mount("cgroup", &point, SHIELDED, controllers)?,
        }
        // systemd looks for each controller under its own name.
        for controller in name.split(',').filter(|controller| *controller != name) {
            symlink(name, top.join(controller))?;
        }
    }
    Ok(())
}

/// Copied, not bound: a program can then be replaced by a rename, as a deploy does.
fn install(mut file: File, program: &Program) -> Result<()> {
    let path = &program.inside;
    parent(path)?;
    let copy = || {
        // Gone first: below may lie a running program or a symlink of the host.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        io::copy(&mut file, &mut File::create(path)?)?;
        fs::set_permissions(path, Permissions::from_mode(0o755))
    };
    let mut copy = copy;
    copy().map_err(|e| SandboxError::root("write", path, &e))
}

fn attach(tree: &OwnedFd, bind: &Bind) -> Result<()> {
    let path = &bind.inside;
    // A fresh clone can be stat-ed through its own descriptor only.
    let kind = rustix::fs::fstat(tree).map_err(|e| source(&bind.host, &e.into()))?.st_mode;
    if rustix::fs::FileType::from_raw_mode(kind).is_dir() {
        make_dir(path)?;
    } else {
        parent(path)?;
        File::options()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|e| SandboxError::root("make", path, &e))?;
    }
    place(tree, path)?;
    if bind.read_only { remount(path, READ_ONLY) } else { Ok(()) }
}

fn place(tree: &OwnedFd, target: &Path) -> Result<()> {
    move_mount(tree, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|e| SandboxError::root("mount", target, &e))
}

fn remount(target: &Path, flags: MountFlags) -> Result<()> {
    mount_remount(target, flags, "").map_err(|e| SandboxError::root("remount", target, &e))
}

fn fs_mount(kind: &str, target: impl AsRef<Path>, flags: MountFlags, options: &str) -> Result<()> {
    let (target, options) = (target.as_ref(), std::ffi::CString::new(options).unwrap_or_default());
    mount(kind, target, kind, flags, options.as_c_str())
        .map_err(|e| SandboxError::root("mount", target, &e))
}

fn make_dir(path: impl AsRef<Path>) -> Result<()> {
    fs::create_dir_all(&path).map_err(|e| SandboxError::root("make", path, &e))
}

fn parent(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), make_dir)
}

fn symlink(target: &str, link: impl AsRef<Path>) -> Result<()> {
    std::os::unix::fs::symlink(target, &link).map_err(|e| SandboxError::root("link", link, &e))
}

fn source(path: &Path, error: &io::Error) -> SandboxError {
    SandboxError::Source { path: PathBuf::from(path), reason: error.to_string() }
}
