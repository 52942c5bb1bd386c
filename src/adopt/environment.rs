//! The environment of an app of PM2: which variables it gets, and which of them are keys here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use serde_json::{Map, Value};

use super::scan;
use super::values::{port, scalar};
use crate::config::{is_reserved, is_variable_name};

/// Longest text that keys such as `env` take, in characters.
const TEXT_MAX: usize = 128;

/// The beginning of the names that PM2's own server of static files takes its options from.
pub(super) const SERVE: &str = "PM2_SERVE_";

/// Parts of names whose values are mostly secret.
const SECRETS: [&str; 6] = ["SECRET", "PASSWORD", "PASSWD", "TOKEN", "API_KEY", "PRIVATE"];

/// The variables of an app, sorted out.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// Those that stay variables.
    pub(super) variables: BTreeMap<String, String>,
    /// `PORT`.
    pub(super) port: Option<u16>,
    /// `HOST`, where it is an address.
    pub(super) host: Option<IpAddr>,
    /// `NODE_ENV`.
    pub(super) env: Option<String>,
    /// Sentences about those that could not be taken.
    pub(super) notes: Vec<String>,
}

impl Environment {
    /// Takes all variables of `values`, over those that are there.
    pub(super) fn extend(&mut self, values: &Map<String, Value>) {
        for (name, value) in values {
            self.take(name, value);
        }
    }

    /// Takes one variable.
    pub(super) fn take(&mut self, name: &str, value: &Value) {
        // An object is handed on as JSON, as PM2 does.
        let text = match value {
            Value::Null => {
                let name = name.escape_debug();
                self.notes.push(format!(
                    "`{name}` has no value (null) and was left out: PM2 hands the text \"null\" to the app"
                ));
                return;
            }
            Value::Object(_) | Value::Array(_) => Some(value.to_string()),
            other => scalar(other),
        };
        let Some(text) = text else {
            self.notes.push(format!("the variable {name} was left out: it has a NUL in it"));
            return;
        };
        match name {
            "PORT" => match port(value) {
                Some(port) => self.port = Some(port),
                None => self.notes.push(format!(
                    "PORT = {text:?} was left out: it is no port from 1 to 65535; `listen` says \
                     where the clients connect"
                )),
            },
            "HOST" => self.set_host(&text),
            "NODE_ENV" if is_short_line(&text) => self.env = Some(text),
            _ if is_reserved(name) => {
                self.notes.push(format!("{name} was left out: systemd sets it"));
            }
            _ if is_variable_name(name) => {
                self.variables.insert(name.into(), text);
            }
            _ => {
                let name = name.escape_debug();
                self.notes.push(format!("`{name}` was left out: no variable can be called so"));
            }
        }
    }

    fn set_host(&mut self, text: &str) {
        match (text, text.trim_matches(['[', ']']).parse()) {
            (_, Ok(host)) => self.host = Some(host),
            ("localhost", _) => self.host = Some(IpAddr::from([127, 0, 0, 1])),
            _ => self.notes.push(format!(
                "HOST = {text:?} was left out: it is no address; `listen` says where the clients \
                 connect"
            )),
        }
    }

    /// The names of those whose values look secret.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let names = self.variables.keys().map(String::as_str);
        names.filter(|name| SECRETS.iter().any(|part| name.contains(part))).collect()
    }
}

/// Whether a key of `romuo.toml` that is a short text can have this one.
pub(super) fn is_short_line(text: &str) -> bool {
    (1..=TEXT_MAX).contains(&text.chars().count()) && !text.contains(char::is_control)
}

/// The port that the file `.env` of a folder has as `PORT`.
pub(super) fn port_of_file(directory: &Path) -> Option<u16> {
    let text = scan::read(&directory.join(".env"))?;
    let values = text.lines().filter_map(|line| {
        let line = line.trim();
        let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        let value = value.split(" #").next().unwrap_or(value).trim().trim_matches(['"', '\'']);
        (name.trim() == "PORT").then(|| value.parse().ok()).flatten()
    });
    { values }.next_back().filter(|port| *port > 0)
}

/// What is said of that port.
pub(super) fn in_env_file(port: u16) -> String {
    format!(
        ".env says PORT = {port}, which is `listen` here: each instance gets a port of its own in PORT"
    )
}
