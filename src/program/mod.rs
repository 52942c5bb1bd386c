//! Understanding a command: which program it is that will run, and what it needs of the machine.
//!
//! A unit knows nothing of the shell of the person who installs it: no `PATH` with nvm in it, no
//! activated venv, no `~/.bashrc`. So a command is resolved once, with that person's `PATH`, to
//! absolute paths; wrappers that would stand between systemd and the app are seen through where
//! package.json says what they run, and shims of version managers are asked for the
//! interpreter behind them.
//!
//! | step | file |
//! |---|---|
//! | `npm start`, `sh -c`, `env A=B`: the command inside | `wrapper.rs`, `package.rs`, `shell.rs` |
//! | a fixed port among the words -> `{port}` | `port.rs` |
//! | the first word -> a file | `search.rs` |
//! | a `#!` script -> its interpreter, by name | `script.rs` |
//! | a shim -> the interpreter behind it | `interpreter.rs`, `ask.rs` |
//! | the packages that are to be there | `manager.rs` |
//! | what of a home it reads | `homes.rs`, `runtime.rs` |

mod ask;
mod error;
mod homes;
mod interpreter;
mod manager;
mod package;
mod port;
mod runtime;
mod script;
mod search;
mod shell;
mod wrapper;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub use error::ProgramError;
pub use interpreter::Kind;
pub use port::with_port;

pub(crate) use ask::{ANSWER_MAX, Question};
pub(crate) use homes::{HOMES, is_below_home};
pub(crate) use manager::Manager;
pub(crate) use package::Package;
pub(crate) use port::with_place;
pub(crate) use shell::{Complex, read as read_shell};
pub(crate) use wrapper::assignments;

/// The folders with a program `name` that the app or the `PATH` has.
pub(crate) fn lookup(name: &str, directory: &Path, search: &OsStr) -> Option<PathBuf> {
    Place::new(directory, search).lookup(name)
}

/// The command that `command` wraps, and the port that a wrapper would have set, as far as that can be known
/// without its programs; none: it wraps none.
pub(crate) fn inside(
    command: &[String],
    directory: &Path,
    search: &OsStr,
) -> Option<(Vec<String>, Option<u16>)> {
    let inside = wrapper::unwrap(command, &Place::new(directory, search)).ok()?;
    inside.rewritten.then_some((inside.words, inside.port))
}

use interpreter::Interpreter;
use search::Place;

/// A command that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The program, absolute, and its arguments. Words may hold `{port}` and `{host}` where a
    /// script of package.json had `$PORT`, `$HOST` or a fixed port.
    pub command: Vec<String>,
    /// Variables that the wrappers would have set, less `PORT` and `HOST`, which are the front's.
    pub environment: BTreeMap<String, String>,
    /// Files and folders below a home (`ProtectHome=` in systemd.exec(5)), outside of the app's
    /// folder, that the program has to read.
    pub runtime: Vec<PathBuf>,
    /// Folders to put first in `PATH`: of the interpreter, and of what the app's packages bring.
    pub path: Vec<PathBuf>,
    /// The port that the wrapped command would have listened on.
    pub port: Option<u16>,
    /// Sentences for the person: what will run, and why; what cannot be known, and what it costs.
    pub notes: Vec<String>,
    /// What kind of program it is.
    pub kind: Kind,
    /// Whether it says READY=1 by itself (sd_notify(3)).
    pub notifies: bool,
}

/// Understands `command` as it would run in the folder `directory` (absolute) with `search` as
/// `PATH`.
///
/// # Errors
/// Where there is no such program, or it wraps a script that does not exist.
pub fn find(command: &[String], directory: &Path, search: &OsStr) -> Result<Found, ProgramError> {
    let place = Place::new(directory, search);
    let inside = wrapper::unwrap(command, &place)?;
    let mut notes = inside.notes;
    let (words, moved) = match with_port(&inside.words) {
        // What the person wrote stays as it is; what a script says has been rewritten anyway.
        Some((words, port)) if inside.rewritten => {
            notes.push(format!(
                "its fixed port {port} became {{port}}: each instance gets a port of its own"
            ));
            (words, Some(port))
        }
        Some((_, port)) => {
            notes.push(format!(
                "port {port} is fixed in the command, but in front mode the app has to listen on \
                 the port it is given: write {{port}} in its place"
            ));
            (inside.words, None)
        }
        None => (inside.words, None),
    };
    let (first, arguments) = words.split_first().ok_or(ProgramError::Empty)?;
    let file = place.find(first)?;
    let mut program = Interpreter::of(&file, first, &place)?;
    notes.append(&mut program.notes);

    let mut command = program.words;
    command.extend(arguments.iter().cloned());
    let plug_and_play = directory.join(".pnp.cjs");
    if program.kind == Kind::Node && plug_and_play.is_file() {
        // Yarn's packages lie in archives, which only this file can open.
        let loader = ["--require".into(), plug_and_play.display().to_string()];
        // An installed command has it already.
        if !command[1..].starts_with(&loader) {
            command.splice(1..1, loader);
        }
    }
    let mut environment = inside.environment;
    environment.extend(program.environment);
    let mut path = program.path;
    if inside.local_path {
        path.extend(place.package_folders());
    }
    path.dedup();
    notes.extend(runtime::hidden_arguments(&command, &place));
    Ok(Found {
        runtime: runtime::needed(program.reads, &place),
        notifies: program.kind == Kind::Python && notifies(&command),
        port: inside.port.or(moved),
        kind: program.kind,
        command,
        environment,
        path,
        notes,
    })
}

/// Whether a program says READY=1 by itself whenever there is a `NOTIFY_SOCKET` (sd_notify(3)):
/// gunicorn, the one common server of an app that does, in every version of today.
#[must_use]
pub fn notifies(command: &[String]) -> bool {
    match command {
        [program, ..] if Path::new(program).file_name().is_some_and(|name| name == "gunicorn") => {
            true
        }
        [_, script, ..] if Path::new(script).file_name().is_some_and(|name| name == "gunicorn") => {
            true
        }
        [_, option, module, ..] => option == "-m" && module == "gunicorn",
        _ => false,
    }
}

#[cfg(test)]
mod tests;
