//! Files that another program runs: what their first lines say.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// How much of a file is looked at, in bytes: more than any head of a script, and the whole of the
/// wrappers that package managers write.
const HEAD_MAX: u64 = 16 << 10;

/// The beginning of an ELF program (elf(5)).
const ELF: &[u8] = b"\x7fELF";

/// What the head of a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Head {
    /// A program of the machine.
    Binary,
    /// A script, and the words that run it: `["/usr/bin/env", "node"]` is `["node"]` here.
    Script(Vec<String>),
    /// A wrapper of pnpm or npm that runs this file with that interpreter.
    Wrapper { interpreter: String, target: PathBuf },
    /// Neither: a script without a first line, or data.
    Other,
}

/// Reads the head of the file at `path`; what cannot be read is taken for a program.
pub(super) fn head(path: &Path) -> Head {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_MAX).read_to_end(&mut bytes));
    if read.is_err() || bytes.starts_with(ELF) {
        return Head::Binary;
    }
    let text = String::from_utf8_lossy(&bytes);
    let folder = path.parent().unwrap_or(path);
    understand(&text, folder)
}

/// What a text says that lies in `folder`.
pub(super) fn understand(text: &str, folder: &Path) -> Head {
    let Some(first) = text.strip_prefix("#!").map(|rest| rest.lines().next().unwrap_or_default())
    else {
        return Head::Other;
    };
    let mut words: Vec<String> = first.split_whitespace().map(str::to_owned).collect();
    if is_shell(&words) {
        if let Some(python) = long_python(text) {
            return Head::Script(vec![python]);
        }
        if let Some((interpreter, target)) = package_wrapper(text, folder) {
            return Head::Wrapper { interpreter, target };
        }
    }
    if words.first().is_some_and(|word| word.ends_with("/env")) {
        words.remove(0);
        if words.first().is_some_and(|word| word == "-S") {
            words.remove(0);
        }
    }
    if words.is_empty() { Head::Other } else { Head::Script(words) }
}

fn is_shell(words: &[String]) -> bool {
    words.last().is_some_and(|word| matches!(word.rsplit('/').next(), Some("sh" | "bash")))
}

/// pip writes `#!/bin/sh` and `'''exec' "/long/path/python" "$0" "$@"` where the path of Python is
/// too long for a first line.
fn long_python(text: &str) -> Option<String> {
    let line = text.lines().nth(1)?.strip_prefix("'''exec' ")?.trim_start();
    let path = match line.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => line.split_whitespace().next()?,
    };
    path.starts_with('/').then(|| path.to_owned())
}

/// pnpm, and npm where it cannot link, write a shell script that ends in
/// `exec node "$basedir/../next/dist/bin/next" "$@"`.
fn package_wrapper(text: &str, folder: &Path) -> Option<(String, PathBuf)> {
    let line = text.lines().rev().find_map(|line| line.trim().strip_prefix("exec node "))?;
    let target = line.trim_start().strip_prefix("\"$basedir/")?.split('"').next()?;
    Some(("node".into(), folder.join(target)))
}

/// The text of a small file, as far as [`HEAD_MAX`]; none: it cannot be read, or is no file. The open of a
/// fifo would hang.
pub(super) fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    File::open(path).ok()?.take(HEAD_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Whether a script of the shell hands itself over to what it starts in the end.
pub(super) fn ends_in_exec(path: &Path) -> bool {
    let text = text(path);
    let said = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with('#');
    // The words after a `\` at the end of a line belong to it.
    let joined = text.unwrap_or_default().replace("\\\n", " ");
    joined.lines().rfind(said).is_some_and(|line| line.trim().starts_with("exec "))
}
