//! Where drop-ins of an instance may lie.

use std::path::{Path, PathBuf};

use super::{AppName, InstanceId};

/// Folders in which somebody may put drop-ins on a running machine, by hand or with `systemctl
/// edit` and `set-property` (systemd.unit(5), "System Unit Search Path").
const FOLDERS: [&str; 5] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
];

/// The folders that may hold drop-ins of the instance, or of all instances of its app.
#[must_use]
pub fn drop_in_folders(app: &AppName, id: InstanceId) -> Vec<PathBuf> {
    let names = [app.template(), app.instance(id)];
    let of = |folder| names.iter().map(move |name| Path::new(folder).join(format!("{name}.d")));
    FOLDERS.into_iter().flat_map(of).collect()
}
