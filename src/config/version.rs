//! The version of an app, as its manifest has it.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use serde_json::Value as Json;
use toml::Table;

/// Largest manifest that is read, in bytes.
const MANIFEST_MAX: u64 = 1 << 20;

/// Longest version, in characters: it goes into health answers.
const VERSION_MAX: usize = 128;

/// Finds the version in the text of a manifest.
type VersionOf = fn(&str) -> Option<String>;

/// The version that the first of package.json, Cargo.toml and pyproject.toml in `directory` has.
/// What cannot be read or understood counts as absent: a version is nice to have.
#[must_use]
pub fn detect_version(directory: &Path) -> Option<String> {
    let manifests: [(&str, VersionOf); 3] =
        [("package.json", package), ("Cargo.toml", cargo), ("pyproject.toml", pyproject)];
    manifests.into_iter().find_map(|(name, version)| {
        version(&read(&directory.join(name))?).filter(|version| is_sound(version))
    })
}

/// Reads a regular file (the open of a fifo would hang) of a bounded size.
fn read(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > MANIFEST_MAX {
        return None;
    }
    let mut text = String::new();
    File::open(path).ok()?.take(MANIFEST_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

fn is_sound(version: &str) -> bool {
    let length = version.chars().count();
    (1..=VERSION_MAX).contains(&length) && !version.contains(char::is_control)
}

/// `version` of package.json(5) of npm.
fn package(text: &str) -> Option<String> {
    let manifest: Json = serde_json::from_str(text).ok()?;
    Some(manifest.get("version")?.as_str()?.into())
}

/// `package.version` of Cargo.toml, or that of the workspace which is in the same file.
fn cargo(text: &str) -> Option<String> {
    let manifest: Table = text.parse().ok()?;
    let own = |table: &Table| Some(table.get("package")?.get("version")?.as_str()?.to_owned());
    own(&manifest).or_else(|| own(manifest.get("workspace")?.as_table()?))
}

/// `project.version` of pyproject.toml (PEP 621), or that of Poetry before it.
fn pyproject(text: &str) -> Option<String> {
    let manifest: Table = text.parse().ok()?;
    let project = manifest.get("project").and_then(|project| project.get("version"));
    let poetry = || manifest.get("tool")?.get("poetry")?.get("version");
    Some(project.or_else(poetry)?.as_str()?.into())
}
