//! Names that no app may have, since systemd has units of that name: those of the app would stand in
//! their place, and `nginx` or the way to the login would be gone at the next boot.

use std::fs;
use std::path::{Path, PathBuf};

use super::found::{ReadError, names};
use super::layout::{below, unit_folder, unit_path, units};
use super::stamp::{self, Origin};
use crate::unit::{AppName, UnitName};

/// Where systemd looks for units, beside the folder of an administrator's (systemd.unit(5), "System Unit
/// Search Path"): first what ours stand before, then what stands before ours.
const FOLDERS: [&str; 12] = [
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/usr/local/lib/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/run/systemd/generator.late",
    "/etc/systemd/system.attached",
    "/run/systemd/system.attached",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
];

/// Where the scripts lie of which systemd makes services (systemd-sysv-generator(8)).
const SCRIPTS: &str = "/etc/init.d";

/// The endings of units (systemd.unit(5)).
const TYPES: [&str; 11] = [
    "service",
    "socket",
    "target",
    "timer",
    "path",
    "mount",
    "automount",
    "swap",
    "slice",
    "scope",
    "device",
];

/// Names that systemd gives a meaning of its own, whether there is a file or not (systemd.special(7)),
/// and that of the user who may do everything.
const SPECIAL: &[&str] = &[
    "basic",
    "bluetooth",
    "boot-complete",
    "cryptsetup",
    "cryptsetup-pre",
    "ctrl-alt-del",
    "dbus",
    "default",
    "display-manager",
    "emergency",
    "exit",
    "factory-reset",
    "final",
    "first-boot-complete",
    "getty",
    "getty-pre",
    "graphical",
    "halt",
    "hibernate",
    "hybrid-sleep",
    "init",
    "initrd",
    "initrd-fs",
    "initrd-parse-etc",
    "initrd-root-device",
    "initrd-root-fs",
    "initrd-switch-root",
    "initrd-usr-fs",
    "integritysetup",
    "integritysetup-pre",
    "kbrequest",
    "kexec",
    "local-fs",
    "local-fs-pre",
    "machine",
    "machines",
    "multi-user",
    "network",
    "network-online",
    "network-pre",
    "nss-lookup",
    "nss-user-lookup",
    "paths",
    "poweroff",
    "printer",
    "reboot",
    "remote-cryptsetup",
    "remote-fs",
    "remote-fs-pre",
    "remote-integritysetup",
    "remote-veritysetup",
    "rescue",
    "root",
    "rpcbind",
    "runlevel0",
    "runlevel1",
    "runlevel2",
    "runlevel3",
    "runlevel4",
    "runlevel5",
    "runlevel6",
    "shutdown",
    "sigpwr",
    "sleep",
    "slices",
    "smartcard",
    "sockets",
    "soft-reboot",
    "sound",
    "storage-target-mode",
    "suspend",
    "suspend-then-hibernate",
    "swap",
    "sysinit",
    "syslog",
    "system",
    "system-update",
    "system-update-cleanup",
    "system-update-pre",
    "time-set",
    "time-sync",
    "timers",
    "tpm2",
    "umount",
    "usb-gadget",
    "user",
    "veritysetup",
    "veritysetup-pre",
];

/// How systemd's own units begin.
const SYSTEMD: &str = "systemd-";

/// Why an app may not have its name.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("no app can be named {app}: {reason}")]
#[diagnostic(help("{hint}"))]
pub struct NameTaken {
    /// The name.
    pub app: AppName,
    /// What has it, as a clause.
    pub reason: String,
    /// What to do.
    pub hint: &'static str,
}

/// To do about a name of the system's.
const RENAME: &str = "give it another `name` in romuo.toml; --force does not help, since its units would \
     take the place of those";

/// To do about a unit of the administrator's.
const MOVE: &str = "give the app another `name`, or `systemctl disable` that unit and move its file away; \
     --force does not help for what is started at boot";

/// Refuses the name of an app where systemd has units of that name below `root` that are not ours.
///
/// # Errors
/// Where it has, or a folder of units cannot be read.
pub fn refuse_taken(root: &Path, app: &AppName) -> Result<(), TakenError> {
    let name = app.as_str();
    let taken = |reason, hint| Err(NameTaken { app: app.clone(), reason, hint }.into());
    if SPECIAL.contains(&name) || name.starts_with(SYSTEMD) {
        return taken("systemd gives that name a meaning of its own".to_owned(), RENAME);
    }
    for folder in FOLDERS.map(Path::new) {
        for unit in names(root, folder)? {
            let path = folder.join(&unit);
            if is_of(name, &unit) && !is_ours(&below(root, &path)) {
                return taken(format!("there is {}", path.display()), RENAME);
            }
            if alias(&below(root, &path)).iter().any(|alias| is_of(name, alias)) {
                return taken(format!("{} goes by that name too", path.display()), RENAME);
            }
        }
    }
    let script = Path::new(SCRIPTS).join(name);
    if below(root, &script).exists() {
        return taken(format!("systemd makes a service of {}", script.display()), RENAME);
    }
    for unit in units(app) {
        let path = unit_path(&unit);
        let bytes = fs::read(below(root, &path)).unwrap_or_default();
        if !bytes.is_empty()
            && stamp::origin(&bytes) == Origin::Foreign
            && let Some(link) = boot_link_to(root, &unit)?
        {
            let (path, link) = (path.display(), link.display());
            return taken(format!("{path}, of somebody else, is started at boot, by {link}"), MOVE);
        }
    }
    Ok(())
}

