//! Looking into the sources of an app: where it answers for its health, what it writes.

use std::fs;
use std::path::{Path, PathBuf};

use super::draft::Draft;

/// How deep folders are looked into.
const DEPTH_MAX: usize = 5;

/// How many files are read: more than a service has sources, far less than a disk.
const FILES_MAX: usize = 2000;

/// Largest source that is read, in bytes.
const SOURCE_MAX: u64 = 256 << 10;

/// Folders that hold no sources of the app.
const FOREIGN: [&str; 14] = [
    "node_modules",
    "dist",
    "build",
    "vendor",
    "venv",
    "target",
    "__pycache__",
    "coverage",
    "test",
    "tests",
    "spec",
    "bower_components",
    "site-packages",
    "public",
];

/// Ends of the names of sources.
const SOURCES: [&str; 11] = ["js", "mjs", "cjs", "ts", "tsx", "jsx", "py", "rb", "php", "go", "rs"];

/// Paths that apps answer for their health on, the commonest first.
const HEALTH: [&str; 16] = [
    "/health",
    "/healthz",
    "/api/health",
    "/api/healthz",
    "/health-check",
    "/healthcheck",
    "/_health",
    "/api/v1/health",
    "/readyz",
    "/ready",
    "/livez",
    "/live",
    "/up",
    "/ping",
    "/api/ping",
    "/status",
];

/// Words of lines that ask another service instead of answering.
const ASKS: [&str; 7] = ["fetch(", "axios", "http://", "https://", "requests.", "curl", "import "];

/// Where an app answers for its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    /// On this path, which this file has.
    Found(&'static str, PathBuf),
    /// No source says so.
    Unknown,
}

impl Health {
    /// Writes `health.path`.
    pub(super) fn write(&self, draft: &mut Draft) {
        match self {
            Self::Found(path, file) => {
                let comment = format!("Found in {}.", file.display());
                draft.set("health.path", *path, comment);
            }
            Self::Unknown => draft.set(
                "health.path",
                "/",
                "Each instance is asked for this until it answers with 200 to 399. Better a path of \
                 its own, which answers fast and only when the app can work.",
            ),
        }
    }
}

/// Looks for a route in the sources below `directory`.
pub(super) fn health(directory: &Path) -> Health {
    let mut best: Option<(usize, PathBuf)> = None;
    for file in sources(directory) {
        let shown = file.strip_prefix(directory).unwrap_or(&file).to_owned();
        let found = route_of_file(&shown).or_else(|| route_in(&read(&file)?));
        if let Some(found) = found
            && best.as_ref().is_none_or(|(known, _)| found < *known)
        {
            best = Some((found, shown));
        }
    }
    best.map_or(Health::Unknown, |(at, file)| Health::Found(HEALTH[at], file))
}

/// Frameworks whose routes are files: `app/api/health/route.ts`, `pages/api/health.js`.
fn route_of_file(file: &Path) -> Option<usize> {
    let text = file.with_extension("");
    let text = text.to_str()?;
    let text = text.strip_prefix("src/").unwrap_or(text);
    let route = match text.strip_prefix("app/") {
        Some(rest) => rest.strip_suffix("/route").or_else(|| rest.strip_suffix("/+server"))?,
        None => text.strip_prefix("pages/")?,
    };
    HEALTH.iter().position(|known| known[1..] == *route)
}

/// The best route that a source has, as its place in [`HEALTH`].
fn route_in(text: &str) -> Option<usize> {
    let answers = |line: &&str| !ASKS.iter().any(|word| line.contains(word));
    let lines: Vec<&str> = text.lines().filter(answers).collect();
    HEALTH.iter().position(|path| {
        ["'", "\"", "`"].iter().any(|quote| {
            let literal = format!("{quote}{path}{quote}");
            lines.iter().any(|line| line.contains(&literal))
        })
    })
}

/// What an app surely writes to.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// What `writable` is to name.
    pub(super) folders: Vec<String>,
    /// Databases beside its sources: they could be written to in no release.
    beside: Vec<String>,
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
        let name = self.beside.iter().find(is_new)?;
        Some(format!(
            "{name} lies beside the sources, where the app may not write and a release has none: `mkdir -p data && \
             mv {name}* data/`, have the app look there, and name that folder: `writable = [\"data\"]`"
        ))
    }
}

/// What of `directory` an app surely writes to: folders of uploads, files of SQLite (with what lies
/// beside them while they are written, so their folder).
pub(super) fn writes(directory: &Path) -> Writes {
    let (mut found, mut beside) = (Vec::new(), Vec::new());
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
    walk(directory, 2, &mut { FILES_MAX }, &mut |path| {
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
            Some(folder) => found.extend(text(folder)),
            None => beside.extend(text(file)),
        }
    }
    Writes { folders: found, beside }
}

/// The sources below `directory`, in the order of their names.
pub(super) fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(directory, DEPTH_MAX, &mut { FILES_MAX }, &mut |path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension.is_some_and(|extension| SOURCES.contains(&extension)) {
            found.push(path.to_owned());
        }
    });
    found
}

/// Calls `each` for the files below `directory`, less what is hidden or foreign.
fn walk(directory: &Path, depth: usize, left: &mut usize, each: &mut dyn FnMut(&Path)) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or(".");
        // Links are not followed: they may lead in a circle.
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if name.starts_with('.') || *left == 0 {
            continue;
        }
        if metadata.is_dir() && depth > 1 && !FOREIGN.contains(&name) {
            walk(&path, depth - 1, left, each);
        } else if metadata.is_file() {
            *left -= 1;
            each(&path);
        }
    }
}

/// The text of a source; none: it is too large, or no text.
pub(super) fn read(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > SOURCE_MAX {
        return None;
    }
    fs::read_to_string(path).ok()
}
