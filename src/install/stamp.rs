//! The stamp at the head of each written file: who wrote it, from what, how to change it, and a
//! hash of the rest that tells a hand edit.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::layout::config_path;
use crate::render::UnitFile;
use crate::unit::AppName;

/// How a stamp starts.
const WRITTEN_BY: &str = "# Written by `romuoctl install-units` from ";

/// What stands before the hash.
const HASH: &str = "# sha256 of what follows: ";

/// What stands before the file that an installed configuration was made of, and before the hash of what it said.
const READ_FROM: &str = "# Its settings were read from ";
const DIGEST: &str = ", sha256 ";

/// The file that somebody wrote, of which an installed configuration was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where it lies on the machine.
    pub path: PathBuf,
    /// The hash of the settings in it, as [`digest`] makes it.
    pub digest: String,
}

impl Written {
    /// What was read of the file at `path`, which says these settings. None: such a path does not go into one
    /// line.
    #[must_use]
    pub fn of(path: &Path, settings: &str) -> Option<Self> {
        let text = path.to_str()?;
        let is_plain = !text.contains(|c: char| c.is_control()) && !text.contains(DIGEST);
        is_plain.then(|| Self { path: path.to_path_buf(), digest: digest(settings) })
    }

    /// As the text of an installed configuration has it; none: it was made of something else.
    pub(super) fn in_text(text: &str) -> Option<Self> {
        let (stamp, _) = text.split_once(HASH)?;
        let line = stamp.lines().find_map(|line| line.strip_prefix(READ_FROM))?;
        let (path, digest) = line.rsplit_once(DIGEST)?;
        Some(Self { path: path.into(), digest: digest.into() })
    }
}

/// Who wrote a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// romuo, and it is as it was written.
    Ours,
    /// romuo, and someone changed it.
    HandEdited,
    /// Someone else.
    Foreign,
}

/// The text of a unit's file.
pub(super) fn unit(app: &AppName, unit: &UnitFile) -> String {
    let (from, name) = (config_path(app), &unit.name);
    stamped(
        &from.display().to_string(),
        &format!("An edit here would be lost. `systemctl edit {name}` makes a drop-in that stays."),
        &unit.text,
    )
}

/// The text of an installed environment, of the app in `directory`.
pub(super) fn environment(directory: &Path, text: &str) -> String {
    // A comment for systemd as well (systemd.exec(5), `EnvironmentFile=`).
    config(directory, text, None)
}

/// The text of an installed configuration, of the app in `directory`, and what it was made of.
pub(super) fn config(directory: &Path, text: &str, written: Option<&Written>) -> String {
    // Escaped, so that it stays in its line.
    let directory = directory.display().to_string();
    let mut advice =
        "An edit here would be lost. Edit that one, then run `romuoctl install-units` again."
            .to_owned();
    if let Some(Written { path, digest }) = written {
        let _ = write!(advice, "\n{READ_FROM}{}{DIGEST}{digest}", path.display());
    }
    stamped(&format!("the romuo.toml of the app in {}", directory.escape_debug()), &advice, text)
}

/// The text of the file with the identity of an installation.
pub(super) fn identity(app: &AppName, identity: &str) -> String {
    let advice =
        "It tells what this installation has below /var/lib/romuo from what another one has left.";
    stamped(&config_path(app).display().to_string(), advice, &format!("{identity}\n"))
}

/// What stands below the stamp; none: there is no stamp.
pub(super) fn body(text: &str) -> Option<&str> {
    Some(text.split_once(HASH)?.1.split_once("\n\n")?.1)
}

fn stamped(from: &str, advice: &str, text: &str) -> String {
    format!("{WRITTEN_BY}{from}.\n# {advice}\n{HASH}{}\n\n{text}", digest(text))
}

/// Who wrote the file with these bytes.
pub(super) fn origin(bytes: &[u8]) -> Origin {
    let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.starts_with(WRITTEN_BY))
    else {
        return Origin::Foreign;
    };
    let parts = text.split_once(HASH).and_then(|(_, rest)| rest.split_once("\n\n"));
    match parts {
        Some((stamp, rest)) if stamp == digest(rest) => Origin::Ours,
        _ => Origin::HandEdited,
    }
}

/// The hash of a text. That of settings is of TOML with every default in it: a comment more changes nothing.
#[must_use]
pub fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Bytes as text.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
