//! The lines that install the packages of a folder with a package.json, and build it.

use std::path::Path;

use super::Seen;
use crate::program::{Manager, Package};

/// Lines of other builds that take up what Node has built, so that it has to be there before.
const TAKES_PAGES: [&str; 3] = ["go build", "cargo build", "assets:precompile"];

/// The lines of a build: what installs, where there is something to install or to build, and what builds, which
/// is the script `build` or else the line that the builder has.
pub(super) fn build(directory: &Path, package: &Package, own: Option<&str>) -> Vec<String> {
    let Manager { name, .. } = Manager::of(directory);
    let script = package.scripts.contains_key("build").then(|| format!("{name} run build"));
    let builds = script.or_else(|| own.map(str::to_owned));
    if builds.is_none() && package.dependencies.is_empty() {
        return Vec::new();
    }
    let install = Manager::of(directory).install();
    [install.to_owned()].into_iter().chain(builds).collect()
}

/// Adds what builds the pages of an app in another language, whose folder has a package.json for them.
pub(super) fn add_pages(directory: &Path, seen: &mut Seen) {
    let Ok(package) = Package::read(directory) else { return };
    let needs_them = |line: &String| TAKES_PAGES.iter().any(|part| line.contains(part));
    let taken = seen.build.iter().position(needs_them);
    // Without a script `build` only Rails builds them, by its own task.
    let by_rails = taken.is_some_and(|at| seen.build[at].contains("assets:precompile"));
    if package.scripts.contains_key("build") || by_rails {
        let at = taken.unwrap_or(seen.build.len());
        seen.build.splice(at..at, build(directory, &package, None));
    }
}
