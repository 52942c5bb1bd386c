//! PM2's own server of files, which is a static site here.

use std::path::{Component, Path};

use super::environment::{Environment, SERVE, is_short_line};
use super::options::Fate::{self, Differently};
use super::pm2::Mapping;
use super::values;

/// The port of PM2's own server of static files, where it is told none.
const PORT_OF_SERVE: u16 = 8080;

/// Options of the package `serve` that have no value behind them, besides those that are read.
const FLAGS: [&str; 14] = [
    "-C",
    "--cors",
    "-d",
    "--debug",
    "-L",
    "--no-request-logging",
    "-n",
    "--no-clipboard",
    "-u",
    "--no-compression",
    "-S",
    "--symlinks",
    "--no-etag",
    "--no-port-switching",
];

/// What the words of `args` say to it: `build 6001`, as PM2 reads them, or what the package `serve` of npm would
/// make of them, which is meant by whoever writes `-s build -l 6001`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Words {
    root: Option<String>,
    port: Option<u16>,
    /// Whether its page stands for those that are no file.
    single: bool,
    /// What means nothing to either.
    rest: Vec<String>,
}

impl Words {
    fn read(words: &[String]) -> Self {
        let mut read = Self::default();
        let mut words = words.iter();
        let port =
            |text: &str| text.rsplit(':').next()?.parse().ok().filter(|port: &u16| *port > 0);
        while let Some(word) = words.next() {
            match &**word {
                "-s" | "--single" => read.single = true,
                "-l" | "--listen" | "-p" | "--port" => {
                    match words.next().map(|text| (port(text), text)) {
                        Some((Some(port), _)) => read.port = Some(port),
                        Some((None, text)) => read.rest.extend([word.clone(), text.clone()]),
                        None => read.rest.push(word.clone()),
                    }
                }
                flag if FLAGS.contains(&flag) || flag.contains('=') => read.rest.push(word.clone()),
                option if option.starts_with('-') => {
                    read.rest.push(word.clone());
                    read.rest.extend(words.next().cloned());
                }
                text if read.root.is_none()
                    && !text.contains(char::is_control)
                    && !text.is_empty() =>
                {
                    read.root = Some(text.into());
                }
                text if read.port.is_none() && port(text).is_some() => read.port = port(text),
                _ => read.rest.push(word.clone()),
            }
        }
        read
    }
}

impl Mapping<'_> {
    /// PM2's own server of static files is a static site.
    pub(super) fn serve(&mut self) {
        let words =
            self.value("args").and_then(|args| values::words(args).ok()).unwrap_or_default();
        let words = Words::read(&words);
        let taken = |name: &str, environment: &mut Environment| {
            environment.variables.remove(&format!("{SERVE}{name}"))
        };
        let environment = &mut self.environment;
        let root = taken("PATH", environment).filter(|root| !root.contains(char::is_control));
        let root = root.filter(|root| !root.is_empty()).or(words.root);
        self.draft.set("static.root", root.unwrap_or(".".into()), "");
        let port = taken("PORT", environment).and_then(|port| port.parse().ok()).or(words.port);
        environment.port = environment.port.or(port).or(Some(PORT_OF_SERVE));
        if let Some(host) = taken("HOST", environment) {
            environment.take("HOST", &host.into());
        }
        let homepage = taken("HOMEPAGE", environment);
        if taken("SPA", environment).is_some_and(|value| value == "true") || words.single {
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

    /// What became of its `args`.
    pub(super) fn arguments_of_serve(&self, words: &[String]) -> Result<(Fate, String), String> {
        let Words { root, port, single, rest } = Words::read(words);
        let mut parts = Vec::new();
        if let (Some(value), Some(root)) = (self.draft.get("static.root"), root) {
            let is_it = value.as_str() == Some(&*root);
            let why = if is_it { "" } else { ", as PM2_SERVE_PATH says" };
            parts.push(format!("static.root = {value}{why}"));
        }
        if let Some(value) = self.draft.get("static.fallback").filter(|_| single) {
            parts.push(format!("static.fallback = {value}"));
        }
        if let (Some(said), Some(port)) = (self.environment.port, port) {
            let why = if said == port { "" } else { ", as a variable says" };
            parts.push(format!("listen, port {said}{why}"));
        }
        let rest = rest.join(" ");
        if parts.is_empty() {
            return Err(format!("the static site has nothing for `{rest}`"));
        }
        let left = if rest.is_empty() { String::new() } else { format!("; `{rest}` was left out") };
        Ok((Differently, format!("{}{left}", parts.join("; "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_either_server_are_read() {
        for (text, root, port, single, rest) in [
            ("build 6001", Some("build"), Some(6001), false, ""),
            ("-s build -l 6001", Some("build"), Some(6001), true, ""),
            ("-l tcp://0.0.0.0:80 .", Some("."), Some(80), false, ""),
            ("-s -C dist -l x", Some("dist"), None, true, "-C -l x"),
            ("--ssl-cert x.pem", None, None, false, "--ssl-cert x.pem"),
            ("", None, None, false, ""),
        ] {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            let read = Words::read(&words);
            assert_eq!(
                (read.root.as_deref(), read.port, read.single, &*read.rest.join(" ")),
                (root, port, single, rest),
                "{text}"
            );
        }
    }
}
