//! Why something could not be done with the releases of an app.

use std::io;
use std::path::{Path, PathBuf};

use super::id::ReleaseId;
use crate::lock::Holder;

/// Why something could not be done with the releases of an app. Every release is as it was before.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The system said no.
    #[error("cannot {doing} {}: {source}", path.display())]
    #[diagnostic(help("{}", hint(source)))]
    Io {
        /// A verb: "read", "write", ...
        doing: &'static str,
        /// What with.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// What was to be staged is no folder.
    #[error("{} is not a folder", .0.display())]
    #[diagnostic(help("name the folder of the app: the one that its romuo.toml lies in"))]
    NoFolder(PathBuf),

    /// The releases lie in what was to be staged.
    #[error("cannot stage {}: the releases lie in it, in {}", folder.display(), store.display())]
    #[diagnostic(help("name the folder of the app: the one that its romuo.toml lies in"))]
    Inside {
        /// What was to be staged.
        folder: PathBuf,
        /// The folder of the releases.
        store: PathBuf,
    },

    /// What was to be staged is not the folder of who owns the app.
    #[error("cannot stage {}: it is of user {found}, and the app of user {user}", folder.display())]
    #[diagnostic(help("is there a link in its place? What belongs to others is not published"))]
    NotTheirs {
        /// What was to be staged.
        folder: PathBuf,
        /// The number of the user who owns the app.
        user: u32,
        /// That of the one who owns the folder.
        found: u32,
    },

    /// A line of the file of rules cannot be understood.
    #[error("{}:{line}: {reason}", path.display())]
    #[diagnostic(help("each line is a pattern as in .gitignore (gitignore(5))"))]
    Rule {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },

    /// The file of rules is not text.
    #[error("{} is not UTF-8", .0.display())]
    #[diagnostic(help("each line is a pattern as in .gitignore; save the file as UTF-8"))]
    RulesEncoding(PathBuf),

    /// There is no such release.
    #[error("there is no release {id} in {}", folder.display())]
    #[diagnostic(help("`romuoctl releases` lists those that are there"))]
    Unknown {
        /// The release.
        id: ReleaseId,
        /// Where it was looked for.
        folder: PathBuf,
    },

    /// There is such a release already.
    #[error("there is a release {id} already, and a release is never changed")]
    #[diagnostic(help("try it again: a new release gets a new id"))]
    Exists {
        /// The release.
        id: ReleaseId,
    },

    /// Another deploy is under way.
    #[error("{}", deploying(holder.as_ref()))]
    #[diagnostic(help("one deploy of an app at a time: try it again when that one is done"))]
    Taken {
        /// Who deploys; none where they have not said so yet.
        holder: Option<Holder>,
    },

    /// A link that romuo keeps is something else.
    #[error("{} should be a link to a release, and is {found}", path.display())]
    #[diagnostic(help("look at who made it, and remove it"))]
    NotALink {
        /// The link.
        path: PathBuf,
        /// What it is: "a file or folder", "a link to x".
        found: String,
    },

    /// The history is of a newer romuo.
    #[error("{} has version {found}, and this romuoctl knows {known}", path.display())]
    #[diagnostic(help("a newer romuoctl wrote it: use that one"))]
    HistoryNewer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest known.
        known: u32,
    },

    /// The history cannot be understood.
    #[error("{} cannot be understood: {source}", path.display())]
    #[diagnostic(help(
        "it is only the history, the releases are not in it: move it away, and a new one is begun"
    ))]
    HistoryBroken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },

    /// The history does not know a release.
    #[error("the history {} does not know a release {id}", path.display())]
    #[diagnostic(help("was the file moved away since the release was staged?"))]
    NotInHistory {
        /// The release.
        id: ReleaseId,
        /// The file.
        path: PathBuf,
    },
}

impl ReleaseError {
    /// For `map_err`: what was tried.
    pub(super) fn io<E: Into<io::Error>>(
        doing: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(E) -> Self {
        move |error| Self::Io { doing, path: path.as_ref().into(), source: error.into() }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "every release is as it was; make space, or keep fewer releases"
        }
        io::ErrorKind::TimedOut => "look at that process, end it if it hangs, and try again",
        io::ErrorKind::PermissionDenied => "releases belong to root: try it with sudo",
        _ => "every release is as it was",
    }
}

fn deploying(holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) => holder.to_string(),
        None => "another deploy of the app is under way".into(),
    }
}
