//! Folders that hold several packages: each of their apps is one of its own.

use std::path::Path;

use crate::program::Package;

/// Files that say that packages lie below.
const MARKS: [&str; 4] = ["pnpm-workspace.yaml", "turbo.json", "lerna.json", "nx.json"];

/// Folders in which the apps of such a folder mostly lie, and those that may be ones themselves.
const PLACES: [&str; 3] = ["apps", "packages", "."];

/// Names of scripts that make a package an app.
const STARTS: [&str; 3] = ["start", "start:prod", "dev"];

/// What is said of a folder that holds several packages; none: it is one.
pub(super) fn note(directory: &Path, package: &Package) -> Option<String> {
    let mark = MARKS.into_iter().find(|mark| directory.join(mark).is_file());
    // Without one of the others pnpm's file may only configure pnpm.
    let has_apps = || app(directory).is_some() || package.needs("turbo");
    let mark = match (package.has_workspaces, mark) {
        (true, _) => "workspaces in package.json",
        (false, Some(mark)) if has_apps() => mark,
        _ => return None,
    };
    let such = app(directory).map(|app| format!(", such as {app}")).unwrap_or_default();
    Some(format!(
        "this folder holds several packages ({mark}): run `romuoctl init` in the folder of the app that is to \
         run{such}"
    ))
}

/// The first folder with an app in it.
fn app(directory: &Path) -> Option<String> {
    PLACES.iter().find_map(|place| {
        let entries = std::fs::read_dir(directory.join(place)).ok()?;
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        let is_app = |name: &String| {
            let package = Package::read(&directory.join(place).join(name));
            let starts = |package: Package| STARTS.iter().any(|s| package.scripts.contains_key(*s));
            !name.contains(char::is_control) && package.is_ok_and(starts)
        };
        let name = names.into_iter().find(is_app)?;
        Some(if *place == "." { name } else { format!("{place}/{name}") })
    })
}
