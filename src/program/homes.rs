//! The homes of the machine, of which a unit sees nothing unless it is shown it.

use std::path::Path;

/// The folders that `ProtectHome=` hides (systemd.exec(5)).
pub(crate) const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// Whether `path` is one of them, or lies below one.
pub(crate) fn is_below_home(path: &Path) -> bool {
    HOMES.iter().any(|home| path.starts_with(home))
}
