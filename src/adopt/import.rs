//! A file of another manager -> files of romuo, and a report of what became of each thing in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::deploy;
use super::draft::{Draft, app_name};
use super::ecosystem::take_apart;
use super::error::AdoptError;
use super::options::Fate;
use super::pm2::{self, Around, Mapped};
use super::procfile;
use super::report::{AppReport, Line, Report};
use super::source::{self, Source};
use crate::config;
use crate::unit::AppName;

/// The port that apps without one get, and those after it.
pub(super) const FIRST_PORT: u16 = 3000;

/// What to import.
#[derive(Debug, Clone, Copy)]
pub struct Import<'a> {
    /// The file, absolute.
    pub file: &'a Path,
    /// The folder that the new files go to, absolute.
    pub output: &'a Path,
    /// Which `env_NAME` to take; none: `env_production` where there is one.
    pub env: Option<&'a str>,
    /// The `PATH`.
    pub search: &'a OsStr,
    /// The ports of apps that are installed: one that says none gets another.
    pub taken: &'a BTreeMap<u16, AppName>,
}

/// What came of it; nothing is written yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Each new file, and its text.
    pub files: Vec<(PathBuf, String)>,
    /// What became of each option.
    pub report: Report,
}

/// Imports a file: reads it, and makes the texts of the new ones.
///
/// # Errors
/// Where the file cannot be read or has no app in it.
pub fn import(import: &Import<'_>) -> Result<Imported, AdoptError> {
    let (mapped, others, notes) = match source::read(import.file, import.search)? {
        Source::Ecosystem(value, notes) => {
            let (mapped, others) = map_ecosystem(value, import);
            (mapped, others, notes)
        }
        Source::Procfile(text) => procfile::map(&text, import),
    };
    if mapped.is_empty() {
        return Err(AdoptError::NoApp { path: import.file.into() });
    }
    finish(mapped, others, notes, import)
}

/// As [`import`], of an ecosystem that was read already.
pub(super) fn map_ecosystem(value: Value, import: &Import<'_>) -> (Vec<Mapped>, Vec<Line>) {
    let ecosystem = take_apart(value);
    let mut others = ecosystem.others;
    let homes = homes(&ecosystem.apps, import.file);
    let deploy = ecosystem.deploy.as_ref().map(|hosts| deploy::map(hosts, import.env, &homes));
    let around = Around {
        source: import.file,
        output: import.output,
        search: import.search,
        env: import.env,
        deploy: ecosystem.deploy.as_ref(),
    };
    let mut mapped = Vec::new();
    for app in &ecosystem.apps {
        match pm2::map(app, &around) {
            Some(mut app) => {
                if let Some(deploy) = &deploy {
                    deploy.write(&mut app.draft);
                }
                mapped.push(app);
            }
            None => others.push(Line::new(
                "apps",
                &Value::Object(app.clone()),
                Fate::Unsupported,
                "an app needs a `script`, which is a text on one line",
            )),
        }
    }
    others.extend(deploy.into_iter().flat_map(|deploy| deploy.lines));
    (mapped, others)
}

/// The folders in which the apps of a file live.
fn homes(apps: &[Map<String, Value>], file: &Path) -> BTreeSet<PathBuf> {
    let own = file.parent().map(Path::to_path_buf);
    let cwd = apps.iter().filter_map(|app| Some(PathBuf::from(app.get("cwd")?.as_str()?)));
    own.into_iter().chain(cwd.filter(|path| path.is_absolute())).collect()
}

