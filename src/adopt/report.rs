//! What became of each thing that a file said.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::options::Fate;

/// Longest value that is shown, in characters: enough to recognize it.
const SHOWN_MAX: usize = 40;

/// What became of one option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The option, as the file has it.
    pub option: String,
    /// Its value, shortened.
    pub value: String,
    /// What became of it.
    pub fate: Fate,
    /// The same in words: the key it became, or what to do instead.
    pub becomes: String,
}

impl Line {
    pub(super) fn new(
        option: impl Into<String>,
        value: &Value,
        fate: Fate,
        becomes: impl Into<String>,
    ) -> Self {
        Self { option: option.into(), value: shown(value), fate, becomes: becomes.into() }
    }
}

/// What became of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppReport {
    /// The name that it has in romuo.
    pub name: String,
    /// The file that was written, or would be.
    pub file: PathBuf,
    /// Each of its options.
    pub options: Vec<Line>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The file that was read.
    pub source: PathBuf,
    /// Its apps.
    pub apps: Vec<AppReport>,
    /// What it says beside its apps.
    pub others: Vec<Line>,
    /// What else there is to know of the whole of it.
    pub notes: Vec<String>,
}

/// A value on one short line. Values of variables may be secrets, so tables show only their names.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Object(fields) => {
            let names = fields.keys().map(String::as_str).collect::<Vec<_>>();
            format!("{{{}}}", names.join(", "))
        }
        other => other.to_string(),
    };
    let mut letters = text.chars();
    let mut short: String = letters.by_ref().take(SHOWN_MAX).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    short
}
