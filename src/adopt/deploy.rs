//! The section `deploy` of an ecosystem file -> the lines of `[deploy]`, and what became of each key.

use serde_json::{Map, Value};

use super::draft::Draft;
use super::options::Fate;
use super::report::Line;
use super::values::line;

/// The host that is taken where none is asked for and there are several.
const PREFERRED: &str = "production";

/// Verbs of PM2 that bring a release into service: `romuoctl deploy` does that itself.
const ROLLS: [&str; 9] = [
    "start",
    "restart",
    "reload",
    "gracefulReload",
    "startOrRestart",
    "startOrReload",
    "startOrGracefulReload",
    "save",
    "update",
];

/// What a section comes to.
#[derive(Debug, Default)]
pub(super) struct Deploy {
    /// The line that builds a release.
    build: Option<String>,
    /// What became of its keys.
    pub(super) lines: Vec<Line>,
}

/// Takes the section apart; `env` is the host that was asked for.
pub(super) fn map(hosts: &Map<String, Value>, env: Option<&str>) -> Deploy {
    let only = hosts.keys().next().filter(|_| hosts.len() == 1);
    let preferred = hosts.contains_key(PREFERRED).then_some(PREFERRED);
    let chosen = env.or(preferred).or(only.map(String::as_str));
    let mut deploy = Deploy::default();
    for (host, value) in hosts {
        let Some(keys) = value.as_object() else { continue };
        for (key, value) in keys {
            let (fate, becomes) = match &**key {
                "post-deploy" if chosen == Some(host) => deploy.take(value),
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
            let comment = "`romuoctl deploy` builds a release with it, in the folder of the app, or with \
                           --git in a checkout.";
            draft.set("deploy.build", vec![build.clone()], comment);
        }
    }

    /// What runs on the server after PM2 has checked out: it builds, and then has PM2 reload.
    fn take(&mut self, value: &Value) -> (Fate, String) {
        if value.as_str().is_some_and(|text| text.trim().is_empty()) {
            return (Fate::Done, "it is empty".into());
        }
        let Some(text) = line(value) else {
            return (Fate::Unsupported, "it is no text on one line".into());
        };
        match building(text) {
            Some(build) if build.is_empty() => {
                (Fate::Done, "`romuoctl deploy` rolls by itself".into())
            }
            Some(build) => {
                let rest = if build == text { "" } else { "; `romuoctl deploy` rolls by itself" };
                let becomes = format!("deploy.build = [{}]{rest}", toml::Value::from(&*build));
                self.build = Some(build);
                (Fate::Done, becomes)
            }
            None => {
                let becomes = "lines of `deploy.build`, less what it calls of PM2: `romuoctl deploy` \
                               rolls by itself";
                (Fate::Unsupported, becomes.into())
            }
        }
    }
}

/// The line less its calls of PM2; none: it cannot be told where they begin and end.
fn building(text: &str) -> Option<String> {
    let calls =
        |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "pm2");
    // What PM2 sets for its hooks is a folder that is not there.
    if text.contains("SHARED") {
        return None;
    }
    if !calls(text) {
        return Some(text.trim().to_owned());
    }
    let steps: Vec<&str> = text.split("&&").map(str::trim).collect();
    let rolls = |step: &str| {
        let mut words = step.split_whitespace().skip_while(|word| *word == "npx");
        words.next() == Some("pm2") && words.next().is_some_and(|verb| ROLLS.contains(&verb))
    };
    let rest: Vec<&str> = steps.into_iter().filter(|step| !rolls(step)).collect();
    let build = rest.join(" && ");
    // A quote or another operator may reach over what was taken out.
    let is_plain = !text.contains(['"', '\'', '`', '|', ';', '(', ')', '{', '}', '\\', '#']);
    (is_plain && !calls(&build)).then_some(build)
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
    fn what_builds_is_kept_and_what_rolls_is_not() {
        for (line, build) in [
            ("npm ci && npm run build", "npm ci && npm run build"),
            ("npm install && pm2 reload ecosystem.config.js --env production", "npm install"),
            ("cd web && npm ci && npx pm2 startOrReload x.json && pm2 save", "cd web && npm ci"),
            ("npm i; echo 'a && b'", "npm i; echo 'a && b'"),
            ("pm2 restart all", ""),
            ("npm run pm2-free", "npm run pm2-free"),
        ] {
            let expected = (!line.contains("pm2-free")).then_some(build);
            assert_eq!(building(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_taken_apart_is_left_to_the_person() {
        for line in [
            "npm ci; pm2 reload all",
            "sh -c 'npm ci && pm2 reload all'",
            "npm ci || pm2 reload all",
            "npm ci && pm2 describe app",
            "ln -s $SHARED/.env .env",
            "npm ci && /opt/pm2/bin/pm2 reload all",
        ] {
            assert_eq!(building(line), None, "{line}");
        }
    }

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
            let deploy = map(hosts, env);
            assert_eq!(deploy.build.as_deref(), build);
            assert_eq!(deploy.lines.len(), 3);
        }
    }
}
