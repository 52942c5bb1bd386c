//! What a deploy does before there is a release: gets hold of what is to be shipped, builds it, and turns
//! its settings into those of a release.
//!
//! - [`check_out`] brings a folder, a commit or an archive into a folder: a [`Checkout`].
//! - [`run`] runs the lines of `[deploy]` there, each in the sight of whoever deploys.
//! - [`for_release`] says what the settings are once the folder is a release; pure.
//!
//! Root deploys, and a user wrote what is shipped: git with its hooks, tar, the build and every hook run as
//! the [`Owner`](crate::account::Owner) of the folder, not as root, unless it is root's.

mod archive;
mod build;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod git;
mod leftover;
mod log;
mod process;
mod settings;
mod source;

pub use build::{Facts, run};
pub use error::ShipError;
pub use leftover::end_leftovers;
pub use settings::{ForRelease, for_release, refuse_writable};
pub use source::{Checkout, Wanted, check_out, prepare};
