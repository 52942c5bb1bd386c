//! The package manager of a Node app, and the line that it installs with.

use std::path::Path;

use super::package::Package;

/// Files that say which packages there are, each with the manager that made it.
const LOCKS: [(&str, &str); 6] = [
    ("pnpm-lock.yaml", "pnpm"),
    ("yarn.lock", "yarn"),
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
];

/// Managers that a package.json may name.
const NAMED: [&str; 4] = ["npm", "pnpm", "yarn", "bun"];

/// What installs where there is a lock file, and where there is none: most managers refuse to install from a lock
/// file that is not there.
const INSTALL: [(&str, &str, &str); 4] = [
    ("npm", "npm ci", "npm install"),
    ("pnpm", "pnpm install --frozen-lockfile", "pnpm install"),
    ("yarn", "yarn install --frozen-lockfile", "yarn install"),
    ("bun", "bun install --frozen-lockfile", "bun install"),
];

/// The package manager of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manager {
    /// Its name, which is its program.
    pub(crate) name: &'static str,
    install: &'static str,
}

impl Manager {
    /// The one that made the lock file in `directory`, else the one that package.json names, else npm, which comes
    /// with Node.
    pub(crate) fn of(directory: &Path) -> Self {
        let has = |name: &str| directory.join(name).is_file();
        let lock = LOCKS.iter().find(|(lock, _)| has(lock)).map(|(_, manager)| *manager);
        let workspace = || has("pnpm-workspace.yaml").then_some("pnpm");
        let name = lock.or_else(|| named(directory)).or_else(workspace).unwrap_or("npm");
        let lines = INSTALL.iter().find(|(manager, ..)| *manager == name);
        let (_, locked, unlocked) = lines.copied().unwrap_or(INSTALL[0]);
        let install = match lock {
            // Only versions after the first have this file, and another name for the option.
            Some("yarn") if has(".yarnrc.yml") => "yarn install --immutable",
            Some(_) => locked,
            None => unlocked,
        };
        Self { name, install }
    }

    /// The line that installs the packages of the app.
    pub(crate) fn install(self) -> &'static str {
        self.install
    }
}

/// The manager that the field `packageManager` names.
fn named(directory: &Path) -> Option<&'static str> {
    let named = Package::read(directory).ok()?.manager?;
    let name = named.split('@').next().unwrap_or_default();
    NAMED.into_iter().find(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_says_more_than_package_json_and_that_more_than_nothing() {
        let pnpm = r#"{"packageManager": "pnpm@9.0.0"}"#;
        for (files, name, install) in [
            (vec![], "npm", "npm install"),
            (vec![("package-lock.json", "{}")], "npm", "npm ci"),
            (vec![("package.json", pnpm)], "pnpm", "pnpm install"),
            (vec![("pnpm-workspace.yaml", "")], "pnpm", "pnpm install"),
            (vec![("package.json", r#"{"packageManager": "yarn@4.1.0"}"#)], "yarn", "yarn install"),
            (vec![("package.json", r#"{"packageManager": "bun@1"}"#)], "bun", "bun install"),
            (vec![("package.json", r#"{"packageManager": "x"}"#)], "npm", "npm install"),
            (
                vec![("package.json", pnpm), ("yarn.lock", ""), (".yarnrc.yml", "")],
                "yarn",
                "yarn install --immutable",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in &files {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
            let manager = Manager::of(folder.path());
            assert_eq!((manager.name, manager.install()), (name, install), "{files:?}");
        }
    }
}
