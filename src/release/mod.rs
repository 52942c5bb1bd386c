//! The releases of an app: staged in full or not at all, never changed afterwards, and kept until they
//! are neither new nor in use.
//!
//! - [`Store`] is the folder of one app; [`Store::stage`] copies a folder into it, cheaply.
//! - [`Rules`] say what of a folder is not staged, [`Additions`] what romuo puts in its place.
//! - Pins say which release each instance runs: [`Store::pin`], [`Store::pinned`], [`Store::current`].
//! - [`of_instance`] turns the settings of an app into those of an instance, by its pin.
//! - [`History`] remembers who shipped what, and what came of it.
//! - [`DeployLock`] lets one deploy of an app at a time.
//!
//! ```text
//! /var/lib/romuo/NAME/releases/ID/        a release: root's, nobody else may write
//!                     releases/ID/.romuo.toml     its settings, for root alone
//!                     releases/.ID.partial/   one that is being staged
//!                     instances/1         -> ../releases/ID
//!                     current             -> releases/ID
//!                     releases.json       the history
//!                     deploy.lock         who is deploying
//! ```
//!
//! Whatever kills a deploy, each release is whole: a name without a dot is given by one rename, after
//! everything below it is on the disk, and taken away by one rename before anything below it is.

mod additions;
mod copy;
mod error;
mod folders;
mod history;
mod id;
mod lock;
mod pins;
mod rules;
mod running;
mod stage;
mod store;
#[cfg(test)]
mod tests;
mod walk;
mod warning;
mod who;

pub use additions::{AddedFile, Additions};
pub use error::ReleaseError;
pub use history::{Entry, History, Source, Verdict};
pub use id::{Commit, ReleaseId};
pub use lock::{DeployLock, Holder};
pub use rules::{IGNORE_FILE, Rules, SETTINGS_FILE};
pub use running::{Contents, of_folder, of_instance};
pub use stage::Staged;
pub use store::Store;
pub use warning::Warning;
pub use who::login;
