//! Where things lie on a machine. Paths are those of the machine: absolute, whatever the root.

use std::path::{Path, PathBuf};

use crate::unit::{AppName, InstanceId, UnitName};

/// Folder of the installed configurations.
pub(super) const CONFIG_FOLDER: &str = "/etc/romuo";

/// The lock of who changes what is installed, in the folder of configurations; it goes with its holder.
pub(super) const LOCK: &str = ".install.lock";

/// Folder of an administrator's units (systemd.unit(5), "System Unit Search Path").
const UNIT_FOLDER: &str = "/etc/systemd/system";

/// Mode of a unit file: everyone may see what runs.
pub(super) const UNIT_MODE: u32 = 0o644;

/// Mode of a configuration and of an environment: they may hold secrets. systemd hands them to the
/// instances.
pub(super) const CONFIG_MODE: u32 = 0o600;

/// The installed configuration of an app.
#[must_use]
pub fn config_path(app: &AppName) -> PathBuf {
    Path::new(CONFIG_FOLDER).join(format!("{app}.toml"))
}

/// The variables of an app that systemd starts itself.
pub(super) fn environment_path(app: &AppName) -> PathBuf {
    Path::new(CONFIG_FOLDER).join(format!("{app}.env"))
}

/// The identity of an installed app.
#[must_use]
pub fn identity_path(app: &AppName) -> PathBuf {
    Path::new(CONFIG_FOLDER).join(format!("{app}.id"))
}

/// The folder that units are installed to.
#[must_use]
pub fn unit_folder() -> &'static Path {
    Path::new(UNIT_FOLDER)
}

/// File of a unit.
pub(super) fn unit_path(unit: &UnitName) -> PathBuf {
    unit_folder().join(unit.as_str())
}

/// Every unit that romuo writes for an app.
pub(super) fn units(app: &AppName) -> [UnitName; 5] {
    [app.socket(), app.hold(), app.template(), app.roll(), app.target()]
}

/// The link that starts the app at boot.
#[must_use]
pub fn boot_link(app: &AppName) -> PathBuf {
    unit_folder().join("multi-user.target.wants").join(app.target().as_str())
}

/// Folder of the links to the enabled instances.
pub(super) fn wants_folder(app: &AppName) -> PathBuf {
    unit_folder().join(format!("{}.wants", app.target()))
}

/// The link that makes an instance part of the app.
pub(super) fn instance_link(app: &AppName, id: InstanceId) -> PathBuf {
    wants_folder(app).join(app.instance(id).as_str())
}

/// The path of a machine whose root is at `root`.
#[must_use]
pub fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
