//! What a program reads below a home, where a unit with `ProtectHome=` sees nothing
//! (systemd.exec(5)).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::homes::is_below_home;
use super::search::Place;

/// How many links are followed: as many as the kernel does (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// `path` without `.` and `..`, links not followed.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// `path`, and what it leads to link by link, where only its last part is a link. So the folder of
/// an app that is itself a link (`current`) keeps its name.
pub(super) fn hops(path: &Path) -> Vec<PathBuf> {
    let mut hops = vec![plain(path)];
    for _ in 0..LINKS_MAX {
        let last = &hops[hops.len() - 1];
        let Ok(target) = fs::read_link(last) else { break };
        // The way up from a folder that is a link leads elsewhere than its name says.
        let next = plain(&last.parent().unwrap_or(last).join(&target));
        let really = fs::canonicalize(last).ok();
        match really {
            Some(real) if fs::canonicalize(&next).ok().as_ref() == Some(&real) => hops.push(next),
            Some(real) => {
                hops.push(real);
                break;
            }
            None => break,
        }
    }
    hops
}

/// What of homes has to be visible so that each of `reads` can be read, outside of the app's
/// folder: the prefix of a runtime, else the file itself. No one lies within another.
pub(super) fn needed(reads: Vec<PathBuf>, place: &Place<'_>) -> Vec<PathBuf> {
    let own = [place.directory.to_owned(), real(place.directory)];
    let mut needed = BTreeSet::new();
    for path in reads {
        for hop in { hops(&path) }.into_iter().chain([real(&path)]) {
            if is_below_home(&hop) && !own.iter().any(|own| hop.starts_with(own)) {
                needed.insert(prefix(&hop));
            }
        }
    }
    let within = |path: &PathBuf| needed.iter().any(|one| path != one && path.starts_with(one));
    needed.iter().filter(|path| !within(path)).cloned().collect()
}

fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.into())
}

/// What belongs to the program `file`: the folder above its `bin` where that is a runtime with
/// libraries of its own, the `node_modules` that it lies in, else only itself.
fn prefix(file: &Path) -> PathBuf {
    let named = |name: &'static str| {
        file.ancestors().skip(1).filter(move |path| path.file_name().is_some_and(|n| n == name))
    };
    // Its programs find their libraries through links all over it.
    if let Some(brew) = named(".linuxbrew").last() {
        return brew.into();
    }
    if let Some(packages) = named("node_modules").last() {
        return packages.into();
    }
    let prefix = file.parent().filter(|parent| parent.ends_with("bin")).and_then(Path::parent);
    match prefix {
        Some(prefix) if !is_home(prefix) && holds_libraries(prefix) => prefix.into(),
        _ => file.into(),
    }
}

/// Whether a folder is somebody's own, with much that no app has to see: a home or its `.local`.
fn is_home(path: &Path) -> bool {
    let parts = path.components().count();
    path.ends_with(".local")
        || path == Path::new("/root")
        || path.starts_with("/home") && parts <= 3
        || path.starts_with("/run/user") && parts <= 4
}

fn holds_libraries(prefix: &Path) -> bool {
    ["lib", "lib64"].iter().any(|name| prefix.join(name).is_dir())
}

/// Sentences about arguments that name something below a home which the app would not see.
pub(super) fn hidden_arguments(command: &[String], place: &Place<'_>) -> Vec<String> {
    let paths = command.iter().skip(1).map(|word| {
        let value = word.split_once('=').map_or(&**word, |(_, value)| value);
        Path::new(value)
    });
    let hidden = paths
        .filter(|path| is_below_home(path) && !path.starts_with(place.directory) && path.exists());
    hidden
        .filter(|path| !command.iter().take(2).any(|word| Path::new(word) == *path))
        .map(|path| {
            let path = path.display();
            format!("{path} lies below a home: the app sees it if `readable` or `writable` has it")
        })
        .collect()
}
