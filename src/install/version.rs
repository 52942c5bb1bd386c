//! Which systemd this machine has, where its manager cannot be asked.

use std::io;
use std::process::Command;

use crate::account::tool;

/// Why the version is not known.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum VersionError {
    /// systemctl is not there.
    #[error("cannot run `systemctl --version`: {0}")]
    #[diagnostic(help("romuo needs systemd; on Debian and Ubuntu: apt install systemd"))]
    Run(#[source] io::Error),
    /// It answers something else.
    #[error("cannot read a systemd version from {0:?}")]
    Parse(String),
}

/// The version of the installed systemd, from `systemctl --version`. The manager's `Version`
/// property is the better source where a manager runs: an upgrade may not have reached it yet.
///
/// # Errors
/// Where systemctl is missing or answers something else.
pub fn systemd_version() -> Result<u32, VersionError> {
    let output =
        Command::new(tool("systemctl")).arg("--version").output().map_err(VersionError::Run)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next().unwrap_or_default();
    first
        .strip_prefix("systemd ")
        .and_then(parse_version)
        .ok_or_else(|| VersionError::Parse(first.into()))
}

/// The number that a version starts with: 252 of `252.38-1~deb12u1`, 257 of `v257~rc1`.
#[must_use]
pub fn parse_version(text: &str) -> Option<u32> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}