/// Gives each app its file, its name and its port, and makes sure that each file is right.
pub(super) fn finish(
    mapped: Vec<Mapped>,
    others: Vec<Line>,
    notes: Vec<String>,
    import: &Import<'_>,
) -> Result<Imported, AdoptError> {
    let several = mapped.len() > 1;
    let mut names = BTreeSet::new();
    let mut ports: BTreeSet<u16> = mapped.iter().filter_map(|app| app.port).collect();
    let mut said = BTreeSet::new();
    let (mut files, mut apps) = (Vec::new(), Vec::new());
    let source = import.file.file_name().unwrap_or_default().to_string_lossy();
    for mut app in mapped {
        // 0 would be any: no socket unit can have it.
        app.port = app.port.filter(|port| *port > 0);
        rename(&mut app, &mut names);
        if let Some(port) = app.port.filter(|port| !said.insert(*port)) {
            app.notes.push(format!(
                "another app listens on port {port} too: only one of them can be installed with it"
            ));
        }
        listen(&mut app, &mut ports, import.taken);
        let name = app.draft.name.to_string();
        let file = if several { format!("{name}.toml") } else { "romuo.toml".into() };
        let path = import.output.join(&file);
        head(&mut app.draft, &source, &app.lines);
        let text = app.draft.to_toml();
        config::parse(&text, &path).map_err(|error| AdoptError::Defect {
            path: import.file.into(),
            reason: error.to_string(),
        })?;
        files.push((path.clone(), text));
        apps.push(AppReport { name, file: path, options: app.lines, notes: app.notes });
    }
    let report = Report { source: import.file.into(), apps, others, notes };
    Ok(Imported { files, report })
}

/// Two apps of one name: the second one is `NAME-2`.
fn rename(app: &mut Mapped, names: &mut BTreeSet<String>) {
    let first = app.draft.name.to_string();
    let mut count = 1_u32;
    while !names.insert(app.draft.name.to_string()) {
        count += 1;
        let suffix = format!("-{count}");
        // 31: the longest name of an app.
        let stem: String = first.chars().take(31 - suffix.len()).collect();
        app.draft.name = app_name(&format!("{stem}{suffix}")).unwrap_or_default();
    }
    if count > 1 {
        app.notes.push(format!("another app is called {first}, so this one is {}", app.draft.name));
    }
}

/// The address that the app's clients know: its port, on this machine only.
fn listen(app: &mut Mapped, ports: &mut BTreeSet<u16>, taken: &BTreeMap<u16, AppName>) {
    let host = app.host.unwrap_or(IpAddr::from([127, 0, 0, 1]));
    let (port, comment) = match app.port {
        Some(port) if host.is_unspecified() => (port, String::new()),
        Some(port) => {
            let all = SocketAddr::from(([0, 0, 0, 0], port));
            (port, format!("\"{all}\" is for clients of other machines, with no proxy in front."))
        }
        None => {
            let port = free(&app.draft.name, taken, |port| !ports.insert(port));
            let own = if app.takes_port { "" } else { ". The app itself has to listen on PORT" };
            app.notes.push(format!(
                "no port was found, so it listens on {port}: set `listen` to the one that its clients \
                 know{own}"
            ));
            (port, "No port was found: write the one that the clients know.".into())
        }
    };
    let host =
        if host.is_unspecified() && host.is_ipv6() { IpAddr::from([0_u16; 8]) } else { host };
    app.draft.set("listen", SocketAddr::new(host, port).to_string(), comment);
}

/// The first port that neither another app has nor `is_said`, for an app that says none.
pub(super) fn free(
    app: &AppName,
    taken: &BTreeMap<u16, AppName>,
    mut is_said: impl FnMut(u16) -> bool,
) -> u16 {
    let is_others = |port: &u16| taken.get(port).is_some_and(|other| other != app);
    let mut free = (FIRST_PORT..u16::MAX).filter(|port| !is_others(port));
    free.find(|port| !is_said(*port)).unwrap_or(FIRST_PORT)
}

/// What the person reads first.
fn head(draft: &mut Draft, source: &str, lines: &[Line]) {
    draft.say(format!(
        "Made by `romuoctl import {source}`. Next: `romuoctl install-units --dry-run`, then with --now."
    ));
    let lost = lines.iter().filter(|line| line.fate == Fate::Unsupported);
    let lost: Vec<_> = lost.map(|line| &*line.option).collect();
    if !lost.is_empty() {
        draft.say(format!("Not taken over, see docs/pm2.md: {}.", lost.join(", ")));
    }
}
