//! Turns the files of the host into a machine that runs nothing of the host's: no unit an
//! administrator enabled, no generator, no service that packages start by themselves. What is left
//! is systemd, its journal, temporary files, and the system bus.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::error::SandboxError;

type Result<T> = std::result::Result<T, SandboxError>;

/// The host name inside.
const HOSTNAME: &str = "sandbox";
/// Where packages put units and their `.wants`.
const VENDOR: &str = "/usr/lib/systemd/system";
/// Masks live here, not in `/etc`: what is in `/etc/systemd/system` is then the user's alone.
const MASKS: &str = "/run/systemd/system";

/// What the host's administrator says about services, in whole.
const ADMINISTRATION: [&str; 3] =
    ["/etc/systemd", "/usr/local/lib/systemd", "/usr/local/share/dbus-1"];

/// Of all that packages pull in through `.wants` and `.requires`, this stays. Targets stay too:
/// they do nothing by themselves.
const KEPT: [&str; 7] = [
    "dbus.service",
    "dbus.socket",
    "dev-mqueue.mount",
    "systemd-journald-dev-log.socket",
    "systemd-journald.service",
    "systemd-journald.socket",
    "systemd-tmpfiles-setup.service",
];

/// `/tmp` is mounted already; what pulls this in is on some systems a `Wants=` line, not a folder.
const MASKED: [&str; 1] = ["tmp.mount"];

/// The journal stays in memory, keeps every line, and leaves the kernel's log to the host.
const JOURNALD: &str = "[Journal]
Storage=volatile
RateLimitIntervalSec=0
RateLimitBurst=0
RuntimeMaxUse=128M
ReadKMsg=no
Audit=
ForwardToSyslog=no
ForwardToWall=no
";

pub(super) fn quiet() -> Result<()> {
    ADMINISTRATION.iter().try_for_each(remove)?;
    for dir in ["/etc/systemd/system", MASKS, "/run/lock"] {
        fs::create_dir_all(dir).map_err(|e| SandboxError::root("make", dir, &e))?;
    }
    pulled_in()?.iter().try_for_each(|unit| mask(MASKS, unit))?;
    for kind in ["system-generators", "system-environment-generators"] {
        for generator in names(&Path::new("/usr/lib/systemd").join(kind))? {
            mask(&format!("/run/systemd/{kind}"), &generator)?;
        }
    }
    write("/run/systemd/journald.conf.d/sandbox.conf", JOURNALD)?;
    write("/etc/fstab", "")?;
    write("/etc/hostname", &format!("{HOSTNAME}\n"))?;
    write("/etc/hosts", &format!("127.0.0.1 localhost {HOSTNAME}\n::1 localhost\n"))?;
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid")
        .map_err(|e| SandboxError::root("read", "/proc/sys/kernel/random/uuid", &e))?;
    write("/etc/machine-id", &uuid.replace('-', ""))?;
    rustix::system::sethostname(HOSTNAME.as_bytes())
        .map_err(|e| SandboxError::root("name", "/etc/hostname", &e))
}

/// The units that packages start without anybody enabling them.
fn pulled_in() -> Result<BTreeSet<String>> {
    let mut units = BTreeSet::from(MASKED.map(str::to_owned));
    for dir in names(Path::new(VENDOR))? {
        if [".wants", ".requires"].iter().any(|end| dir.ends_with(end)) {
            units.extend(names(&Path::new(VENDOR).join(dir))?);
        }
    }
    units.retain(|unit| !unit.ends_with(".target") && !KEPT.contains(&unit.as_str()));
    Ok(units)
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let failed = |e: io::Error| SandboxError::root("list", dir, &e);
    match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries
            .map_err(failed)?
            .map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned()))
            .collect(),
    }
}

/// A link to nowhere says "masked" for units and generators alike (systemd.unit(5),
/// systemd.generator(7)).
fn mask(dir: &str, name: &str) -> Result<()> {
    let link = Path::new(dir).join(name);
    fs::create_dir_all(dir)
        .and_then(|()| symlink("/dev/null", &link))
        .map_err(|e| SandboxError::root("mask", link, &e))
}

fn remove(path: &&str) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(SandboxError::root("empty", path, &error))
        }
        _ => Ok(()),
    }
}

/// Writes a new file: what is there may be a symlink to somewhere else.
fn write(path: &str, text: &str) -> Result<()> {
    let path = Path::new(path);
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::write(path, text),
        }
    });
    written.map_err(|e| SandboxError::root("write", path, &e))
}
