//! Why something cannot be shipped.

use std::io;
use std::path::{Path, PathBuf};

use crate::release::ReleaseError;

/// Why something cannot be shipped. Nothing of the app that runs was touched.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum ShipError {
    /// The system said no.
    #[error("cannot {doing} {}: {source}", path.display())]
    #[diagnostic(help("nothing of the app that runs was touched"))]
    Io {
        /// A verb: "read", "make", ...
        doing: &'static str,
        /// What with.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// A program that is needed cannot be started.
    #[error("cannot run {program}: {source}")]
    #[diagnostic(help(
        "it is needed to ship this: is it installed, and in the PATH of the user who owns the folder?"
    ))]
    Tool {
        /// Its name: "git".
        program: String,
        /// What the system said.
        source: io::Error,
    },

    /// git could not do something.
    #[error("git cannot {doing} in {}: {said}", folder.display())]
    #[diagnostic(help("{hint}"))]
    Git {
        /// What it was to do: "fetch".
        doing: &'static str,
        /// Where.
        folder: PathBuf,
        /// What it said.
        said: String,
        /// What to do.
        hint: &'static str,
    },

    /// There is no such commit.
    #[error("there is no commit `{reference}` in {}", folder.display())]
    #[diagnostic(help("`git branch --all` and `git tag` list the names that there are"))]
    Reference {
        /// What was asked for.
        reference: String,
        /// The repository.
        folder: PathBuf,
    },

    /// An archive of a kind that is not taken.
    #[error("{} is a zip archive, and only tar archives are taken", .0.display())]
    #[diagnostic(help("make it anew: tar --create --gzip --file app.tar.gz --directory FOLDER ."))]
    Zip(PathBuf),

    /// An archive that cannot be extracted.
    #[error("cannot extract {}: {said}", file.display())]
    #[diagnostic(help("{hint}"))]
    Archive {
        /// The archive.
        file: PathBuf,
        /// What is wrong with it.
        said: String,
        /// What to do.
        hint: &'static str,
    },

    /// A line of `[deploy]` failed.
    #[error("{step}: `{line}` {how}{}", shown(last))]
    #[diagnostic(help("all of its output is in {}", log.display()))]
    Line {
        /// The key of `[deploy]`: "build".
        step: &'static str,
        /// The line.
        line: String,
        /// How it ended: "exited with code 1 after 2.3 s".
        how: String,
        /// The last lines that it printed.
        last: Vec<String>,
        /// The file with all that it printed.
        log: PathBuf,
    },

    /// The app wants to write to where its release lies.
    #[error("`writable` has {}, which holds the app itself, and a release cannot be written to", .0.display())]
    #[diagnostic(help(
        "name the folders and files that the app writes to, such as writable = [\"uploads\"]; `install-units \
         --force` installs what is never deployed"
    ))]
    Writable(PathBuf),

    /// What is shipped cannot be copied for the build.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Copy(#[from] ReleaseError),

    /// The app does not run in what is shipped.
    #[error("`directory` is {}, which is not in the folder that is shipped, {}", directory.display(), folder.display())]
    #[diagnostic(help("leave `directory` out, or name a folder below that of romuo.toml"))]
    Elsewhere {
        /// Where it runs.
        directory: PathBuf,
        /// What is shipped.
        folder: PathBuf,
    },
}

impl ShipError {
    /// For `map_err`: what was tried.
    pub(super) fn io<E: Into<io::Error>>(
        doing: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(E) -> Self {
        move |error| Self::Io { doing, path: path.as_ref().into(), source: error.into() }
    }
}

fn shown(last: &[String]) -> String {
    if last.is_empty() {
        " and printed nothing".into()
    } else {
        let lines = last.iter().flat_map(|line| ["\n  ", line]);
        std::iter::once("; it printed last:").chain(lines).collect()
    }
}
