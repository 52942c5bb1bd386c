//! What of a folder is not staged.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::OFlags;

use super::error::ReleaseError;
use super::store::CONFIG_FILE;

/// The file of an app with its own rules, in the syntax of gitignore(5).
pub const IGNORE_FILE: &str = ".romuoignore";

/// What no app needs to run.
const DEFAULTS: [&str; 1] = [".git"];

/// What of a folder is not staged, and whose that has to be. The last rule that matches decides, so that a file of rules may take
/// back a default: `!.git`.
#[derive(Debug, Clone)]
pub struct Rules {
    ignored: Gitignore,
    user: Option<u32>,
}

impl Rules {
    /// The defaults, then `writable`, which holds what the app writes and no release may bring, then
    /// the `.romuoignore` of the folder. A path of `writable` is absolute or below the folder; others do not
    /// matter here.
    ///
    /// # Errors
    /// Where the file cannot be read, or one of its lines is no pattern.
    pub fn read(folder: &Path, writable: &[PathBuf]) -> Result<Self, ReleaseError> {
        let path = folder.join(IGNORE_FILE);
        let text = match read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Err(ReleaseError::RulesEncoding(path));
            }
            result => result.map_err(ReleaseError::io("read", &path))?,
        };
        let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.into());
        let writable = writable.iter().filter_map(|path| {
            let below = path.strip_prefix(folder).or_else(|_| path.strip_prefix(&real));
            exactly(below.unwrap_or(path))
        });

        let mut builder = GitignoreBuilder::new("");
        let rule = |line, reason: ignore::Error| {
            let reason = reason.to_string();
            ReleaseError::Rule { path: path.clone(), line, reason }
        };
        for line in DEFAULTS.map(str::to_owned).into_iter().chain(writable) {
            builder.add_line(None, &line).map_err(|error| rule(0, error))?;
        }
        let text = text.trim_start_matches('\u{feff}');
        for (line, number) in text.lines().zip(1..) {
            builder.add_line(None, line).map_err(|error| rule(number, error))?;
        }
        let ignored = builder.build().map_err(|error| rule(0, error))?;
        Ok(Self { ignored, user: None })
    }

    /// Nothing is left out but these paths, which are relative to the folder.
    #[must_use]
    pub fn but(left_out: &[PathBuf]) -> Self {
        let mut builder = GitignoreBuilder::new("");
        for line in left_out.iter().filter_map(|path| exactly(path)) {
            // A path that is written out is a pattern.
            let _ = builder.add_line(None, &line);
        }
        Self { ignored: builder.build().unwrap_or_else(|_| Gitignore::empty()), user: None }
    }

    /// The folder has to be of this user, unless that is root: else a link in its place would have root
    /// publish what that user cannot read.
    #[must_use]
    pub fn of_user(mut self, uid: u32) -> Self {
        self.user = Some(uid).filter(|uid| *uid != 0);
        self
    }

    /// Whose the folder has to be; none: anybody's.
    pub(super) fn user(&self) -> Option<u32> {
        self.user
    }

    /// Whether `path`, which is relative to the folder, is left out. What lies below a folder that is
    /// left out is not asked for.
    #[must_use]
    pub fn skip(&self, path: &Path, is_folder: bool) -> bool {
        // Whoever ships must not decide what root takes for the settings, whatever the rules say.
        path == Path::new(CONFIG_FILE) || self.ignored.matched(path, is_folder).is_ignore()
    }
}

/// Not through a link, and not from a pipe: root reads it, and an error shows its lines.
fn read(path: &Path) -> io::Result<String> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    io::read_to_string(file)
}

/// A pattern that matches this path only; none where it is not below the folder, or the folder itself.
fn exactly(path: &Path) -> Option<String> {
    let mut pattern = String::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => {
                pattern.push('/');
                for character in name.to_str()?.chars() {
                    if matches!(character, '\\' | '*' | '?' | '[' | ']' | '{' | '}' | ' ') {
                        pattern.push('\\');
                    }
                    pattern.push(character);
                }
            }
            _ => return None,
        }
    }
    Some(pattern).filter(|pattern| !pattern.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str, writable: &[&str]) -> Result<Rules, ReleaseError> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(IGNORE_FILE), text).unwrap();
        let writable: Vec<_> = writable.iter().map(PathBuf::from).collect();
        Rules::read(dir.path(), &writable)
    }

    fn kept<'a>(rules: &Rules, paths: &[&'a str]) -> Vec<&'a str> {
        let kept =
            |path: &&str| !rules.skip(Path::new(path.trim_end_matches('/')), path.ends_with('/'));
        paths.iter().copied().filter(kept).collect()
    }

    #[test]
    fn the_history_of_git_stays_where_it_is_unless_the_app_wants_it() {
        let paths = [".git/", "module/.git", ".gitignore", "git/"];
        assert_eq!(kept(&rules("", &[]).unwrap(), &paths), [".gitignore", "git/"]);
        assert_eq!(kept(&rules("!.git", &[]).unwrap(), &paths), paths);
    }

    #[test]
    fn the_patterns_are_those_of_gitignore() {
        let text = "\u{feff}# notes\r\n*.log\r\n!keep.log\r\n/tmp\r\ncache/\r\n\\#odd\r\n\r\n";
        let paths =
            ["a.log", "x/a.log", "x/keep.log", "tmp/", "x/tmp", "x/cache/", "cache", "#odd"];
        assert_eq!(kept(&rules(text, &[]).unwrap(), &paths), ["x/keep.log", "x/tmp", "cache"]);
    }

    #[test]
    fn what_the_app_writes_is_left_out_by_its_path_whatever_its_name() {
        let writable = ["uploads", "./var/da ta", "[a]*", "..", "/var/lib/other", "."];
        let rules = rules("", &writable).unwrap();
        let paths = ["uploads/", "x/uploads/", "var/da ta", "var/data", "[a]*", "ab", "other"];
        assert_eq!(kept(&rules, &paths), ["x/uploads/", "var/data", "ab", "other"]);
    }

    #[test]
    fn an_absolute_path_is_taken_below_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let rules = Rules::read(dir.path(), &[dir.path().join("data")]).unwrap();
        assert!(rules.skip(Path::new("data"), true));
        assert!(!rules.skip(Path::new("app.js"), false));
    }

    #[test]
    fn a_line_that_is_no_pattern_is_named() {
        let error = rules("*.log\n\na{b\n", &[]).unwrap_err();
        assert!(matches!(&error, ReleaseError::Rule { line: 3, .. }), "{error}");
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(IGNORE_FILE), b"\xff\n").unwrap();
        assert!(matches!(Rules::read(dir.path(), &[]), Err(ReleaseError::RulesEncoding(_))));
    }

    #[test]
    fn the_rules_are_not_read_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("secret"), "a{b\n").unwrap();
        std::os::unix::fs::symlink("secret", dir.path().join(IGNORE_FILE)).unwrap();
        assert!(matches!(Rules::read(dir.path(), &[]), Err(ReleaseError::Io { .. })));
    }
}
