//! package.json, as far as it says what runs.

use std::collections::{BTreeMap, BTreeSet};
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
    /// The packages it needs to run and to be built, each with the versions that it takes.
    pub(crate) dependencies: BTreeMap<String, String>,
    /// Those of them that it needs to be built and tested only.
    pub(crate) development: BTreeSet<String>,
    /// The package manager that it names, such as `pnpm@9.0.0`.
    pub(crate) manager: Option<String>,
    /// Whether it says that packages of their own lie below it.
    pub(crate) has_workspaces: bool,
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
        let packages = |key: &str| {
            let version = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            object(key).map(|(name, value)| (name.clone(), version(value))).collect::<Vec<_>>()
        };
        let run = [packages("dependencies"), packages("optionalDependencies")].concat();
        let run: BTreeMap<_, _> = run.into_iter().collect();
        let built = packages("devDependencies");
        let is_extra = |name: &&String| !run.contains_key(*name);
        let development = built.iter().map(|(name, _)| name).filter(is_extra).cloned().collect();
        Self {
            name: text("name"),
            main: text("main"),
            scripts: scripts.collect(),
            development,
            manager: text("packageManager"),
            has_workspaces: manifest.get("workspaces").is_some(),
            dependencies: built.into_iter().chain(run).collect(),
        }
    }

    /// Whether it needs the package `name`.
    pub(crate) fn needs(&self, name: &str) -> bool {
        self.dependencies.contains_key(name)
    }

    /// Whether it needs the package `name` when it runs, and not only to be built.
    pub(crate) fn runs_with(&self, name: &str) -> bool {
        self.needs(name) && !self.development.contains(name)
    }

    /// The first number of the version that it takes of the package `name`: 2 of `^2.16.3`.
    pub(crate) fn major(&self, name: &str) -> Option<u32> {
        let version =
            self.dependencies.get(name)?.trim_start_matches(|c: char| !c.is_ascii_digit());
        let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
        version[..digits].parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_says_what_it_needs_and_what_for() {
        let package = Package::from_json(&serde_json::json!({
            "dependencies": { "nuxt": "^2.16.3", "x": 1 },
            "devDependencies": { "express": "~4.1", "nuxt": "3" },
            "packageManager": "pnpm@9.0.0",
            "workspaces": ["apps/*"],
        }));
        for (name, needs, runs, major) in [
            ("nuxt", true, true, Some(2)),
            ("express", true, false, Some(4)),
            ("x", true, true, None),
            ("koa", false, false, None),
        ] {
            let said = (package.needs(name), package.runs_with(name), package.major(name));
            assert_eq!(said, (needs, runs, major), "{name}");
        }
        assert_eq!(package.manager.as_deref(), Some("pnpm@9.0.0"));
        assert!(package.has_workspaces);
    }
}
