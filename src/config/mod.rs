//! `romuo.toml` in three stages with three types: what the file says, what it says merged with the
//! defaults, and the validated [`Settings`] that the rest of romuo works with.

mod settings;
mod value;

pub use settings::{Health, Limits, Network, Reload, Settings, StaticSite};
pub use value::{Instances, Listen, Size, ValueError};
