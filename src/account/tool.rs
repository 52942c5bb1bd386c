//! Programs of the system, where the system has them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::SEARCH;

/// The path of a program of the system by its name: "systemctl", "git". It is searched where a user's programs
/// are, too ([`SEARCH`]): only root writes there, while the `PATH` of who calls as root may begin with a
/// folder of a user's, such as that of a version manager. Where it is in none of these folders, a user who
/// is not root may have it elsewhere, and gets the name, which is searched in the `PATH`; for root it is
/// not there.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    let folders: Vec<_> = SEARCH.split(':').map(Path::new).collect();
    found(name, &folders, geteuid().is_root())
}

fn found(name: &str, folders: &[&Path], is_root: bool) -> PathBuf {
    let runs = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    let mut all = folders.iter().map(|folder| folder.join(name));
    match all.find(runs) {
        Some(path) => path,
        None if is_root => Path::new("/usr/bin").join(name),
        None => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_the_system_is_found_without_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
        for (folder, mode) in [(&first, 0o644), (&second, 0o755)] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("tool"), "").unwrap();
            fs::set_permissions(folder.join("tool"), fs::Permissions::from_mode(mode)).unwrap();
        }
        let folders = [first.as_path(), second.as_path()];
        assert_eq!(found("tool", &folders, true), second.join("tool"), "the first is no program");
        assert_eq!(found("none", &folders, true), Path::new("/usr/bin/none"));
        assert_eq!(found("none", &folders, false), Path::new("none"));
        assert!(tool("sh").is_absolute());
    }
}
