//! What stands in the way of a plan.

use std::path::PathBuf;

use super::found::ReadError;

/// Something that romuo must not overwrite or remove.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum Refusal {
    /// Another program or a person wrote it.
    #[error("{path} was not written by romuo", path = .0.display())]
    #[diagnostic(help("move it away, give the app another name, or overwrite it with --force"))]
    Foreign(PathBuf),
    /// It was changed since romuo wrote it.
    #[error("{path} was edited since romuo wrote it", path = .0.display())]
    #[diagnostic(help(
        "keep a change of a unit in a drop-in (`systemctl edit`), one of the configuration in the app's romuo.toml; \
         then use --force"
    ))]
    HandEdited(PathBuf),
    /// The administrator masked the unit.
    #[error("{path} is masked", path = .0.display())]
    #[diagnostic(help("`systemctl unmask` it first"))]
    Masked(PathBuf),
    /// A link that leads elsewhere.
    #[error("{path} is a link to {target}", path = path.display(), target = target.display())]
    #[diagnostic(help("remove the link first"))]
    Symlink {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A folder, a device, or a file where a link should be.
    #[error("{path} is in the way", path = .0.display())]
    #[diagnostic(help("move it away first"))]
    InTheWay(PathBuf),
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum PlanError {
    /// What is there cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Read(#[from] ReadError),
    /// Some of it is not romuo's.
    #[error("nothing was changed, because {} that romuo must not touch", match .0.len() {
        1 => "there is a file".to_owned(),
        many => format!("there are {many} files"),
    })]
    Refused(#[related] Vec<Refusal>),
}
