//! What an app of PM2 needs besides what its options say.

use super::data;
use super::pm2::Mapping;
use super::scan;
use super::values::{self, is_off};

impl Mapping<'_> {
    /// What the app needs besides what its options say; `listens`: a port of it was found.
    pub(super) fn finish(&mut self, listens: bool) {
        let looks_like_a_worker = ["worker", "queue", "cron", "job", "scheduler", "consumer"]
            .iter()
            .any(|word| self.draft.name.as_str().contains(word));
        let ends = self.value("autorestart").is_some_and(is_off) || self.on("cron_restart");
        if !listens && (looks_like_a_worker || ends) {
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
            data::writes(&self.directory).write(&mut self.draft, &mut self.notes);
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
