//! Everything together, on a real systemd: each test boots a machine of its own. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod apps;
mod boot;
mod careful;
mod crash;
mod demo;
mod deploy;
mod docs;
mod errored;
mod escapes;
mod explain;
mod hostile;
mod inherit;
mod install;
mod lifecycle;
mod look;
mod machine;
mod matrix;
mod package;
mod ports;
mod reboot;
mod recycle;
mod rehearse;
mod release;
mod roll;
mod scale;
mod script;
mod several;
mod shop;
mod stopped;
mod strangers;
mod way_back;
