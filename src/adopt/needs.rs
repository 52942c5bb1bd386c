//! What an app of PM2 needs besides what its options say, and PM2's own server of files.

use std::path::{Component, Path};

use super::environment::{Environment, SERVE, is_short_line};
use super::pm2::Mapping;
use super::port::{self, Said};
use super::scan;
use super::values::{self, is_off};

/// The port of PM2's own server of static files, where it is told none.
const PORT_OF_SERVE: u16 = 8080;

impl Mapping<'_> {
    /// PM2's own server of static files is a static site.
    pub(super) fn serve(&mut self) {
        let taken = |name: &str, environment: &mut Environment| {
            environment.variables.remove(&format!("{SERVE}{name}"))
        };
        let environment = &mut self.environment;
        let root = taken("PATH", environment).filter(|root| !root.contains(char::is_control));
        self.draft.set("static.root", root.filter(|r| !r.is_empty()).unwrap_or(".".into()), "");
        let port = taken("PORT", environment).and_then(|port| port.parse().ok());
        environment.port = environment.port.or(port).or(Some(PORT_OF_SERVE));
        if let Some(host) = taken("HOST", environment) {
            environment.take("HOST", &host.into());
        }
        let homepage = taken("HOMEPAGE", environment);
        if taken("SPA", environment).is_some_and(|value| value == "true") {
            let page = homepage.as_deref().unwrap_or("/index.html").trim_start_matches('/');
            let parts = Path::new(page).components();
            let below = { parts }.all(|part| matches!(part, Component::Normal(_)));
            if below && is_short_line(page) {
                self.draft.set("static.fallback", page, "");
            }
        }
        for name in environment.variables.keys().filter(|name| name.starts_with(SERVE)) {
            environment.notes.push(format!("{name} has no twin: leave it to the proxy in front"));
        }
        environment.variables.clear();
        if let Some(env) = environment.env.take() {
            self.draft.set("env", env, "");
        }
    }

    /// The port that the script itself falls back to, and a note where it looks at no other.
    pub(super) fn port_in_source(&mut self, script: &str) -> Option<u16> {
        let text = scan::read(&self.directory.join(script))?;
        let Said { port, asks, .. } = port::said(&text);
        let port = port.map(|(_, port)| port);
        if let (Some(port), false) = (port, asks) {
            self.notes.push(format!(
                "{script} listens on {port} and does not look at PORT: write \
                 `process.env.PORT || {port}`, since each instance gets a port of its own"
            ));
        }
        port
    }

    /// What the app needs besides what its options say.
    pub(super) fn finish(&mut self) {
        let looks_like_a_worker = ["worker", "queue", "cron", "job", "scheduler", "consumer"]
            .iter()
            .any(|word| self.draft.name.as_str().contains(word));
        let ends = self.value("autorestart").is_some_and(is_off) || self.on("cron_restart");
        if self.environment.port.is_none()
            && self.made.port.is_none()
            && (looks_like_a_worker || ends)
        {
            self.notes.push(
                "this looks like a program that serves no HTTP: romuo would wait in vain for its \
                 health answer. Write a plain service of systemd for it, with the command, the folder \
                 and the environment of this file"
                    .into(),
            );
        }
        if self.value("max_memory_restart").and_then(|v| values::size(v).ok()).is_none()
            && self.draft.get("static.root").is_none()
        {
            let comment = "The app and all that it starts, for each instance; PM2 had no limit. A \
                           swap runs two of it for a moment.";
            self.draft.set("limits.memory", "1G", comment);
        }
        if self.draft.get("instances").is_none() {
            self.draft.set(
                "instances",
                1,
                "As with PM2. With 2 one can crash while the other serves.",
            );
        }
        if self.draft.get("static.root").is_none() {
            scan::health(&self.directory).write(&mut self.draft);
            scan::writes(&self.directory).write(&mut self.draft, &mut self.notes);
        }
        let secrets = self.environment.secrets();
        if !secrets.is_empty() {
            let names = secrets.join(", ");
            self.notes.push(format!(
                "the file has values that look secret ({names}): `chmod 600` it, or move them to a \
                 file that `env_file` names"
            ));
        }
    }
}
