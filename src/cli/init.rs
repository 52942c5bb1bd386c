//! `romuoctl init`.

use std::env;
use std::path::{self, PathBuf};

use serde::Serialize;

use super::context::Context;
use super::error::{Exit, Failure};
use super::output::{BELOW, Format, Printer};
use crate::adopt::{self, AdoptError};
use crate::install;
use crate::text::shown_below;

/// Looks at the folder of an app and writes a commented `romuo.toml` that works.
#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// The folder
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Write over a romuo.toml that is there
    #[arg(long)]
    force: bool,
    /// Print it, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// What is printed for scripts.
#[derive(Serialize)]
struct Answer<'a> {
    file: &'a std::path::Path,
    written: bool,
    found: &'a str,
    notes: &'a [String],
    text: &'a str,
}

impl Init {
    pub(super) fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("init")?;
        let directory = path::absolute(&self.directory).map_err(Failure::Runtime)?;
        let directory = directory
            .canonicalize()
            .map(|_| directory.clone())
            .map_err(|source| AdoptError::Read { path: directory, source })?;
        // `.` would stay in what is shown.
        let directory: PathBuf = directory.components().collect();
        let search = env::var_os("PATH").unwrap_or_default();
        let taken = install::installed_ports(context.root()).unwrap_or_default();
        let survey = adopt::survey(&directory, &search, &taken)?;
        let text = survey.draft.to_toml();
        let file = directory.join("romuo.toml");
        if !self.dry_run {
            adopt::write(&[(file.clone(), text.clone())], self.force)?;
        }
        let answer = Answer {
            file: &file,
            written: !self.dry_run,
            found: &survey.found,
            notes: &survey.notes,
            text: &text,
        };
        match (printer.format, self.dry_run) {
            (Format::Json, _) => printer.answer(&answer, ""),
            (Format::Text, true) => printer.answer(&answer, text.trim_end()),
            (Format::Text, false) => {}
        }
        printer.tell(format!("found {}", shown_below(&survey.found, BELOW)));
        for note in &survey.notes {
            printer.tell(format!("- {}", shown_below(note, BELOW)));
        }
        if !self.dry_run {
            let next = "read it, then `romuoctl install-units --dry-run` shows what it comes to, and \
                        `sudo romuoctl install-units --now` starts it";
            printer.tell(format!("wrote {}: {next}", file.display()));
        }
        Ok(Exit::Done)
    }
}
