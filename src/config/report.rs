//! What was found wrong so far, and where in the file each value stands.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::NamedSource;

use super::error::{ConfigError, Problem, locate};
use super::value::ValueError;

/// How much of a refused value a message repeats, in characters.
const GIVEN_MAX: usize = 60;

/// Collects the problems of one file.
pub(super) struct Report<'a> {
    path: &'a Path,
    text: &'a str,
    /// Where each value stands, by its dotted key.
    places: BTreeMap<String, Range<usize>>,
    findings: Vec<Finding>,
}

/// One problem, not yet located.
struct Finding {
    key: Option<String>,
    place: Range<usize>,
    sentence: String,
    hint: Option<String>,
}

impl<'a> Report<'a> {
    /// No problems yet in the file at `path` that says `text`.
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, places: BTreeMap::new(), findings: Vec::new() }
    }

    /// Notes where the value of `key` stands.
    pub(super) fn place(&mut self, key: impl Into<String>, place: Range<usize>) {
        self.places.insert(key.into(), place);
    }

    /// The value of `key` is not what is allowed.
    pub(super) fn refuse(&mut self, key: &str, error: ValueError) {
        let place = self.places.get(key).cloned();
        let given = match place.clone().and_then(|place| self.text.get(place)) {
            Some(source) => excerpt(source),
            None => format!("{:?}", error.given),
        };
        let sentence = format!("`{key}` is {given}, not {}", error.expected);
        self.find(Some(key), place.unwrap_or_default(), sentence, error.hint);
    }

    /// Something is wrong with `key` itself, if the file has it.
    pub(super) fn complain_of(&mut self, key: &str, what: &str, hint: &str) {
        if let Some(place) = self.places.get(key).cloned() {
            self.complain(key, place, what, hint.into());
        }
    }

    /// Something is wrong with `key` itself, which stands at `place`.
    pub(super) fn complain(&mut self, key: &str, place: Range<usize>, what: &str, hint: String) {
        self.find(Some(key), place, format!("`{}` is {what}", excerpt(key)), Some(hint));
    }

    /// The text breaks the syntax at `place`.
    pub(super) fn syntax(&mut self, sentence: &str, place: Range<usize>) {
        self.find(None, place, sentence.into(), None);
    }

    fn find(
        &mut self,
        key: Option<&str>,
        place: Range<usize>,
        sentence: String,
        hint: Option<String>,
    ) {
        self.findings.push(Finding { key: key.map(Into::into), place, sentence, hint });
    }

    /// Ends a stage: an error with all problems, in the order of the file, where one was found.
    pub(super) fn check(mut self) -> Result<Self, ConfigError> {
        self.findings.sort_by_key(|finding| finding.place.start);
        let code = NamedSource::new(self.path.display().to_string(), Arc::from(self.text));
        let mut problems = self.findings.drain(..).map(|finding| {
            let (line, column) = locate(self.text, finding.place.start);
            Problem {
                path: self.path.into(),
                line,
                column,
                key: finding.key,
                sentence: finding.sentence,
                hint: finding.hint,
                code: code.clone(),
                place: finding.place.into(),
                others: Vec::new(),
            }
        });
        let Some(first) = problems.next() else {
            drop(problems);
            return Ok(self);
        };
        Err(ConfigError::Invalid(Box::new(Problem { others: problems.collect(), ..first })))
    }
}

/// The first line of what the file says, shortened, with control characters replaced.
fn excerpt(source: &str) -> String {
    let line = source.lines().next().unwrap_or_default();
    let shown = line.chars().take(GIVEN_MAX);
    let mut text: String = shown.map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if line.len() < source.len() || line.chars().count() > GIVEN_MAX {
        text.push_str("...");
    }
    text
}
