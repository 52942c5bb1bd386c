//! `romuoctl man` and `romuoctl completions`: both are made from the command line as clap knows it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap_complete::Shell;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};

use super::error::{Exit, Failure};
use crate::install;

/// The program that the shell completes, and asks.
const NAME: &str = "romuoctl";

/// The variable by which a shell asks, which has its name in it.
const COMPLETE: &str = "COMPLETE";

/// Prints the manual page of romuoctl, or writes that of each verb into a folder.
#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Write all pages into this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Man {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let written = if let Some(dir) = &self.dir {
            std::fs::create_dir_all(dir)
                .and_then(|()| clap_mangen::generate_to(super::command(), dir))
        } else {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(super::command()).render(&mut page);
            rendered.and_then(|()| print(&page))
        };
        let path = self.dir.unwrap_or_else(|| "standard output".into());
        written.map(|()| Exit::Done).map_err(|source| Failure::Write { path, source })
    }
}

impl Completions {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        // The script asks romuoctl itself: which apps there are it cannot know.
        let shells = Shells::builtins();
        let written = match shells.completer(&self.shell.to_string()) {
            Some(shell) => shell.write_registration(COMPLETE, NAME, NAME, NAME, &mut script),
            None => Err(io::ErrorKind::Unsupported.into()),
        };
        let path = "standard output".into();
        let printed = written.and_then(|()| print(&script));
        printed.map(|()| Exit::Done).map_err(|source| Failure::Write { path, source })
    }
}

/// Answers the shell that asks how a line could go on; whether it was a shell that has called.
pub(super) fn complete() -> clap::error::Result<bool> {
    let here = std::env::current_dir().ok();
    let shells = CompleteEnv::with_factory(super::command).var(COMPLETE);
    shells.try_complete(std::env::args_os(), here.as_deref())
}

/// The apps that are installed, for a shell.
pub(super) fn apps() -> Vec<CompletionCandidate> {
    let apps = install::installed_apps(Path::new("/")).unwrap_or_default();
    apps.iter().map(|app| CompletionCandidate::new(app.as_str())).collect()
}

/// Writes to standard output. A reader that went away (`| head`) is no error.
fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
