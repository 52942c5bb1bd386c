//! Apps with a package.json.

use std::path::Path;

use super::builders::{self, is_page};
use super::frameworks::{Framework, framework};
use super::packages::build;
use super::{Seen, Site, Sources, monorepo, start};
use crate::adopt::command::Made;
use crate::adopt::launcher;
use crate::program::Package;

/// Files that an app without a script may be entered by.
const ENTRIES: [&str; 12] = [
    "server.js",
    "index.js",
    "app.js",
    "main.js",
    "server.mjs",
    "index.mjs",
    "src/server.js",
    "src/index.js",
    "src/app.js",
    "src/main.js",
    "dist/index.js",
    "dist/main.js",
];

/// Words of commands that run another package of the folder.
const CHOOSES: [&str; 9] =
    ["--workspace", "-w", "--workspaces", "-ws", "workspace", "--filter", "turbo", "nx", "lerna"];

/// Programs that run a file of the app, in whose sources one can see whether it listens.
const RUNNERS: [&str; 6] = ["node", "tsx", "ts-node", "bun", "deno", "nodejs"];

/// Looks at a folder with a package.json; none: it has none, or one that starts nothing.
pub(super) fn look(directory: &Path) -> Option<Seen> {
    let package = Package::read(directory).ok()?;
    let framework = framework(directory, &package);
    let has_framework = !framework.package.is_empty();
    let may_be_entered = has_framework || !is_page(directory, &package);
    let by_file = || entry(directory, &package).filter(|_| may_be_entered);
    let mut seen = if framework.site.is_some() {
        exported(directory, &package, framework)
    } else if let Some((how, made)) = command(directory, &package, &framework) {
        app(directory, &package, framework, &how, made)
    } else if let Some((how, made)) = by_file() {
        let seen = app(directory, &package, framework, &how, made);
        Seen { is_weak: !has_framework, ..seen }
    } else {
        rest(directory, &package, framework)?
    };
    // What a folder of several packages starts itself is its own app.
    if seen.made.words.is_empty() || seen.made.words.iter().any(|word| CHOOSES.contains(&&**word)) {
        seen.notes.extend(monorepo::note(directory, &package));
    }
    Some(seen)
}

/// The site that a builder makes, or what a script with another name starts: what a framework serves is more than
/// what a builder makes for it.
fn rest(directory: &Path, package: &Package, framework: Framework) -> Option<Seen> {
    let other = start::other(directory, package);
    let is_served = !framework.package.is_empty() && other.is_some();
    site(directory, package).filter(|_| !is_served).or_else(|| {
        let (how, made) = other?;
        Some(app(directory, package, framework, &how, made))
    })
}

/// The folder of files that a framework builds.
fn exported(directory: &Path, package: &Package, framework: Framework) -> Seen {
    let root = framework.site.as_ref().map(|site| site.root.clone()).unwrap_or_default();
    let mut notes = framework.notes;
    let lines = build(directory, package, framework.line);
    notes.extend(unbuilt(directory, &root, &lines));
    Seen {
        name: package.name.clone(),
        what: format!("{} (package.json)", framework.kind),
        site: framework.site,
        build: lines,
        notes,
        is_weak: true,
        ..Seen::default()
    }
}

/// The folder of files that a builder makes.
fn site(directory: &Path, package: &Package) -> Option<Seen> {
    let built = builders::site(directory, package)?;
    let lines = build(directory, package, Some(&built.line));
    let note = unbuilt(directory, &built.root, &lines);
    Some(Seen {
        name: package.name.clone(),
        what: format!("a site that {} builds (package.json)", built.package),
        build: lines,
        notes: built.note.into_iter().chain(note).collect(),
        site: Some(Site { root: built.root, fallback: built.fallback }),
        is_weak: true,
        ..Seen::default()
    })
}

/// What is said of the folder of a site that is not there; the last of the lines that build it makes it.
fn unbuilt(directory: &Path, root: &str, build: &[String]) -> Option<String> {
    let line = build.last().filter(|_| !directory.join(root).is_dir())?;
    Some(format!("the folder {root} is not there yet: build the site first (`{line}`)"))
}

/// An app that `made` starts.
fn app(directory: &Path, package: &Package, framework: Framework, how: &str, made: Made) -> Seen {
    let sources = Sources::look(directory);
    let mut notes = framework.notes;
    // A framework with a server of its own looks at PORT; so may a package.
    if let (Some(port), false) = (sources.port, sources.asks) {
        notes.push(format!(
            "its sources listen on {port} and do not look at PORT: write \
             `process.env.PORT || {port}`, since each instance gets a port of its own"
        ));
    }
    let runs_file = made.words.first().is_some_and(|word| RUNNERS.contains(&&**word));
    if framework.package.is_empty() && runs_file {
        notes.extend(sources.serve_nothing());
    }
    if package.needs("socket.io") {
        notes.push(
            "socket.io begins with long polling, whose requests have to reach one and the same instance: \
             write `transports: [\"websocket\"]` in its client, or `instances = 1`"
                .into(),
        );
    }
    let mut lines = build(directory, package, framework.line);
    lines.extend(framework.build);
    Seen {
        build: lines,
        name: package.name.clone(),
        what: format!("{} (package.json), {how}", framework.kind),
        made: made.listening(),
        port: sources.port,
        memory: "512M",
        writable: framework.writable,
        notes,
        ..Seen::default()
    }
}

/// The command that a script of package.json is, or that the framework has.
fn command(directory: &Path, package: &Package, framework: &Framework) -> Option<(String, Made)> {
    let script = start::command(directory, package, &framework.replaces);
    let own = || {
        let own = framework.command.as_deref()?;
        let words = own.split(' ').map(str::to_owned).collect();
        Some((format!("started as its framework says: {own}"), Made { words, ..Made::default() }))
    };
    match script {
        Some((how, made)) => match launcher::of_pm2(&made.words) {
            Some(Ok(launched)) => Some((how, launched.over(made))),
            // The file says more than could be guessed here.
            Some(Err(_)) => entry(directory, package).or_else(own),
            None => Some((how, made)),
        },
        None => own(),
    }
}

/// The file that the app is entered by.
fn entry(directory: &Path, package: &Package) -> Option<(String, Made)> {
    let main = package.main.as_deref().map(|main| main.trim_start_matches("./"));
    let entries = main.into_iter().chain(ENTRIES);
    let entry = entries
        .filter(|entry| !entry.contains(char::is_control))
        .find(|entry| directory.join(entry).is_file())?;
    let words = vec!["node".into(), entry.into()];
    Some((format!("started by its file {entry}"), Made { words, ..Made::default() }))
}

/// Why a folder with a package.json is no app, where it has one.
pub(super) fn why_none(directory: &Path) -> Option<String> {
    if !directory.join("package.json").exists() {
        return None;
    }
    let package = match Package::read(directory) {
        Ok(package) => package,
        Err(error) => {
            let folder = format!("{}/", directory.display());
            let error = error.replacen(&folder, "", 1);
            let error = error.trim_start_matches("package.json: ");
            return Some(format!("package.json cannot be read: {error}"));
        }
    };
    if let Some(note) = monorepo::note(directory, &package) {
        return Some(note);
    }
    Some(match start::development(&package) {
        Some((script, text)) => format!(
            "package.json has a script `{script}` that is for development (`{text}`), and none that starts the \
             app on a server: write one, such as `\"start\": \"node FILE\"`"
        ),
        None => "package.json has no script `start`, and there is no file such as server.js or index.js \
                 that the app is entered by"
            .into(),
    })
}
