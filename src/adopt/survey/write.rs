//! What was seen -> the text of a `romuo.toml`, and what to know of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::why::IMPORTS;
use super::{Seen, Site, Survey};
use crate::account::Account;
use crate::adopt::command::Made;
use crate::adopt::data;
use crate::adopt::draft::{Draft, app_name};
use crate::adopt::environment::{in_env_file, is_short_line, port_of_file};
use crate::adopt::import::{FIRST_PORT, free};
use crate::adopt::missing;
use crate::adopt::scan;
use crate::program::{self, with_place};
use crate::unit::AppName;

/// The beginning of what is said where building it would be in vain.
pub(super) const CANNOT_RUN: &str = "it cannot run as it is";

/// Writes it.
pub(super) fn write(
    seen: Seen,
    directory: &Path,
    search: &OsStr,
    taken: &BTreeMap<u16, AppName>,
) -> Survey {
    let folder = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let named = seen.name.as_deref().and_then(app_name).or_else(|| app_name(folder));
    let mut draft = Draft::new(named.or_else(|| app_name("app")).unwrap_or_default());
    draft.say(format!("Made by `romuoctl init`, which found {}.", seen.what));
    draft.say("Every key is in docs/configuration.md.");
    let mut notes = seen.notes;
    notes.extend(seen.made.notes.clone());
    if let Some(file) = IMPORTS.iter().find(|file| directory.join(file).is_file()) {
        notes.push(format!("`romuoctl import {file}` takes over what {file} says of it"));
    }

    let is_site = seen.site.is_some();
    if let Some(Site { root, fallback }) = seen.site {
        draft.set("static.root", root, "romuo-server serves the files of this folder itself.");
        if let Some(fallback) = fallback {
            let comment = "What a browser gets for a page that is no file: the app in it goes on.";
            draft.set("static.fallback", fallback, comment);
        }
    } else {
        let comment = "What runs: `install-units` finds the programs, and says so. The app listens on \
                       the PORT that it is given; {port} and {host} stand for it here.";
        draft.set("command", seen.made.words.clone(), comment);
    }
    let wrapped = program::inside(&seen.made.words, directory, search);
    let in_script = wrapped.and_then(|(words, port)| port.or_else(|| with_place(&words)?.1));
    let said = seen.made.port.or(in_script);
    let said = said.or_else(|| port(&seen.made, seen.port, is_site, directory, &mut notes));
    let port = said.filter(|port| *port > 0).unwrap_or_else(|| {
        let port = free(&draft.name, taken, |_| false);
        if port != FIRST_PORT {
            notes.push(format!(
                "it says no port, and got {port}: those before it are of other apps"
            ));
        }
        port
    });
    let comment = format!(
        "Where the clients connect: this machine only, for a proxy in front. \"0.0.0.0:{port}\" is for \
         everyone."
    );
    draft.set("listen", format!("127.0.0.1:{port}"), comment);
    let comment =
        "With 2 one can crash or be restarted while the other serves; \"max\" is one a CPU.";
    match seen.made.instances.as_deref() {
        Some("max" | "0" | "-1") => draft.set("instances", "max", comment),
        said => {
            let count = said.and_then(|said| said.parse::<u16>().ok()).filter(|count| *count > 0);
            draft.set("instances", i64::from(count.unwrap_or(2)), comment);
        }
    }
    if !seen.build.is_empty() {
        let comment =
            "`romuoctl deploy` builds a release with these lines, as the owner of this folder.";
        draft.set("deploy.build", seen.build, comment);
    }
    if is_site {
        return Survey { draft, found: seen.what, notes };
    }
    if directory.join(".env").is_file() {
        draft.set("env_file", ".env", "Read at each start.");
    }
    write_writable(&mut draft, seen.writable, directory, &mut notes);
    for (name, value) in &seen.environment {
        draft.variable(name, value);
    }
    for (name, value) in &seen.made.environment {
        match &**name {
            "PORT" | "HOST" => {}
            "NODE_ENV" if is_short_line(value) => draft.set("env", value.as_str(), ""),
            _ => draft.variable(name, &value.replace('\0', "")),
        }
    }
    let comment = "For each instance, the app and all that it starts; one that passes it is killed and \
                   started again. A swap runs two of it for a moment.";
    draft.set("limits.memory", seen.memory, comment);
    match seen.health {
        Some(path) => draft.set("health.path", path, "Where its framework answers."),
        None => scan::health(directory).write(&mut draft),
    }
    if !notes.iter().any(|note| note.starts_with(CANNOT_RUN)) {
        notes.extend(missing::note(&seen.made.words, directory));
    }
    match program::find(&seen.made.words, directory, search) {
        Ok(found) => notes.extend(found.notes),
        Err(error) => notes.push(format!("it cannot run yet: {error}")),
    }
    Survey { draft, found: seen.what, notes }
}

/// The port that its clients know, where its command says none; none: nothing says one.
fn port(
    made: &Made,
    in_sources: Option<u16>,
    is_site: bool,
    directory: &Path,
    notes: &mut Vec<String>,
) -> Option<u16> {
    let in_script = made.environment.iter().find(|(name, _)| name == "PORT");
    let in_script = in_script.and_then(|(_, value)| value.parse().ok());
    let in_file = port_of_file(directory).filter(|_| in_script.is_none() && !is_site);
    notes.extend(in_file.map(in_env_file));
    in_script.or(in_file).or(in_sources)
}

/// Names the folders that it writes to.
fn write_writable(
    draft: &mut Draft,
    mut writable: Vec<String>,
    directory: &Path,
    notes: &mut Vec<String>,
) {
    let writes = data::writes(directory);
    notes.extend(writes.note(notes));
    for path in writes.folders {
        if !writable.iter().any(|known| Path::new(&path).starts_with(known)) {
            writable.push(path);
        }
    }
    if writable.is_empty() {
        let comment =
            "The app can write nowhere but to /tmp and its state folder, unless it is named:";
        draft.suggest("writable", vec!["uploads"], comment);
    } else {
        draft.set("writable", writable, "The app can write nowhere else in its folder.");
        if let Some(user) = owner(directory) {
            let comment =
                "As this folder's owner: a user of its own could not write to what that one has.";
            draft.set("user", user, comment);
        }
    }
}

/// The user who owns a folder, unless that is root.
fn owner(directory: &Path) -> Option<String> {
    let uid = std::fs::metadata(directory).ok()?.uid();
    if uid == 0 { None } else { Some(Account::of(uid)?.name) }
}
