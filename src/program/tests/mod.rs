//! Commands in folders made for them, with the real Node and the real Python of this machine.

mod interpreters;
mod words;
mod wrappers;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Found, ProgramError, find};

/// The folder of an app.
struct App(TempDir);

impl App {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str, text: &str) -> &Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self
    }

    /// Written by a child: a file that this process has open for writing cannot be executed, and a
    /// fork of another test would keep it open for a moment (execve(2), ETXTBSY).
    fn program(&self, name: &str, text: &str) -> &Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let script = "printf %s \"$2\" > \"$1\" && chmod 755 \"$1\"";
        let mut shell = Command::new("sh");
        let status = shell.args(["-c", script, "sh"]).arg(&path).arg(text).status().unwrap();
        assert!(status.success());
        self
    }

    fn link(&self, name: &str, target: &str) -> &Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    /// An app with these scripts in its package.json.
    fn scripts(scripts: &[(&str, &str)]) -> Self {
        let app = Self::new();
        let scripts: serde_json::Map<_, _> =
            scripts.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        app.file("package.json", &serde_json::json!({ "scripts": scripts }).to_string());
        app
    }

    fn find(&self, command: &str) -> Result<Found, ProgramError> {
        let words: Vec<String> = command.split_whitespace().map(Into::into).collect();
        find(&words, self.path(), &search())
    }

    fn found(&self, command: &str) -> Found {
        self.find(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// The command that is found, with the app's folder as `APP`.
    fn command(&self, command: &str) -> String {
        let folder = self.path().to_str().unwrap();
        self.found(command).command.join(" ").replace(folder, "APP")
    }
}

fn search() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// The Node of this machine.
fn node() -> String {
    let folders = std::env::split_paths(&search()).collect::<Vec<PathBuf>>();
    let found = folders.iter().map(|folder| folder.join("node")).find(|path| path.exists());
    found.expect("the tests need node").to_str().unwrap().into()
}
