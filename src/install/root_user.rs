//! What it costs that an app runs as root.

use std::fs;
use std::path::Path;

use super::layout::below;
use crate::config::Settings;

/// The users of the machine (passwd(5)).
const USERS: &str = "/etc/passwd";

/// A sentence on what it costs, where the user of an app is root on the machine below `root`, by whatever
/// name; none: it is another one.
#[must_use]
pub fn runs_as_root(settings: &Settings, root: &Path) -> Option<String> {
    let user = settings.user.as_ref()?.as_str();
    let users = fs::read_to_string(below(root, Path::new(USERS))).unwrap_or_default();
    (user == "root" || is_root(user, &users)).then(|| {
        format!(
            "user = \"{user}\" is root: whoever breaks into the app reads the secrets of every app in \
             /etc/romuo, and may tell systemd to do anything; leave `user` out, or name one of its own: \
             `useradd --system {}`",
            settings.name
        )
    })
}

/// Whether the number of a user is that of root, in the text of passwd(5).
fn is_root(user: &str, users: &str) -> bool {
    users.lines().any(|line| {
        let mut fields = line.split(':');
        fields.next() == Some(user) && fields.nth(1).and_then(|id| id.parse().ok()) == Some(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_root_by_whatever_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        let users =
            "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\nwww:x:33:0::/:/bin/false\n";
        fs::write(dir.path().join("etc/passwd"), users).unwrap();
        let mut settings = Settings::new("shop".parse().unwrap(), "/srv/shop".into());
        assert_eq!(runs_as_root(&settings, dir.path()), None);
        for (user, is_told) in [("root", true), ("toor", true), ("www", false), ("gone", false)] {
            settings.user = Some(user.parse().unwrap());
            let said = runs_as_root(&settings, dir.path());
            assert_eq!(said.is_some(), is_told, "{user}: {said:?}");
        }
    }
}
