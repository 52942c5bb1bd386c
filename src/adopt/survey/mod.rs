//! A folder -> a `romuo.toml` that works, and a sentence about what was found.

mod builders;
mod frameworks;
mod monorepo;
mod node;
mod others;
mod packages;
mod python;
mod ruby;
mod settings;
mod sources;
mod start;
mod why;
mod write;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use super::command::Made;
use super::draft::Draft;
use super::error::AdoptError;
use crate::config;
use crate::unit::AppName;
use sources::Sources;
use write::write;

/// What a folder holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// The configuration that was made of it.
    pub draft: Draft,
    /// What was found, as a sentence.
    pub found: String,
    /// What to know, and to do, before it runs.
    pub notes: Vec<String>,
}

/// An app as one of the languages sees it.
#[derive(Debug, Default)]
struct Seen {
    /// The name, as the manifest has it.
    name: Option<String>,
    /// "an Express app (package.json), started by its script `start`"
    what: String,
    made: Made,
    /// The port that it listens on when it is told none.
    port: Option<u16>,
    /// The limit of memory that such apps get by with.
    memory: &'static str,
    environment: Vec<(&'static str, &'static str)>,
    /// Folders that its framework writes to.
    writable: Vec<String>,
    /// Where its framework answers for its health.
    health: Option<&'static str>,
    site: Option<Site>,
    /// The lines that build it in a clean checkout.
    build: Vec<String>,
    notes: Vec<String>,
    /// Whether an app in another language that lies beside it is the one that is meant: it only makes pages, or
    /// is a file that may be for something else.
    is_weak: bool,
}

/// A folder of files.
#[derive(Debug)]
struct Site {
    root: String,
    fallback: Option<&'static str>,
}

/// Looks at the folder `directory` (absolute), with `search` as `PATH`. `taken` are the ports of apps that are
/// installed: one that says none gets another.
///
/// # Errors
/// Where nothing in it says what app it is.
pub fn survey(
    directory: &Path,
    search: &OsStr,
    taken: &BTreeMap<u16, AppName>,
) -> Result<Survey, AdoptError> {
    let seen = look(directory).ok_or_else(|| AdoptError::NothingFound {
        directory: directory.into(),
        reasons: why::reasons(directory),
    })?;
    let survey = write(seen, directory, search, taken);
    let path = directory.join("romuo.toml");
    config::parse(&survey.draft.to_toml(), &path).map_err(|error| AdoptError::Defect {
        path: directory.into(),
        reason: error.to_string(),
    })?;
    Ok(survey)
}

/// What looks at a folder, in the order that they are asked.
const LANGUAGES: [fn(&Path) -> Option<Seen>; 5] =
    [python::look, ruby::look, others::go, others::rust, others::php];

/// The app that a folder is. A package.json that only builds pages says less than an app in another language
/// beside it, and that more than a lone file.
fn look(directory: &Path) -> Option<Seen> {
    let node = node::look(directory);
    if node.as_ref().is_some_and(|node| !node.is_weak) {
        return node;
    }
    let mut weak = None;
    for language in LANGUAGES {
        match language(directory) {
            Some(seen) if seen.is_weak => weak = weak.or(Some(seen)),
            Some(mut seen) => {
                packages::add_pages(directory, &mut seen);
                return Some(seen);
            }
            None => {}
        }
    }
    node.or(weak).or_else(|| others::hugo(directory)).or_else(|| others::site(directory))
}
