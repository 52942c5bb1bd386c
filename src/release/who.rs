//! Who is at the keyboard.

use std::fs;

use rustix::process::getuid;

/// The login name of who started this process: behind sudo(8) that of who called it. It is a note for
/// people, not a proof: a user could set `SUDO_USER`.
#[must_use]
pub fn login() -> String {
    let variable = |name| std::env::var(name).ok().filter(|name| !name.is_empty());
    let uid = getuid().as_raw();
    variable("SUDO_USER")
        .or_else(|| named(&fs::read_to_string("/etc/passwd").ok()?, uid))
        // Users of a directory service are not in the file.
        .or_else(|| variable("LOGNAME"))
        .unwrap_or_else(|| format!("user {uid}"))
}

/// The name of a user in the text of passwd(5).
fn named(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\n\n::\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        assert_eq!(named(passwd, 1000).as_deref(), Some("alice"));
        assert_eq!(named(passwd, 0).as_deref(), Some("root"));
        assert_eq!(named(passwd, 7), None);
    }
}
