//! What a person or a script sees: text or one JSON value on standard output, failures and progress
//! on standard error.

use std::fmt::Display;
use std::io::Write;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use serde::Serialize;

use super::error::Failure;

/// What is printed on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// One JSON value, for scripts.
    Json,
}

/// Prints.
#[derive(Debug)]
pub(super) struct Printer {
    pub(super) format: Format,
    pub(super) quiet: bool,
}

/// Something is as it should be.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// Something is on its way.
pub(super) const BUSY: Style = AnsiColor::Yellow.on_default();
/// Something is wrong.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();

impl Printer {
    pub(super) fn new(format: Format, quiet: bool) -> Self {
        Self { format, quiet }
    }

    /// Prints the answer to what was asked. A reader that went away (`| head`) is no error.
    pub(super) fn answer(&self, value: &impl Serialize, text: impl Display) {
        let mut out = anstream::stdout();
        let _ = match self.format {
            Format::Text => writeln!(out, "{text}"),
            Format::Json => serde_json::to_writer(&mut out, value)
                .map_err(Into::into)
                .and_then(|()| writeln!(out)),
        };
    }

    /// Says what was done, unless asked to be quiet. On standard output, or on standard error where
    /// that is kept for JSON.
    pub(super) fn say(&self, text: impl Display) {
        let _ = match (self.quiet, self.format) {
            (true, _) => Ok(()),
            (false, Format::Text) => writeln!(anstream::stdout(), "{text}"),
            (false, Format::Json) => writeln!(anstream::stderr(), "{text}"),
        };
    }

    /// Tells what there is to know beside the answer, on standard error, unless asked to be quiet.
    pub(super) fn tell(&self, text: impl Display) {
        if !self.quiet {
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }
}

/// Prints a failure: one sentence, what was tried, a hint.
pub(super) fn failure(failure: &Failure) {
    let _ = writeln!(anstream::stderr(), "{}", render(failure));
}

/// A failure as text, with colours, which the stream strips where they are not wanted.
pub(super) fn render(diagnostic: &dyn Diagnostic) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode())
        .with_links(false)
        .with_wrap_lines(false)
        .with_show_related_as_nested(true);
    let mut text = String::new();
    match handler.render_report(&mut text, diagnostic) {
        Ok(()) => text.trim_end().to_owned(),
        Err(_) => diagnostic.to_string(),
    }
}

/// Text in a style.
pub(super) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}
