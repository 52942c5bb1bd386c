//! The user who owns a file, and programs that run as that user: root has no business running what another
//! user decides.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{geteuid, getuid};

use super::{Account, tool};

/// Becomes another user, with all groups of that user, which the standard library cannot set (setpriv(1)
/// of util-linux).
const SETPRIV: &str = "setpriv";

/// Begins a session: a user's program that has root's terminal could type into it (TIOCSTI), and none may
/// wait there for a password that nobody types (setsid(1) of util-linux).
const SETSID: &str = "setsid";

/// Others have to read what is built, whatever the umask of whoever deploys.
const AS_READABLE: &str = "umask 022; exec \"$@\"";

/// `PATH` for a user who is not at the keyboard (that of login(1), and of root).
pub const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What such a user's programs get of the environment of whoever deploys: where the network and the
/// terminal are. The rest may be secrets.
const SHARED: [&str; 13] = [
    "TERM",
    "LANG",
    "LC_ALL",
    "TZ",
    "CI",
    "NO_COLOR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

/// How the names of our own variables begin: a deploy may be started by a line of another one.
const OURS: &[u8] = b"ROMUO_";

/// What says whose environment it is.
const OF_A_USER: [&str; 3] = ["HOME", "USER", "LOGNAME"];

/// What git sets for its hooks and nobody else should take over: a deploy may be one
/// (`git rev-parse --local-env-vars`).
const OF_A_HOOK: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
];

/// The user who owns a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    uid: u32,
    gid: u32,
    /// None: the machine does not know this user.
    name: Option<String>,
    home: PathBuf,
    /// It is the one who deploys, perhaps by way of sudo(8).
    is_caller: bool,
    /// Is searched before the rest of `PATH`.
    first: Vec<PathBuf>,
    /// What its programs find in their environment besides.
    more: Vec<(&'static str, String)>,
}

impl Owner {
    /// The owner of a folder.
    ///
    /// # Errors
    /// Where the folder cannot be looked at.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let found = fs::metadata(folder)?;
        Ok(Self::with_ids(found.uid(), found.gid()))
    }

    /// The user of a number; `group` counts where the machine does not know it.
    #[must_use]
    pub fn with_ids(uid: u32, group: u32) -> Self {
        let account = account(uid);
        let caller = env::var("SUDO_UID").ok().filter(|_| geteuid().is_root());
        let is_self = uid == getuid().as_raw();
        let is_caller = is_self || caller == Some(uid.to_string());
        // Behind sudo the home in the environment may be that of another user.
        let own =
            env::var_os("HOME").filter(|home| is_self && caller.is_none() && !home.is_empty());
        let (name, gid, home) = match account {
            Some(Account { name, gid, home }) => (Some(name), gid, home),
            None => (None, group, "/".into()),
        };
        let home = own.map_or(home, PathBuf::from);
        Self { uid, gid, name, home, is_caller, first: Vec::new(), more: Vec::new() }
    }

    /// Programs are searched in this folder first: that of the runtime of the app, which a `PATH` without
    /// the files of a login shell does not have.
    #[must_use]
    pub fn searching_first(mut self, folder: &Path) -> Self {
        self.first.push(folder.into());
        self
    }

    /// Programs find this in their environment.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.more.push((name, value.to_owned()));
        self
    }

    /// The number of the user, and that of its group.
    #[must_use]
    pub fn ids(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// Whether programs are to run as somebody else than this process.
    #[must_use]
    pub fn is_other(&self) -> bool {
        geteuid().is_root() && self.uid != 0
    }

    /// A program with its arguments that runs as this user, in a session of its own, without input.
    pub fn command(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(tool(SETSID));
        if self.is_other() {
            let groups = if self.name.is_some() { "--init-groups" } else { "--clear-groups" };
            command.arg(tool(SETPRIV)).arg(format!("--reuid={}", self.uid));
            command.arg(format!("--regid={}", self.gid)).args([groups, "--"]);
        }
        command.args(["/bin/sh", "-c", AS_READABLE, "sh"]).args(words).stdin(Stdio::null());
        command.env_clear().envs(self.environment(env::vars_os()));
        command.envs(self.more.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The environment of its programs, `given` being that of whoever deploys.
    fn environment(
        &self,
        given: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Vec<(OsString, OsString)> {
        let names = |list: &[&str], name: &OsStr| list.iter().any(|known| name == *known);
        let mut search = SEARCH.into();
        let mut kept = Vec::new();
        for (name, value) in given {
            if name == "PATH" && self.is_caller {
                search = value;
            } else if names(&OF_A_USER, &name)
                || names(&OF_A_HOOK, &name)
                || name.as_encoded_bytes().starts_with(OURS)
            {
                // Set below, or of no use.
            } else if self.is_caller || names(&SHARED, &name) {
                kept.push((name, value));
            }
        }
        let rest = env::split_paths(&search).collect::<Vec<_>>();
        let all = self.first.iter().cloned().chain(rest);
        // A folder with a colon in its name cannot be searched.
        let search = env::join_paths(all).unwrap_or(search);
        kept.push(("PATH".into(), search));
        kept.push(("HOME".into(), self.home.clone().into()));
        for name in ["USER", "LOGNAME"] {
            let user = self.name.clone().unwrap_or_else(|| self.uid.to_string());
            kept.push((name.into(), user.into()));
        }
        kept
    }
}

/// What the machine knows of a user.
fn account(uid: u32) -> Option<Account> {
    Account::of(uid).or_else(|| {
        // Users of a directory service are not in the file (getent(1)).
        let found = Command::new(tool("getent")).arg("passwd").arg(uid.to_string()).output();
        Account::in_text(&String::from_utf8_lossy(&found.ok()?.stdout), uid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(is_caller: bool) -> Owner {
        let (name, home) = (Some("alice".into()), "/home/alice".into());
        Owner { uid: 1000, gid: 100, name, home, is_caller, first: Vec::new(), more: Vec::new() }
    }

    fn given() -> Vec<(OsString, OsString)> {
        let given = [
            ("PATH", "/home/alice/.nvm/bin:/bin"),
            ("HOME", "/root"),
            ("TOKEN", "secret"),
            ("GIT_DIR", "."),
            ("ROMUO_VERDICT", "failed"),
            ("TERM", "xterm"),
        ];
        given.map(|(name, value)| (name.into(), value.into())).to_vec()
    }

    fn told(environment: Vec<(OsString, OsString)>) -> String {
        let pair = |(name, value): (OsString, OsString)| {
            format!("{}={}", name.to_str().unwrap(), value.to_str().unwrap())
        };
        environment.into_iter().map(pair).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn who_deploys_keeps_the_environment_but_for_what_belongs_to_a_user() {
        let said = told(owner(true).environment(given()));
        let expected = "TOKEN=secret TERM=xterm PATH=/home/alice/.nvm/bin:/bin HOME=/home/alice \
                        USER=alice LOGNAME=alice";
        assert_eq!(said, expected);
    }

    #[test]
    fn another_user_gets_nothing_that_may_be_a_secret() {
        let other = owner(false).searching_first(Path::new("/opt/node/bin"));
        let said = told(other.environment(given()));
        let expected = format!(
            "TERM=xterm PATH=/opt/node/bin:{SEARCH} HOME=/home/alice USER=alice LOGNAME=alice"
        );
        assert_eq!(said, expected);
    }
}
