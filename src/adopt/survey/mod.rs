//! A folder -> a `romuo.toml` that works, and a sentence about what was found.

mod node;
mod others;
mod python;
mod ruby;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::command::Made;
use super::draft::{Draft, app_name};
use super::environment::is_short_line;
use super::error::AdoptError;
use super::import::{FIRST_PORT, free};
use super::port;
use super::scan;
use crate::account::Account;
use crate::config;
use crate::program;
use crate::unit::AppName;

/// What a folder holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// The configuration that was made of it.
    pub draft: Draft,
    /// What was found, as a sentence.
    pub found: String,
    /// What to know, and to do, before it runs.
    pub notes: Vec<String>,
}

/// An app as one of the languages sees it.
#[derive(Debug, Default)]
struct Seen {
    /// The name, as the manifest has it.
    name: Option<String>,
    /// "an Express app (package.json), started by its script `start`"
    what: String,
    made: Made,
    /// The port that it listens on when it is told none.
    port: Option<u16>,
    /// The limit of memory that such apps get by with.
    memory: &'static str,
    environment: Vec<(&'static str, &'static str)>,
    /// Folders that its framework writes to.
    writable: Vec<String>,
    /// Where its framework answers for its health.
    health: Option<&'static str>,
    site: Option<Site>,
    /// The lines that build it in a clean checkout.
    build: Vec<String>,
    notes: Vec<String>,
}

#[derive(Debug)]
struct Site {
    root: String,
    fallback: Option<&'static str>,
}

/// Looks at the folder `directory` (absolute), with `search` as `PATH`. `taken` are the ports of apps that are
/// installed: one that says none gets another.
///
/// # Errors
/// Where nothing in it says what app it is.
pub fn survey(
    directory: &Path,
    search: &OsStr,
    taken: &BTreeMap<u16, AppName>,
) -> Result<Survey, AdoptError> {
    let seen = node::look(directory)
        .or_else(|| python::look(directory))
        .or_else(|| ruby::look(directory))
        .or_else(|| others::look(directory))
        .ok_or_else(|| AdoptError::NothingFound { directory: directory.into() })?;
    let survey = write(seen, directory, search, taken);
    let path = directory.join("romuo.toml");
    config::parse(&survey.draft.to_toml(), &path).map_err(|error| AdoptError::Defect {
        path: directory.into(),
        reason: error.to_string(),
    })?;
    Ok(survey)
}

fn write(seen: Seen, directory: &Path, search: &OsStr, taken: &BTreeMap<u16, AppName>) -> Survey {
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
    let said = seen.made.port.or(seen.port).filter(|port| *port > 0);
    let port = said.unwrap_or_else(|| {
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
    draft.set("instances", 2, comment);
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
    let mut writable = seen.writable;
    let writes = scan::writes(directory);
    notes.extend(writes.note(&notes));
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
    match program::find(&seen.made.words, directory, search) {
        Ok(found) => notes.extend(found.notes),
        Err(error) => notes.push(format!("it cannot run yet: {error}")),
    }
    Survey { draft, found: seen.what, notes }
}

/// The user who owns a folder, unless that is root.
fn owner(directory: &Path) -> Option<String> {
    let uid = std::fs::metadata(directory).ok()?.uid();
    if uid == 0 { None } else { Some(Account::of(uid)?.name) }
}

/// What the sources say of where the app listens.
struct Sources {
    /// The port that they fall back to.
    port: Option<u16>,
    /// Whether they look at `PORT` at all.
    asks: bool,
    /// Whether one looks as if it served something; so does a folder without any.
    serve: bool,
}

impl Sources {
    /// Looks into all of them.
    fn look(directory: &Path) -> Self {
        let texts = scan::sources(directory);
        let said: Vec<_> =
            texts.iter().filter_map(|file| Some(port::said(&scan::read(file)?))).collect();
        let best = said.iter().filter_map(|said| said.port).min_by_key(|(place, _)| *place);
        Self {
            port: best.map(|(_, port)| port),
            asks: said.iter().any(|said| said.asks),
            serve: said.is_empty() || said.iter().any(|said| said.serves),
        }
    }

    /// What is said of a program that serves nothing; none: it may.
    fn serve_nothing(&self) -> Option<String> {
        (self.port.is_none() && !self.asks && !self.serve).then(|| {
            "nothing in its sources listens, and romuo would wait in vain for its health answer: a \
             program that serves no HTTP is a plain service of systemd"
                .into()
        })
    }
}

/// Files that `romuoctl import` takes.
const IMPORTS: [&str; 6] = [
    "ecosystem.config.js",
    "ecosystem.config.cjs",
    "ecosystem.config.mjs",
    "ecosystem.json",
    "ecosystem.yaml",
    "Procfile",
];
