//! The releases of an app: staged in full or not at all, never changed afterwards, and kept until they
//! are neither new nor in use.
//!
//! - [`Store`] is the folder of one app; [`Store::stage`] copies a folder into it, cheaply.
//! - [`Rules`] say what of a folder is not staged, [`Additions`] what romuo puts in its place.
//! - Pins say which release each instance runs: [`Store::pin`], [`Store::pinned`], [`Store::current`].
//! - [`Trials`] say which release an instance runs at its next start, once.
//! - [`Place`] is what an instance runs, by its trial, its pin or its configuration.
//! - [`History`] remembers who shipped what, and what came of it.
//! - [`Request`] is what the roller is asked to bring the instances to.
//! - [`DeployLock`] lets one deploy of an app at a time.
//!
//! ```text
//! /var/lib/romuo/NAME/releases/ID/        a release: root's, nobody else may write
//!                     releases/ID/.romuo.toml its configuration, for root's eyes
//!                     releases/.ID.partial/   one that is being staged
//!                     base/.romuo.toml        the configuration from before the first release
//!                     instances/1         -> ../releases/ID
//!                     current             -> releases/ID
//!                     releases.json       the history
//!                     deploy.lock         who is deploying
//! /run/romuo/NAME.trial/1           -> /var/lib/romuo/NAME/releases/ID
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
mod installation;
mod lock;
mod look;
mod pins;
mod place;
mod request;
mod rules;
mod running;
mod stage;
mod store;
#[cfg(test)]
mod tests;
mod trial;
mod walk;
mod warning;

pub use additions::{AddedFile, Additions};
pub use error::ReleaseError;
pub use history::{Comes, Entry, History, Source, Verdict};
pub use id::{Commit, ReleaseId};
pub use lock::DeployLock;
pub use look::{size, touched_since};
pub use pins::Pin;
pub use place::Place;
pub use request::{Purpose, Request};
pub use rules::{IGNORE_FILE, Rules};
pub use running::{Contents, of_folder, runs_releases};
pub use stage::Staged;
pub use store::{CONFIG_FILE, CONFIG_MODE, Store};
pub use trial::Trials;
pub use warning::Warning;
