//! The section `deploy` of an ecosystem file -> the lines of `[deploy]`, and what became of each key.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::draft::Draft;
use super::hook::{Hook, understand};
use super::options::Fate;
use super::report::Line;
use super::values::line;

/// The host that is taken where none is asked for and there are several.
const PREFERRED: &str = "production";

/// What a section comes to.
#[derive(Debug, Default)]
pub(super) struct Deploy {
    /// The line that builds a release.
    build: Option<String>,
    /// What became of its keys.
    pub(super) lines: Vec<Line>,
}

/// Takes the section apart; `env` is the host that was asked for, `homes` are folders in which its apps live.
pub(super) fn map(
    hosts: &Map<String, Value>,
    env: Option<&str>,
    homes: &BTreeSet<PathBuf>,
) -> Deploy {
    let only = hosts.keys().next().filter(|_| hosts.len() == 1);
    let preferred = hosts.contains_key(PREFERRED).then_some(PREFERRED);
    let chosen = env.or(preferred).or(only.map(String::as_str));
    let mut deploy = Deploy::default();
    for (host, value) in hosts {
        let Some(keys) = value.as_object() else { continue };
        let mut folders: Vec<PathBuf> = homes.iter().cloned().collect();
        if let Some(path) = keys.get("path").and_then(line).map(Path::new) {
            // PM2 clones to the one, and links the other to it.
            folders.extend([path.join("source"), path.join("current"), path.to_path_buf()]);
        }
        for (key, value) in keys {
            let (fate, becomes) = match &**key {
                "post-deploy" if chosen == Some(host) => deploy.take(value, &folders),
                "post-deploy" => {
                    let becomes = format!("`import --env {host}` makes `deploy.build` of it");
                    (Fate::Unsupported, becomes)
                }
                key => become_of(key, value),
            };
            deploy.lines.push(Line::new(format!("deploy.{host}.{key}"), value, fate, becomes));
        }
    }
    deploy
}

impl Deploy {
    /// Writes it into the configuration of an app.
    pub(super) fn write(&self, draft: &mut Draft) {
        if let Some(build) = &self.build {
            let comment = "`romuoctl deploy` builds a release with it, in a copy of the folder, or with --git in \
                           a checkout.";
            draft.set("deploy.build", vec![build.clone()], comment);
        }
    }

    /// What runs on the server after PM2 has checked out: it builds, and then has PM2 reload.
    fn take(&mut self, value: &Value, folders: &[PathBuf]) -> (Fate, String) {
        if value.as_str().is_some_and(|text| text.trim().is_empty()) {
            return (Fate::Done, "it is empty".into());
        }
        let Some(text) = line(value) else {
            return (Fate::Unsupported, "it is no text on one line".into());
        };
        let Some(Hook { build, dropped, left_out }) = understand(text, folders) else {
            let becomes = "lines of `deploy.build`, less what fetches, and what it calls of PM2: `romuoctl \
                           deploy` does that by itself, and builds in a folder of its own";
            return (Fate::Unsupported, becomes.into());
        };
        let mut parts = Vec::new();
        if !build.is_empty() {
            parts.push(format!("deploy.build = [{}]", toml::Value::from(&*build)));
            self.build = Some(build);
        }
        if !dropped.is_empty() {
            parts.push(format!("`romuoctl deploy` does by itself: {}", quoted(&dropped)));
        }
        if left_out.is_empty() {
            return (Fate::Done, parts.join("; "));
        }
        parts.push(format!(
            "left out, as it acts on what serves or cannot be understood: {}; `deploy.after` is run when \
             the release serves",
            quoted(&left_out)
        ));
        let fate = if self.build.is_some() { Fate::Differently } else { Fate::Unsupported };
        (fate, parts.join("; "))
    }
}

fn quoted(steps: &[String]) -> String {
    steps.iter().map(|step| format!("`{step}`")).collect::<Vec<_>>().join(", ")
}

/// What becomes of a key that sets nothing.
fn become_of(key: &str, value: &Value) -> (Fate, String) {
    let text = line(value).unwrap_or_default();
    if value.as_str().is_some_and(|text| text.trim().is_empty()) {
        return (Fate::Done, "it is empty".into());
    }
    match key {
        "env" => {
            (Fate::Done, "under the variables of the app, where `import --env` chooses it".into())
        }
        "user" | "host" | "port" | "key" | "ssh_options" | "forward-agent" | "needs_tty" => {
            let becomes = "`romuoctl deploy` runs on the server: log in with ssh first, or push to a \
                           repository there whose hook runs scripts/deploy.sh (docs/deploy.md)";
            (Fate::Unsupported, becomes.into())
        }
        "ref" => {
            let name = text.strip_prefix("origin/").unwrap_or(text);
            (Fate::Differently, format!("`romuoctl deploy --git {name}`"))
        }
        "repo" => {
            let becomes =
                "clone it once, to where the app is to live; `romuoctl deploy --git` fetches";
            (Fate::Differently, becomes.into())
        }
        "path" => {
            let becomes = "the clone may lie anywhere, and is where the data stays; releases lie in \
                           /var/lib/romuo/NAME/releases";
            (Fate::Differently, becomes.into())
        }
        "fetch" => (Fate::Unsupported, "the clone says it: `git clone --depth=5`".into()),
        "pre-setup" | "post-setup" => {
            (Fate::Unsupported, "once, by hand, when the app is cloned and installed".into())
        }
        "pre-deploy-local" => {
            let becomes =
                "run it on your own machine, before what logs in and runs `romuoctl deploy`";
            (Fate::Unsupported, becomes.into())
        }
        "pre-deploy" => {
            let becomes = "run it before `romuoctl deploy`, or as the first line of `deploy.build`, where \
                           the new files are there already";
            (Fate::Unsupported, becomes.into())
        }
        "test" => {
            let becomes = "a deploy asks each instance for `health.path` and goes back by itself; other \
                           tests are lines of `deploy.build`, before anything is touched";
            (Fate::Differently, becomes.into())
        }
        _ => (Fate::Unknown, "PM2 does not know it, so it did nothing".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_chosen_host_builds() {
        let hosts = serde_json::json!({
            "production": { "post-deploy": "npm ci" },
            "staging": { "post-deploy": "npm i", "what": 1 },
        });
        let hosts = hosts.as_object().unwrap();
        for (env, build) in
            [(None, Some("npm ci")), (Some("staging"), Some("npm i")), (Some("other"), None)]
        {
            let deploy = map(hosts, env, &BTreeSet::new());
            assert_eq!(deploy.build.as_deref(), build);
            assert_eq!(deploy.lines.len(), 3);
        }
    }
}
