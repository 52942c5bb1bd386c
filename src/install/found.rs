//! What is there, below a root.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::layout::{CONFIG_FOLDER, below, config_path, unit_path, wants_folder};
use super::stamp::Written;
use crate::unit::{AppName, InstanceId};

/// Why the installed state could not be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot read {path}: {source}", path = path.display())]
#[diagnostic(help("installed configurations are for root only: try it with sudo"))]
pub struct ReadError {
    /// What was read.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    File {
        bytes: Vec<u8>,
        mode: u32,
    },
    /// A file, but not for the eyes of who asks.
    Unreadable,
    Link {
        target: PathBuf,
    },
    Other,
}

impl Found {
    /// Looks at `path` (of the machine) below `root`. Follows no link.
    pub(super) fn at(root: &Path, path: &Path) -> Result<Self, ReadError> {
        let real = below(root, path);
        let error = |source| ReadError { path: real.clone(), source };
        let meta = match fs::symlink_metadata(&real) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Self::Nothing);
            }
            meta => meta.map_err(error)?,
        };
        Ok(if meta.is_symlink() {
            Self::Link { target: fs::read_link(&real).map_err(error)? }
        } else if meta.is_file() {
            match fs::read(&real) {
                Err(e) if e.kind() == ErrorKind::PermissionDenied => Self::Unreadable,
                bytes => Self::File {
                    bytes: bytes.map_err(error)?,
                    mode: meta.permissions().mode() & 0o7777,
                },
            }
        } else {
            Self::Other
        })
    }

    /// Is this a link at `path` that leads to `target`? A relative one does too.
    pub(super) fn leads_to(&self, path: &Path, target: &Path) -> bool {
        let Self::Link { target: given } = self else { return false };
        let mut whole = path.parent().unwrap_or(path).to_path_buf();
        for part in given.components() {
            match part {
                std::path::Component::ParentDir => {
                    whole.pop();
                }
                std::path::Component::CurDir => {}
                // An absolute one starts anew.
                part => whole.push(part),
            }
        }
        whole == target
    }
}

/// Names in a folder (of the machine) below `root`; none where it is not there.
pub(super) fn names(root: &Path, folder: &Path) -> Result<BTreeSet<String>, ReadError> {
    let real = below(root, folder);
    let error = |source| ReadError { path: real.clone(), source };
    let entries = match fs::read_dir(&real) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries.map_err(error)?,
    };
    entries
        .map(|entry| Ok(entry.map_err(error)?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// The enabled instances of an app: the links that `systemctl enable` and romuo make.
///
/// # Errors
/// Where the folder cannot be read.
pub fn installed_instances(root: &Path, app: &AppName) -> Result<BTreeSet<InstanceId>, ReadError> {
    let names = names(root, &wants_folder(app))?;
    Ok(names.iter().filter_map(|name| app.instance_of(name)).collect())
}

/// The apps with an installed configuration.
///
/// # Errors
/// Where the folder cannot be read.
pub fn installed_apps(root: &Path) -> Result<BTreeSet<AppName>, ReadError> {
    let names = names(root, Path::new(CONFIG_FOLDER))?;
    Ok(names.iter().filter_map(|name| name.strip_suffix(".toml")?.parse().ok()).collect())
}

/// The ports that installed apps listen on, as their socket units say, which everybody may read.
///
/// # Errors
/// Where the folder cannot be read.
pub fn installed_ports(root: &Path) -> Result<BTreeMap<u16, AppName>, ReadError> {
    let mut ports = BTreeMap::new();
    for app in installed_apps(root)? {
        let Found::File { bytes, .. } = Found::at(root, &unit_path(&app.socket()))? else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        let listening = text.lines().filter_map(|line| line.strip_prefix("ListenStream="));
        // A path has no port.
        let found = listening.filter_map(|address| address.rsplit_once(':')?.1.parse().ok());
        ports.extend(found.map(|port| (port, app.clone())));
    }
    Ok(ports)
}

/// The file that the installed configuration of an app was made of; none: it is not known, or not for the eyes
/// of who asks.
#[must_use]
pub fn written(root: &Path, app: &AppName) -> Option<Written> {
    let Ok(Found::File { bytes, .. }) = Found::at(root, &config_path(app)) else { return None };
    Written::in_text(std::str::from_utf8(&bytes).ok()?)
}
