//! What is worth knowing of a release that was staged all the same.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::text::shown_path;

/// What is worth knowing of a release that was staged all the same. Paths are relative to the folder
/// that was staged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Warning {
    /// A link that leads out of the folder: what it leads to is not part of the release.
    LeadsOut {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// Neither file, folder nor link: left out.
    Special {
        /// Where it is.
        path: PathBuf,
        /// What it is: "a socket".
        kind: &'static str,
    },
    /// Somebody wrote to it while it was copied, or took it away.
    Changed(PathBuf),
    /// Only root could read them in the release.
    Unreadable {
        /// The first one.
        path: PathBuf,
        /// How many more there are.
        more: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeadsOut { path, target } => {
                let (path, target) = (shown_path(path), shown_path(target));
                write!(f, "{path} is a link that leads out of the release, to {target}")
            }
            Self::Special { path, kind } => {
                write!(f, "{} is {kind} and was left out", shown_path(path))
            }
            Self::Changed(path) => write!(f, "{} changed while it was staged", shown_path(path)),
            Self::Unreadable { path, more } => {
                f.write_str(&shown_path(path))?;
                if *more > 0 {
                    write!(f, " and {more} more")?;
                }
                f.write_str(
                    " can be read by the owner only, which is root in a release: `chmod a+rX`",
                )
            }
        }
    }
}

/// What the system installs: it is there whatever is shipped, and a venv has a link to the Python in it.
const SYSTEM: &str = "/usr";

/// Whether a link at `path`, relative to the folder it is in, leads out of that folder, to what is not the
/// system's. By its text: what it leads to need not exist.
pub(super) fn leads_out(path: &Path, target: &Path) -> bool {
    if target.starts_with(SYSTEM) && !target.components().any(|part| part == Component::ParentDir) {
        return false;
    }
    let mut depth = path.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_out_by_its_text() {
        let out = |path: &str, target: &str| leads_out(Path::new(path), Path::new(target));
        assert!(out("a", "/etc/passwd"));
        assert!(out("a", ".."));
        assert!(out("a", "../a"));
        assert!(out("a/b", "../../c"));
        assert!(out("a/b", "x/../../.."));
        assert!(!out("a", "b"));
        assert!(!out("a/b", "../c"));
        assert!(!out("node_modules/.bin/x", "../x/cli.js"));
        assert!(!out("a", "./b/.."));
        assert!(!out(".venv/bin/python3", "/usr/bin/python3"));
        assert!(out("a", "/usr/../home/al"));
    }

    #[test]
    fn a_name_forges_no_line() {
        let path = PathBuf::from("a\nwarning: \x1b[2Jall is well");
        let said = Warning::Changed(path).to_string();
        assert_eq!(said, "a\\x0awarning: \\x1b[2Jall is well changed while it was staged");
    }

    #[test]
    fn a_warning_is_a_sentence() {
        let path = || PathBuf::from("a");
        let said = [
            Warning::LeadsOut { path: path(), target: "/etc".into() },
            Warning::Special { path: path(), kind: "a socket" },
            Warning::Changed(path()),
            Warning::Unreadable { path: path(), more: 0 },
            Warning::Unreadable { path: path(), more: 2 },
        ]
        .map(|warning| warning.to_string());
        assert_eq!(
            said,
            [
                "a is a link that leads out of the release, to /etc",
                "a is a socket and was left out",
                "a changed while it was staged",
                "a can be read by the owner only, which is root in a release: `chmod a+rX`",
                "a and 2 more can be read by the owner only, which is root in a release: `chmod a+rX`",
            ],
        );
    }
}
