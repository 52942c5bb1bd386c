//! Who is at the keyboard.

use rustix::process::getuid;

use super::Account;

/// The login name of who started this process: behind sudo(8) that of who called it. It is a note for
/// people, not a proof: a user could set `SUDO_USER`.
#[must_use]
pub fn login() -> String {
    let variable = |name| std::env::var(name).ok().filter(|name| !name.is_empty());
    let uid = getuid().as_raw();
    variable("SUDO_USER")
        .or_else(|| Some(Account::of(uid)?.name))
        // Users of a directory service are not in the file.
        .or_else(|| variable("LOGNAME"))
        .unwrap_or_else(|| format!("user {uid}"))
}