/// Why a name is refused, or cannot be judged.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum TakenError {
    /// It is taken.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Taken(#[from] NameTaken),
    /// What is there cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Read(#[from] ReadError),
}

/// Whether a file is a unit of that name, of whatever type; a template and its instances are, too.
/// Folders of drop-ins and links are none.
fn is_of(name: &str, unit: &str) -> bool {
    let Some(rest) = unit.strip_prefix(name) else { return false };
    let Some((instance, kind)) = rest.rsplit_once('.') else { return false };
    TYPES.contains(&kind)
        && (instance.is_empty() || instance.starts_with('@') || instance == ".hold")
}

/// A package may bring what romuo has rendered, and a link may lead to it.
fn is_ours(unit: &Path) -> bool {
    fs::read(unit).is_ok_and(|bytes| stamp::origin(&bytes) != Origin::Foreign)
}

/// The names that a unit gets once it is enabled (`Alias=`, systemd.unit(5)).
fn alias(unit: &Path) -> Vec<String> {
    // Most entries are files of some lines; what cannot be read has no alias to speak of.
    let text = if unit.is_file() { fs::read(unit).unwrap_or_default() } else { Vec::new() };
    let text = String::from_utf8_lossy(&text);
    let values = text.lines().filter_map(|line| line.trim().strip_prefix("Alias="));
    values.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// The link by which another unit pulls this one in; none: nobody does.
fn boot_link_to(root: &Path, unit: &UnitName) -> Result<Option<PathBuf>, ReadError> {
    let folders = FOLDERS.iter().map(Path::new).chain([unit_folder()]);
    for folder in folders {
        for inner in names(root, folder)? {
            let pulls = [".wants", ".requires", ".upholds"].iter().any(|end| inner.ends_with(end));
            let link = folder.join(&inner).join(unit.as_str());
            if pulls && below(root, &link).symlink_metadata().is_ok() {
                return Ok(Some(link));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = below(root, Path::new(path));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn refused(root: &Path, name: &str) -> Option<String> {
        match refuse_taken(root, &name.parse().unwrap()) {
            Ok(()) => None,
            Err(error) => Some(error.to_string()),
        }
    }

    #[test]
    fn a_name_of_systemd_s_is_refused_without_a_file() {
        let root = tempfile::tempdir().unwrap();
        for name in ["init", "system", "user", "multi-user", "sysinit", "dbus", "systemd-x", "root"]
        {
            let said = refused(root.path(), name).unwrap();
            assert!(said.contains("a meaning of its own"), "{said}");
        }
        assert_eq!(refused(root.path(), "shop"), None);
    }

    #[test]
    fn a_name_of_a_unit_is_refused_wherever_it_lies_and_whatever_it_is() {
        for folder in FOLDERS {
            for unit in ["shop.service", "shop.timer", "shop@.service", "shop@7.service"] {
                let root = tempfile::tempdir().unwrap();
                write(root.path(), &format!("{folder}/{unit}"), "[Unit]\n");
                let said = refused(root.path(), "shop").unwrap();
                assert!(said.ends_with(&format!("there is {folder}/{unit}")), "{said}");
            }
        }
        let root = tempfile::tempdir().unwrap();
        let folder = "/usr/lib/systemd/system";
        for other in
            ["shop-2.service", "shopping.service", "shop.service.d/x.conf", "shop.service.wants/x"]
        {
            write(root.path(), &format!("{folder}/{other}"), "[Unit]\n");
        }
        assert_eq!(refused(root.path(), "shop"), None);
        // A link is a name, also one that leads nowhere.
        symlink("gone.service", below(root.path(), Path::new(folder)).join("shop.socket")).unwrap();
        assert!(refused(root.path(), "shop").is_some());
    }

    #[test]
    fn what_a_unit_is_called_too_and_a_script_are_names_as_well() {
        let root = tempfile::tempdir().unwrap();
        let text = "[Install]\nWantedBy=multi-user.target\nAlias=sshd.service other.service\n";
        write(root.path(), "/usr/lib/systemd/system/ssh.service", text);
        write(root.path(), "/etc/init.d/shop", "#!/bin/sh\n");
        let said = refused(root.path(), "sshd").unwrap();
        assert!(
            said.contains("/usr/lib/systemd/system/ssh.service goes by that name too"),
            "{said}"
        );
        assert!(refused(root.path(), "other").is_some());
        let said = refused(root.path(), "shop").unwrap();
        assert!(said.contains("makes a service of /etc/init.d/shop"), "{said}");
    }

    #[test]
    fn a_unit_of_the_administrator_s_is_in_the_way_only_where_it_is_started_at_boot() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "/etc/systemd/system/shop.service", "[Service]\nExecStart=/bin/x\n");
        assert_eq!(refused(root.path(), "shop"), None, "that is for --force");
        let link = "/etc/systemd/system/multi-user.target.wants/shop.service";
        write(root.path(), link, "");
        let said = refused(root.path(), "shop").unwrap();
        assert!(said.contains("is started at boot, by ") && said.ends_with(link), "{said}");
    }
}
