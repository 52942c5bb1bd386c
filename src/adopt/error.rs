//! Why nothing could be adopted.

use std::io;
use std::path::PathBuf;

use miette::Diagnostic;

/// Why a configuration of another manager, or a folder, gave no `romuo.toml`.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum AdoptError {
    /// The file could not be read.
    #[error("{} could not be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than any of its kind.
    #[error("{} is larger than 1 MiB", path.display())]
    #[diagnostic(help("is this the right file?"))]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Its name does not say what it is.
    #[error("{} is no file that can be imported", path.display())]
    #[diagnostic(help(
        "it can be an ecosystem file of PM2 (.js, .cjs, .mjs, .json, .yaml) or a Procfile"
    ))]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be understood.
    #[error("{}: {reason}", path.display())]
    #[diagnostic(help("PM2 would not read it either; correct it, and try again"))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It is JavaScript, and there is no Node.
    #[error("{} is JavaScript, and there is no node to evaluate it with", path.display())]
    #[diagnostic(help(
        "where there is one, `node -p 'JSON.stringify(require(\"./{}\"))' > ecosystem.json` makes a \
         file of it that needs none", path.file_name().unwrap_or_default().display()
    ))]
    NoNode {
        /// The file.
        path: PathBuf,
    },
    /// It is JavaScript that failed.
    #[error("{} could not be evaluated: {reason}", path.display())]
    #[diagnostic(help("`node {}` shows the whole of it", path.display()))]
    Evaluate {
        /// The file.
        path: PathBuf,
        /// What Node said.
        reason: String,
    },
    /// There is no app in it.
    #[error("there is no app in {}", path.display())]
    #[diagnostic(help(
        "an ecosystem file has a list `apps`, each with a `script`; a Procfile has a line `web: ...`"
    ))]
    NoApp {
        /// The file.
        path: PathBuf,
    },
    /// The folder says nothing of an app.
    #[error("{} {}", directory.display(), nothing(reasons))]
    #[diagnostic(help("{}", nothing_hint(reasons)))]
    NothingFound {
        /// The folder.
        directory: PathBuf,
        /// What is there, and why it is not enough.
        reasons: Vec<String>,
    },
    /// There is such a file already.
    #[error("{} is there already", path.display())]
    #[diagnostic(help("--force writes over it; --dry-run prints the new one instead"))]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("could not write {}: {source}", path.display())]
    #[diagnostic(help("is the disk full, or the folder not writable for you?"))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was made of it is no configuration.
    #[error("what came of {} is no configuration: {reason}", path.display())]
    #[diagnostic(help("this is a defect of romuo; please report it"))]
    Defect {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

fn nothing(reasons: &[String]) -> String {
    match reasons {
        [] => "has nothing that says what app it is".into(),
        _ => format!("does not say what runs there: {}", reasons.join("; ")),
    }
}

fn nothing_hint(reasons: &[String]) -> &'static str {
    match reasons {
        [] => {
            "looked for: package.json, pyproject.toml, requirements.txt, *.py, Gemfile, config.ru, \
             go.mod, Cargo.toml, composer.json, index.php, index.html. Write romuo.toml by hand: \
             command = [\"PROGRAM\", \"ARGUMENT\"]"
        }
        _ => "or write romuo.toml by hand: command = [\"PROGRAM\", \"ARGUMENT\"]",
    }
}
