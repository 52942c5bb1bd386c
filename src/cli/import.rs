//! `romuoctl import`.

use std::env;
use std::path::{self, Path, PathBuf};

use anstyle::Style;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::context::Context;
use super::error::{Exit, Failure};
use super::output::{BAD, BELOW, BUSY, Format, GOOD, Printer, styled};
use crate::adopt::{self, Fate, Import, Imported, Line, Report};
use crate::install;
use crate::text::{shown, shown_below};

/// Turns an ecosystem file of PM2 or a Procfile into `romuo.toml`, and lists what became of each of
/// its options. Several apps become several files, NAME.toml.
#[derive(Debug, clap::Args)]
pub(super) struct ImportFile {
    /// The file: .js, .cjs, .mjs (evaluated by node), .json, .yaml or a Procfile
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Take the variables of `env_NAME`; without it those of `env_production`
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// Write to this folder, and not to that of the file
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
    /// Print what would be written, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// What is printed for scripts.
#[derive(Serialize)]
struct Answer<'a> {
    written: bool,
    #[serde(flatten)]
    report: &'a Report,
    texts: Vec<&'a str>,
}

impl ImportFile {
    pub(super) fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("import")?;
        let absolute = |path: &Path| path::absolute(path).map_err(Failure::Runtime);
        let file: PathBuf = absolute(&self.file)?.components().collect();
        let output = match &self.output_dir {
            Some(output) => absolute(output)?.components().collect(),
            None => file.parent().unwrap_or(&file).to_owned(),
        };
        let search = env::var_os("PATH").unwrap_or_default();
        let taken = install::installed_ports(context.root()).unwrap_or_default();
        let env = self.env.as_deref();
        let import = Import { file: &file, output: &output, env, search: &search, taken: &taken };
        let imported = adopt::import(&import)?;
        if !self.dry_run {
            adopt::write(&imported.files, self.force)?;
        }
        self.show(&imported, printer);
        Ok(Exit::Done)
    }

    fn show(&self, imported: &Imported, printer: &Printer) {
        let Imported { files, report } = imported;
        let texts: Vec<_> = files.iter().map(|(_, text)| &**text).collect();
        match (printer.format, self.dry_run) {
            (Format::Text, false) => {}
            (Format::Text, true) => printer.answer(report, texts.join("\n").trim_end()),
            (Format::Json, _) => {
                return printer.answer(&Answer { written: !self.dry_run, report, texts }, "");
            }
        }
        let verb = if self.dry_run { "would become" } else { "became" };
        for app in &report.apps {
            printer.tell(format!("{} {verb} {}", app.name, app.file.display()));
            printer.tell(table(&app.options));
            notes(&app.notes, printer);
        }
        if !report.others.is_empty() {
            printer.tell(format!("beside the apps, {} has", report.source.display()));
            printer.tell(table(&report.others));
        }
        notes(&report.notes, printer);
        if !self.dry_run {
            let config = match files.as_slice() {
                [(file, _)] if file.ends_with("romuo.toml") => String::new(),
                [(file, _), ..] => format!(" --config {}", file.display()),
                [] => String::new(),
            };
            printer.tell(format!(
                "next: `pm2 stop` what holds the port, then `sudo romuoctl install-units{config} \
                 --now`; docs/pm2.md has more"
            ));
        }
    }
}

fn notes(notes: &[String], printer: &Printer) {
    for note in notes {
        printer.tell(format!("- {}", shown_below(note, BELOW)));
    }
}

/// Options and what became of them; as wide as the terminal, where there is one.
fn table(lines: &[Line]) -> Table {
    let mut table = Table::new();
    table
        .use_stderr()
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["option", "value", "", "what became of it"]);
    for Line { option, value, fate, becomes } in lines {
        let fate = styled(style(*fate), fate.as_str());
        table.add_row([&shown(option), &shown(value), fate.as_str(), &shown(becomes)]);
    }
    table
}

fn style(fate: Fate) -> Style {
    match fate {
        Fate::Done => GOOD,
        Fate::Differently => BUSY,
        Fate::Unsupported | Fate::Unknown => BAD,
    }
}
