//! package.json, as far as it says what runs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

/// Largest manifest that is read, in bytes.
const MANIFEST_MAX: u64 = 1 << 20;

/// What package.json says (package.json(5) of npm).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Package {
    /// The name, as it is written there.
    pub(crate) name: Option<String>,
    /// The file that the package is entered by.
    pub(crate) main: Option<String>,
    /// The scripts, by name.
    pub(crate) scripts: BTreeMap<String, String>,
    /// The names of the packages it needs to run and to be built.
    pub(crate) dependencies: Vec<String>,
}

impl Package {
    /// Reads that of `directory`; the error says why it cannot be read.
    pub(crate) fn read(directory: &Path) -> Result<Self, String> {
        let path = directory.join("package.json");
        // The open of a fifo would hang.
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(format!("{} is no file", path.display()));
        }
        let mut text = String::new();
        File::open(&path)
            .and_then(|file| file.take(MANIFEST_MAX).read_to_string(&mut text))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let manifest = serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self::from_json(&manifest))
    }

    /// What a manifest says; what has the wrong type counts as absent.
    pub(crate) fn from_json(manifest: &Value) -> Self {
        let text = |key: &str| manifest.get(key).and_then(Value::as_str).map(str::to_owned);
        let object = |key: &str| manifest.get(key).and_then(Value::as_object).into_iter().flatten();
        let scripts = object("scripts")
            .filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())));
        let dependencies = ["dependencies", "devDependencies", "optionalDependencies"];
        Self {
            name: text("name"),
            main: text("main"),
            scripts: scripts.collect(),
            dependencies: dependencies
                .iter()
                .flat_map(|key| object(key).map(|(name, _)| name.clone()))
                .collect(),
        }
    }

    /// Whether it needs the package `name`.
    pub(crate) fn needs(&self, name: &str) -> bool {
        self.dependencies.iter().any(|known| known == name)
    }
}
