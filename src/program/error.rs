//! Why a command cannot be run.

use std::path::PathBuf;

use miette::Diagnostic;

/// Why a command was not understood.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum ProgramError {
    /// There is no word in it.
    #[error("the command is empty")]
    #[diagnostic(help("write the program and its arguments: command = [\"node\", \"server.js\"]"))]
    Empty,
    /// No such program.
    #[error("there is no program `{word}`{}", looked(folders))]
    #[diagnostic(help("{}", missing_hint(word)))]
    Missing {
        /// The word of the command.
        word: String,
        /// Where it was looked for; none: it is a path.
        folders: Vec<PathBuf>,
    },
    /// A package of the app brings it, which is not installed.
    #[error(
        "package.json names `{word}`, and it is not installed: run `{install}` in the app's folder"
    )]
    #[diagnostic(help("`{install}`, as the owner of the folder; then try again"))]
    NotInstalled {
        /// The word of the command.
        word: String,
        /// What installs it.
        install: &'static str,
    },
    /// It would have to be looked up on a machine that is not this one.
    #[error("`{word}` cannot be looked up on the machine of another root")]
    #[diagnostic(help(
        "write the path that the program has there, and each argument as a word of its own: \
         command = [\"/usr/bin/node\", \"server.js\"]"
    ))]
    Elsewhere {
        /// The first word of the command.
        word: String,
    },
    /// It is there and cannot be executed.
    #[error("{} is not a program: it cannot be executed", path.display())]
    #[diagnostic(help("name its interpreter first, or `chmod +x` it"))]
    NotExecutable {
        /// The file.
        path: PathBuf,
    },
    /// The path is not UTF-8, so no unit can name it.
    #[error("the path {} is not plain UTF-8", path.display())]
    #[diagnostic(help("move the app to another folder"))]
    Encoding {
        /// The file.
        path: PathBuf,
    },
    /// The interpreter of a script is missing.
    #[error("{} wants to be run by `{interpreter}`, which is not there", script.display())]
    #[diagnostic(help("{}", missing_hint(interpreter)))]
    NoInterpreter {
        /// The script.
        script: PathBuf,
        /// What its first line says.
        interpreter: String,
    },
    /// `npm run X` without such a script.
    #[error("`{command}` runs the script `{script}`, which package.json does not have")]
    #[diagnostic(help("{}", scripts_hint(known)))]
    NoScript {
        /// The command.
        command: String,
        /// The script that it would run.
        script: String,
        /// The scripts that there are.
        known: Vec<String>,
    },
    /// package.json cannot be read.
    #[error("`{command}` needs package.json: {reason}")]
    #[diagnostic(help("is `directory` the folder of the app?"))]
    Package {
        /// The command.
        command: String,
        /// Why it cannot be read.
        reason: String,
    },
}

fn looked(folders: &[PathBuf]) -> String {
    match folders.len() {
        0 => String::new(),
        1 => format!(" in {}", folders[0].display()),
        count => format!(" in any of the {count} folders of PATH"),
    }
}

fn missing_hint(word: &str) -> String {
    if word.contains('/') {
        "is it built, and is the path right? Relative paths start at `directory`".into()
    } else if std::env::var_os("SUDO_USER").is_some() {
        format!(
            "sudo has a PATH of its own: try `sudo env \"PATH=$PATH\" romuoctl ...`, or write the \
             absolute path that `command -v {word}` prints"
        )
    } else {
        format!("write the absolute path that `command -v {word}` prints in your shell")
    }
}

fn scripts_hint(known: &[String]) -> String {
    if known.is_empty() {
        "it has no scripts at all; write the command itself".into()
    } else {
        format!("it has: {}", known.join(", "))
    }
}
