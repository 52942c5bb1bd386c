//! Everything together, on a real systemd: each test boots a machine of its own. Needs root.

mod boot;
mod crash;
mod docs;
mod install;
mod lifecycle;
mod look;
mod machine;
mod roll;
