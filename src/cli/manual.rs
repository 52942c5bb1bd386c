//! `romuoctl man` and `romuoctl completions`: both are made from the command line as clap knows it.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap_complete::Shell;

use super::error::{Exit, Failure};

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
        clap_complete::generate(self.shell, &mut super::command(), "romuoctl", &mut script);
        let path = "standard output".into();
        print(&script).map(|()| Exit::Done).map_err(|source| Failure::Write { path, source })
    }
}

/// Writes to standard output. A reader that went away (`| head`) is no error.
fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
