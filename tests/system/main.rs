//! Everything together, on a real systemd: each test boots a machine of its own. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test, also outside of #[test]

mod boot;
mod crash;
mod docs;
mod install;
mod lifecycle;
mod look;
mod machine;
mod roll;
