//! Taking over what is there: the configuration of another process manager, or a folder with an app
//! that has none.
//!
//! | what | files |
//! |---|---|
//! | a file -> JSON, whatever its format | `source.rs`, `evaluate.rs`, `shell.rs` |
//! | JSON -> the apps of PM2 -> drafts, and what became of each option | `ecosystem.rs`, `deploy.rs`, `hook.rs`, `pm2.rs`, `keys.rs`, `ports.rs`, `serve.rs`, `needs.rs`, `options.rs` |
//! | a Procfile -> drafts | `procfile.rs` |
//! | a folder -> a draft | `survey/`, `scan.rs`, `data.rs`, `named.rs`, `missing.rs` |
//! | a command that has PM2 start the app -> what PM2 would run | `launcher.rs` |
//! | a draft -> the text of a `romuo.toml` | `draft.rs` |

mod command;
mod data;
mod deploy;
mod draft;
mod ecosystem;
mod environment;
mod error;
mod evaluate;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod hook;
mod import;
mod keys;
mod launcher;
mod missing;
mod named;
mod needs;
mod options;
mod pm2;
mod port;
mod ports;
mod procfile;
mod report;
mod scan;
mod serve;
mod shell;
mod source;
mod survey;
mod values;
mod write;

pub use draft::Draft;
pub use error::AdoptError;
pub use import::{Import, Imported, import};
pub use options::{Fate, Known, OPTIONS, option, table};
pub use report::{AppReport, Line, Report};
pub use survey::{Survey, survey};
pub use write::write;

#[cfg(test)]
mod tests;
