//! What a person or a script sees: text or one JSON value on standard output, failures and progress
//! on standard error.

use std::fmt::Display;
use std::io::Write;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use serde::Serialize;

use super::error::Failure;
use crate::text;

/// What is printed on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// One JSON value, for scripts.
    Json,
}

/// What further lines of one text begin with, so that they are not taken for another one.
pub(super) const BELOW: &str = "  ";

/// Prints.
#[derive(Debug, Clone)]
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
            Format::Text => writeln!(out, "{}", text::printed(&text.to_string())),
            Format::Json => serde_json::to_string(value)
                .map_err(Into::into)
                .and_then(|value| writeln!(out, "{}", text::json(&value))),
        };
    }

    /// Prints the answers for several, of which JSON is a list; the one answer alone is what it always was.
    pub(super) fn answer_each<T: Serialize + Display>(
        &self,
        all: &[T],
        of_several: impl Fn(&T) -> String,
    ) {
        match all {
            [one] => self.answer(one, one),
            many => {
                let texts: Vec<_> = many.iter().map(of_several).collect();
                self.answer(&many, texts.join("\n\n"));
            }
        }
    }

    /// Says what was done, unless asked to be quiet. On standard output, or on standard error where
    /// that is kept for JSON.
    pub(super) fn say(&self, text: impl Display) {
        let text = text.to_string();
        let text = text::printed(&text);
        let _ = match (self.quiet, self.format) {
            (true, _) => Ok(()),
            (false, Format::Text) => writeln!(anstream::stdout(), "{text}"),
            (false, Format::Json) => writeln!(anstream::stderr(), "{text}"),
        };
    }

    /// Tells what there is to know beside the answer, on standard error, unless asked to be quiet.
    pub(super) fn tell(&self, text: impl Display) {
        if !self.quiet {
            let _ = writeln!(anstream::stderr(), "{}", text::printed(&text.to_string()));
        }
    }

    /// Tells of something that is not as it should be, and may say several lines of others.
    pub(super) fn warn(&self, text: impl Display) {
        self.tell(format!("warning: {}", text::shown_below(&text.to_string(), BELOW)));
    }
}

/// Prints a failure: one sentence, what was tried, a hint.
pub(super) fn failure(failure: &Failure) {
    let _ = writeln!(anstream::stderr(), "{}", render(failure));
}

/// A failure as text, with colours, which the stream strips where they are not wanted. They come last:
/// until then nothing in it is a style, whoever said it.
pub(super) fn render(diagnostic: &dyn Diagnostic) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_links(false)
        .with_wrap_lines(false)
        .with_show_related_as_nested(true);
    let mut text = String::new();
    if handler.render_report(&mut text, diagnostic).is_err() {
        text = diagnostic.to_string();
    }
    let text = text::printed_plain(text.trim_end());
    text.split('\n').map(coloured).collect::<Vec<_>>().join("\n")
}

/// A line of a failure, with the sign that it begins with in its colour.
fn coloured(line: &str) -> String {
    let signs = [("×", BAD), ("⚠", BUSY), ("help:", AnsiColor::Cyan.on_default())];
    let begin = line.trim_start();
    match signs.iter().find(|(sign, _)| begin.starts_with(sign)) {
        Some((sign, style)) => line.replacen(sign, &styled(*style, sign), 1),
        None => line.to_owned(),
    }
}

/// Text in a style.
pub(super) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Several in one line.
pub(super) fn listed(all: &[impl Display]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
