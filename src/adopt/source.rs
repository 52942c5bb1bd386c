//! Reading a file of another manager, whatever its format.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use serde_json::Value;

use super::error::AdoptError;
use super::evaluate::evaluate;
use super::{port, shell};

/// Largest file that is read, in bytes: a thousand times what one needs.
const FILE_MAX: u64 = 1 << 20;

/// Deepest nesting of YAML that is read: an ecosystem has five levels.
const DEPTH_MAX: usize = 64;

/// What a file says.
#[derive(Debug)]
pub(super) enum Source {
    /// An ecosystem of PM2, and what to know of how it was read.
    Ecosystem(Value, Vec<String>),
    /// A Procfile, as its text.
    Procfile(String),
}

/// The formats, by the end of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    JavaScript,
    Json,
    Yaml,
    Procfile,
}

fn format(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_str()?;
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    match extension {
        _ if name == "Procfile" || name.starts_with("Procfile.") => Some(Format::Procfile),
        "js" | "cjs" | "mjs" => Some(Format::JavaScript),
        "json" | "json5" => Some(Format::Json),
        "yaml" | "yml" => Some(Format::Yaml),
        _ => None,
    }
}

/// Reads the file at `path` (absolute); JavaScript is evaluated by the Node on `search`.
pub(super) fn read(path: &Path, search: &OsStr) -> Result<Source, AdoptError> {
    let format = format(path).ok_or_else(|| AdoptError::Kind { path: path.into() })?;
    // Also where Node reads it itself: what is no readable file has one sentence.
    let text = text(path)?;
    let wrong = |reason: String| AdoptError::Syntax { path: path.into(), reason };
    Ok(match format {
        Format::Procfile => Source::Procfile(text),
        Format::JavaScript => {
            let mut evaluated = evaluate(path, search)?;
            // Node itself and packages ask for others, for colours and the like.
            for names in [&mut evaluated.environment, &mut evaluated.unset] {
                names.retain(|name| port::words(&text, name).next().is_some());
            }
            let left_out = shell::leave_out(&mut evaluated.value, &evaluated.shell);
            let notes = [
                shell::asked(&evaluated.environment),
                shell::unset(&evaluated.unset),
                shell::spread(&left_out),
            ];
            Source::Ecosystem(evaluated.value, notes.into_iter().flatten().collect())
        }
        Format::Json => match (json(&text), path.extension() == Some(OsStr::new("json"))) {
            (Ok(value), _) => Source::Ecosystem(value, Vec::new()),
            // Some have code in it, which PM2 runs; where that fails too, it is no JSON.
            (Err(why), true) => match evaluate(path, search) {
                Ok(evaluated) => Source::Ecosystem(evaluated.value, Vec::new()),
                Err(_) => return Err(wrong(why)),
            },
            (Err(why), false) => return Err(wrong(why)),
        },
        Format::Yaml => Source::Ecosystem(yaml(&text).map_err(wrong)?, Vec::new()),
    })
}

fn text(path: &Path) -> Result<String, AdoptError> {
    let failed = |source| AdoptError::Read { path: path.into(), source };
    // The open of a fifo would hang.
    if fs::metadata(path).map_err(failed)?.file_type().is_fifo() {
        return Err(AdoptError::Kind { path: path.into() });
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(AdoptError::TooLarge { path: path.into() });
    }
    let text = String::from_utf8(bytes);
    text.map(|text| text.trim_start_matches('\u{feff}').to_owned())
        .map_err(|_| AdoptError::Syntax { path: path.into(), reason: "it is not UTF-8".into() })
}

/// JSON as PM2 takes it: as JavaScript would, with comments, single quotes and names without any.
pub(super) fn json(text: &str) -> Result<Value, String> {
    // Both parsers go down one call a level: what is deeper than any configuration is no file for
    // them (their stack is this thread's).
    if nesting(text) > DEPTH_MAX {
        return Err(format!("it is nested more than {DEPTH_MAX} levels deep"));
    }
    json5::from_str(text).map_err(|error| error.to_string().replace('\n', " "))
}

/// YAML 1.2, one document.
pub(super) fn yaml(text: &str) -> Result<Value, String> {
    if nesting(text) > DEPTH_MAX {
        return Err(format!("it is nested more than {DEPTH_MAX} levels deep"));
    }
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

/// How deep brackets and braces lie in each other, as if none stood in a text.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for c in text.chars() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
