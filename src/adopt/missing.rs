//! A file that a command is to run and that is not there.

use std::path::Path;

use super::command::interpreter_of;
use crate::program::{Manager, Package};

/// Programs whose first argument is the file that they run.
const INTERPRETERS: [&str; 10] =
    ["node", "nodejs", "bun", "tsx", "ts-node", "python", "python3", "ruby", "perl", "bash"];

/// What Node adds to the name of a file.
const NODE_ENDS: [&str; 5] = ["", ".js", ".cjs", ".mjs", ".json"];

/// Ends of the names of files that are handed to a script.
const FILES: [&str; 5] = [".js", ".json", ".yaml", ".yml", ".toml"];

/// What is said of the file that `words` run in `directory`; none: it is there, or they name none.
pub(super) fn note(words: &[String], directory: &Path) -> Option<String> {
    let (first, rest) = words.split_first()?;
    let name = Path::new(first).file_name()?.to_str()?;
    // An option may have a value: what stands behind it need not be a file.
    let plain = |word: &&&String| word.starts_with("--") && word.contains('=');
    let file = rest.iter().find(|word| !plain(&word)).filter(|word| !word.starts_with('-'))?;
    let is_name = !file.contains(['{', ' ', ':']) && !matches!(&**file, "run" | "x" | "serve");
    if !INTERPRETERS.contains(&name) || !is_name {
        return None;
    }
    let more = rest.iter().skip_while(|word| word != &file).nth(1);
    let more =
        more.filter(|word| FILES.iter().any(|end| word.ends_with(end)) && !word.starts_with('-'));
    said(file, directory).or_else(|| said(more?, directory))
}

/// As [`note`], of a script.
pub(super) fn script(script: &str, directory: &Path) -> Option<String> {
    let is_file = script.contains('/') || interpreter_of(script).is_some();
    (is_file && !script.contains(' ')).then(|| said(script, directory)).flatten()
}

fn said(file: &str, directory: &Path) -> Option<String> {
    let path = directory.join(file);
    // What is in a folder that nobody may look into may be there.
    let is_there = |end: &str| {
        let mut name = path.clone().into_os_string();
        name.push(end);
        !matches!(Path::new(&name).try_exists(), Ok(false))
    };
    if NODE_ENDS.into_iter().any(is_there) {
        return None;
    }
    let builds =
        Package::read(directory).is_ok_and(|package| package.scripts.contains_key("build"));
    let shown = file.escape_debug();
    let what = match (builds, directory.is_dir()) {
        _ if Path::new(file).starts_with("..") => {
            return Some(format!("{shown} is not there, and lies outside of the app's folder"));
        }
        _ if Path::new(file).components().any(|part| part.as_os_str() == "node_modules") => {
            let install = Manager::of(directory).install();
            return Some(format!("{shown} is not there: `{install}` installs it"));
        }
        (true, _) => format!("build it first (`{} run build`)", Manager::of(directory).name),
        (false, true) => "is it built, and is its path right?".to_owned(),
        (false, false) => "its folder is not there either: is `directory` right?".to_owned(),
    };
    Some(format!("{shown} is not there: {what}"))
}
