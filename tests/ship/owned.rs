//! A folder of somebody, and what is done in it.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{getegid, geteuid};
use tempfile::TempDir;

use romuo::ship::{Checkout, ShipError, Wanted, check_out};

/// `nobody`, who is on every machine and owns nothing.
const NOBODY: (u32, u32) = (65534, 65534);

/// Who owns what is shipped: under root not root.
pub(crate) fn user() -> (u32, u32) {
    if geteuid().is_root() { NOBODY } else { (geteuid().as_raw(), getegid().as_raw()) }
}

/// A folder that everybody may go through, with one of the user in it.
pub(crate) struct Owned(TempDir);

impl Owned {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let owned = Self(dir);
        owned.may_pass(&owned.path(""));
        fs::create_dir(owned.path("home")).unwrap();
        fs::create_dir(owned.path("works")).unwrap();
        owned.may_pass(&owned.path("works"));
        owned.give(&owned.home());
        owned
    }

    fn may_pass(&self, path: &Path) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(path.starts_with(self.0.path()));
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub(crate) fn work(&self, name: &str) -> PathBuf {
        self.path("works").join(name)
    }

    /// Makes a path, with all that is below it, the user's.
    pub(crate) fn give(&self, path: &Path) {
        let (uid, gid) = user();
        let mut chown = Command::new("chown");
        chown.args(["-R", "-h", &format!("{uid}:{gid}")]).arg(path);
        assert!(chown.status().unwrap().success());
        assert!(path.starts_with(self.0.path()));
    }

    /// Writes a file of the user.
    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let file = self.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        self.give(&file);
        file
    }

    /// Runs a script of the shell in a folder, as the user; what it printed.
    pub(crate) fn sh(&self, folder: &str, script: &str) -> String {
        let mut command = Command::new("sh");
        if geteuid().is_root() {
            let (uid, gid) = user();
            command = Command::new("setpriv");
            command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
            command.args(["--clear-groups", "sh"]);
        }
        command.args(["-ec", script]).current_dir(self.path(folder)).env("HOME", self.home());
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "Al")
                .env(format!("GIT_{who}_EMAIL"), "al@example.org");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Checks out, and says what was told.
    pub(crate) async fn check_out(
        &self,
        wanted: Wanted,
        work: &str,
    ) -> Result<(Checkout, Vec<String>), ShipError> {
        let told = RefCell::new(Vec::new());
        let tell = |what: &str| told.borrow_mut().push(what.to_owned());
        let checkout = check_out(wanted, &self.work(work), tell).await?;
        Ok((checkout, told.into_inner()))
    }
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
pub(crate) fn is_the_users(path: &Path) {
    assert_eq!(path.symlink_metadata().unwrap().uid(), user().0, "{}", path.display());
}
