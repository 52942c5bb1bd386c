//! What an app writes: folders of uploads, files of SQLite.

use std::path::Path;

use super::draft::Draft;
use super::named::{self, SCHEMA};
use super::scan::{self, FILES_MAX};

/// What an app surely writes to.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// What `writable` is to name.
    pub(super) folders: Vec<String>,
    /// Databases beside its sources: they could be written to in no release.
    beside: Vec<String>,
    /// Databases that its sources would make there.
    coming: Vec<String>,
}

impl Writes {
    /// Writes `writable`, and notes what is to be done before.
    pub(super) fn write(self, draft: &mut Draft, notes: &mut Vec<String>) {
        notes.extend(self.note(notes));
        if !self.folders.is_empty() {
            draft.set("writable", self.folders, "The app can write nowhere else.");
        }
    }

    /// What is to be done about the databases that lie where they cannot stay and that `notes` do not name yet.
    pub(super) fn note(&self, notes: &[String]) -> Option<String> {
        let is_new = |name: &&String| !notes.iter().any(|note| note.contains(name.as_str()));
        let Some(name) = self.beside.iter().find(is_new) else {
            let name = self.coming.iter().find(is_new)?;
            let file = Path::new(name).file_name().and_then(|name| name.to_str()).unwrap_or(name);
            return Some(format!(
                "its database {name} would lie among the sources, where the app may not write and each release has \
                 one of its own: `mkdir -p data`, have the app keep it in data/{file}, and name that folder: \
                 `writable = [\"data\"]`"
            ));
        };
        Some(format!(
            "{name} lies beside the sources, where the app may not write and a release has none: `mkdir -p data && \
             mv {name}* data/`, have the app look there, and name that folder: `writable = [\"data\"]`"
        ))
    }
}

/// What of `directory` an app surely writes to: folders of uploads, files of SQLite (with what lies
/// beside them while they are written, so their folder).
pub(super) fn writes(directory: &Path) -> Writes {
    let (mut found, mut beside): (Vec<String>, Vec<String>) = Default::default();
    for name in ["uploads", "public/uploads", "storage", "data", "logs", "tmp/pids"] {
        let is_link = |path: &Path| path.symlink_metadata().is_ok_and(|m| m.is_symlink());
        let path = directory.join(name);
        if path.is_dir() && !is_link(&path) {
            found.push(name.to_owned());
        }
    }
    let database = |path: &Path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("sqlite" | "sqlite3" | "db"))
    };
    let mut databases = Vec::new();
    scan::walk(directory, 2, &mut { FILES_MAX }, &mut |path| {
        if database(path) {
            databases.push(path.to_owned());
        }
    });
    for file in databases {
        let Ok(file) = file.strip_prefix(directory) else { continue };
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let text = |path: &Path| {
            path.to_str().filter(|path| !path.contains(char::is_control)).map(str::to_owned)
        };
        match folder {
            Some(folder) if found.iter().any(|known| folder.starts_with(known)) => {}
            // What is writable is one for all releases, and a schema belongs to its release.
            Some(folder) if directory.join(folder).join(SCHEMA).is_file() => {
                beside.extend(text(file));
            }
            Some(folder) => found.extend(text(folder)),
            None => beside.extend(text(file)),
        }
    }
    let (named, mut coming) = named::look(directory);
    found.extend(named.into_iter().filter(|path| !found.contains(path)).collect::<Vec<_>>());
    let is_known = |path: &String| {
        beside.contains(path) || found.iter().any(|known| Path::new(path).starts_with(known))
    };
    coming.retain(|path| !is_known(path));
    Writes { folders: found, beside, coming }
}
