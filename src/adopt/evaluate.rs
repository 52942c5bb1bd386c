//! JavaScript, evaluated by the Node of this machine, as PM2 does it.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::error::AdoptError;
use crate::program::{self, ANSWER_MAX, Question};

/// What Node runs.
const SCRIPT: &str = include_str!("evaluate.mjs");

/// The exit code of a Node that does not know an option of its command line.
const BAD_OPTION: i32 = 9;

/// Most of an error that is shown, in lines: the place, the message and where it came from.
const ERROR_LINES: usize = 6;

/// What a file of JavaScript says.
#[derive(Debug, Deserialize)]
pub(super) struct Evaluated {
    /// What it exports, as JSON.
    pub(super) value: Value,
    /// The variables of the environment that it asked for.
    pub(super) environment: Vec<String>,
    /// Those that it asked for and that are not set.
    pub(super) unset: Vec<String>,
    /// The environment of the shell, where the file took all of it.
    pub(super) shell: BTreeMap<String, String>,
}

/// Evaluates the file at `path` (absolute), with `search` as `PATH`.
pub(super) fn evaluate(path: &Path, search: &OsStr) -> Result<Evaluated, AdoptError> {
    let directory = path.parent().unwrap_or(path);
    let node = program::lookup("node", directory, search)
        .ok_or_else(|| AdoptError::NoNode { path: path.into() })?;
    // Its output cannot have this line by chance.
    let mark = format!("romuo-{:016x}", RandomState::new().build_hasher().finish());
    let failed = |reason: String| AdoptError::Evaluate { path: path.into(), reason };

    // `export default` in a .js file is read by Node 22 as it is, by Node 20 with this option; an
    // older one does not know the option.
    for option in [Some("--experimental-detect-module"), None] {
        let script = ["--no-warnings", "--input-type=module", "--eval", SCRIPT, "--"];
        let words = option.into_iter().chain(script).map(OsStr::new);
        let words: Vec<_> = words.chain([path.as_os_str(), OsStr::new(&mark)]).collect();
        let question = Question {
            program: &node,
            arguments: &words,
            directory,
            search,
            decide: &[directory, path],
            limit: ANSWER_MAX,
        };
        let answer = question.ask().map_err(|error| failed(error.to_string()))?;
        let Some(answer) = answer else {
            return Err(failed(format!("it did not end within {} s", ANSWER_MAX.as_secs())));
        };
        if option.is_some() && answer.status.code() == Some(BAD_OPTION) {
            continue;
        }
        if let Some((_, said)) = answer.output.rsplit_once(&format!("\n{mark}\n")) {
            return serde_json::from_str(said).map_err(|error| failed(error.to_string()));
        }
        let said = answer.errors.split_once(&format!("{mark}\n")).map(|(_, stack)| stack);
        return Err(failed(match said {
            Some(stack) => first_lines(stack),
            None if answer.errors.trim().is_empty() => {
                format!("it ended node before it was read ({})", answer.status)
            }
            None => first_lines(&answer.errors),
        }));
    }
    Err(failed("this node knows none of the options it was given".into()))
}

/// The beginning of an error, less the frames that are Node's own.
fn first_lines(text: &str) -> String {
    let own = |line: &&str| !line.contains("node:internal") && !line.trim().is_empty();
    text.lines().filter(own).take(ERROR_LINES).collect::<Vec<_>>().join("\n")
}
