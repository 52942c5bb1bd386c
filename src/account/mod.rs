//! The users of the machine, as passwd(5) has them, and programs that run as one of them.

mod owner;
mod tool;
mod who;

use std::fs;
use std::path::PathBuf;

pub use owner::{Owner, SEARCH};
pub use tool::tool;
pub use who::login;

/// The file of the users. Those of a directory service are not in it.
const FILE: &str = "/etc/passwd";

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The login name.
    pub name: String,
    /// The number of the first group.
    pub gid: u32,
    /// The home.
    pub home: PathBuf,
}

impl Account {
    /// The user of a number; none: the file has none, or cannot be read.
    #[must_use]
    pub fn of(uid: u32) -> Option<Self> {
        Self::in_text(&fs::read_to_string(FILE).ok()?, uid)
    }

    /// The user of a number, in the text of such a file.
    #[must_use]
    pub fn in_text(passwd: &str, uid: u32) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            let [name, _, id, gid, _, home, ..] = fields.as_slice() else { return None };
            (!name.is_empty() && id.parse() == Ok(uid)).then_some(())?;
            Some(Self { name: (*name).into(), gid: gid.parse().ok()?, home: home.into() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\n\n::\nalice:x:1000:100:A:/home/alice:/bin/sh\n";
        let alice = Account { name: "alice".into(), gid: 100, home: "/home/alice".into() };
        assert_eq!(Account::in_text(passwd, 1000), Some(alice));
        assert_eq!(Account::in_text(passwd, 0).unwrap().name, "root");
        assert_eq!(Account::in_text(passwd, 7), None);
    }
}
