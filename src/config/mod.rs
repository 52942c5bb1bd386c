//! `romuo.toml` in three stages with three types.
//!
//! | stage | type | holds |
//! |---|---|---|
//! | what the file says | `File` | typed values, every key optional; unknown keys and wrong types are refused |
//! | merged | `Merged` | the file over the defaults; absolute paths |
//! | validated | [`Settings`] | only what is possible |
//!
//! Each stage reports all of its problems at once, each with its place in the file and a hint.
//!
//! A new key is a field and a line in `File` (what it is called, what it is for), a field and a
//! default in [`Settings`], a line in `merge` and one in `write`; in `validate` only if some of its
//! values are not possible. Unknown keys, their hints and the JSON schema follow from that. Run the
//! tests with `UPDATE_GENERATED=1` to write the schema anew.

mod deploy;
mod duration;
mod error;
mod file;
mod keys;
mod listen;
mod merge;
mod reader;
mod report;
mod retry;
mod schema;
mod settings;
mod share;
mod subnet;
mod threshold;
mod typed;
mod validate;
mod value;
mod version;
mod write;

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{self, Path};

pub use deploy::Deploy;
pub use duration::{format_duration, parse_duration};
pub use error::{ConfigError, Problem};
pub use listen::Listen;
pub use retry::Retry;
pub use schema::schema;
pub use settings::{
    Front, Health, Limits, Method, Mode, Network, OnFailure, Program, Reload, Settings, StaticSite,
};
pub use share::Share;
pub use subnet::Subnet;
pub use threshold::Threshold;
pub use value::{Instances, Size, ValueError};
pub use version::detect_version;
pub use write::to_toml;

pub(crate) use merge::resolve;
pub(crate) use validate::{is_reserved, is_variable_name};

use rustix::fs::OFlags;

use file::File;
use merge::Merged;

/// Largest configuration file that is read, in bytes: a thousand times what one needs.
const FILE_MAX: u64 = 1 << 20;

/// Reads the configuration file at `path`.
///
/// # Errors
/// Where the file cannot be read, is larger than 1 MiB, or says something that is not possible. It is never
/// waited for: a pipe in the place of the file would let whoever put it there hold up root.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    read(open(path, OFlags::empty())?, path)
}

/// The same of a file that somebody else decides on: not through a link, since an error shows lines of
/// what is read.
///
/// # Errors
/// As [`load`].
pub fn load_guarded(path: &Path) -> Result<Settings, ConfigError> {
    read(open(path, OFlags::NOFOLLOW)?, path)
}

/// Opens what is a file, and nothing that one might wait for.
fn open(path: &Path, flags: OFlags) -> Result<fs::File, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.into(), source };
    let flags = (flags | OFlags::NONBLOCK).bits().cast_signed();
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let kind = file.metadata().map_err(failed)?.file_type();
    // A folder has an error of its own when it is read.
    if kind.is_file() || kind.is_dir() {
        return Ok(file);
    }
    Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")))
}

fn read(file: fs::File, path: &Path) -> Result<Settings, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.into(), source };
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(ConfigError::TooLarge { path: path.into() });
    }
    let text = str::from_utf8(&bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let (line, column) = error::locate(&valid, valid.len());
        ConfigError::Encoding { path: path.into(), line, column }
    })?;
    parse(text, path)
}

/// Reads a configuration from its text. `path` names the file in messages, and its folder is where
/// relative paths start and the default of `directory`.
///
/// # Errors
/// Where the text says something that is not possible, or `path` is relative and there is no
/// working directory.
pub fn parse(text: &str, path: &Path) -> Result<Settings, ConfigError> {
    let full =
        path::absolute(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
    let folder = full.parent().unwrap_or(&full);

    let (file, report) = File::parse(text, path)?;
    Merged::new(file, folder).validate(report)
}

#[cfg(test)]
mod tests;
