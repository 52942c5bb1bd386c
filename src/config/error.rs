//! What a person sees when the configuration cannot be used.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};

/// Why there are no settings.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("the configuration {} could not be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the read said.
        source: io::Error,
    },
    /// The file is larger than any configuration.
    #[error("the configuration {} is larger than 1 MiB", path.display())]
    #[diagnostic(help("is this the right file?"))]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not UTF-8.
    #[error("{}:{line}:{column}: the text is not UTF-8 from here on", path.display())]
    #[diagnostic(help("TOML is UTF-8; save the file in that encoding"))]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The line of the first bad byte, from 1.
        line: usize,
        /// Its column in characters, from 1.
        column: usize,
    },
    /// The file says something that is not possible.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Invalid(Box<Problem>),
}

impl ConfigError {
    /// The line of the first problem, from 1; none where it is about the file as a whole.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Encoding { line, .. } => Some(*line),
            Self::Invalid(problem) => Some(problem.line),
            Self::Read { .. } | Self::TooLarge { .. } => None,
        }
    }

    /// The column of the first problem in characters, from 1; none as with [`line`](Self::line).
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        match self {
            Self::Encoding { column, .. } => Some(*column),
            Self::Invalid(problem) => Some(problem.column),
            Self::Read { .. } | Self::TooLarge { .. } => None,
        }
    }

    /// The key of the first problem with its table: `limits.memory`; none where it has no key.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.problems().next()?.key()
    }

    /// Every problem of the file, in its order.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        let first = match self {
            Self::Invalid(problem) => Some(&**problem),
            _ => None,
        };
        first.into_iter().flat_map(|first| std::iter::once(first).chain(&first.others))
    }
}

/// One thing in the file that is not possible. The first one carries the others.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{}:{line}:{column}: {sentence}{}", path.display(), more(others.len()))]
pub struct Problem {
    pub(super) path: PathBuf,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) key: Option<String>,
    pub(super) sentence: String,
    #[help]
    pub(super) hint: Option<String>,
    #[source_code]
    pub(super) code: NamedSource<Arc<str>>,
    #[label("here")]
    pub(super) place: SourceSpan,
    #[related]
    pub(super) others: Vec<Problem>,
}

impl Problem {
    /// Its line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// Its column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// The key with its table: `limits.memory`; none where the syntax is broken.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// What to write instead, where that can be told.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// What the first problem says about the others.
fn more(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => " (and 1 more problem)".into(),
        _ => format!(" (and {others} more problems)"),
    }
}

/// Line and column of the byte `offset`, both from 1, the column in characters.
pub(super) fn locate(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
