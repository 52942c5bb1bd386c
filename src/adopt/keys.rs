//! Options of PM2 that are keys of `romuo.toml`: each sets its key, and says what came of it.

use std::time::Duration;

use serde_json::Value;

use super::options::Fate::{self, Differently, Done};
use super::pm2::{Mapping, NO_CHANNEL};
use super::values::{self, is_off, line, number, scalar};
use crate::config::format_duration;
use crate::unit::UserName;

/// What came of an option; the error says why nothing did.
type Outcome = Result<(Fate, String), String>;

/// The default of `limits.start_timeout`.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What a command becomes that says where the app listens.
const COMMAND: &str = "a part of `command`";

impl Mapping<'_> {
    /// Sets the key that an option is; none: it is none, and its fate is that of the table.
    pub(super) fn set(&mut self, name: &str, key: &str, value: &Value) -> Option<Outcome> {
        Some(match name {
            "script" => self.command_of("script"),
            "exec_interpreter" => self.command_of(name),
            "node_args" => self.options(value),
            "args" => self.arguments(value),
            "name" => Ok(self.named(value)),
            "cwd" => Ok(self.placed()),
            "env" => self.variables(value),
            "env_*" => self.chosen_variables(key, value),
            "port" => match values::port(value) {
                Some(port) => Ok((Done, format!("listen, port {port}"))),
                None => Err("it is no port from 1 to 65535".into()),
            },
            "instances" => self.instances(value),
            "max_memory_restart" => self.memory(value),
            "min_uptime" => self.time("limits.min_uptime", value),
            "restart_delay" => self.time("limits.restart_delay", value),
            "exp_backoff_restart_delay" if !is_off(value) => self.backoff(value),
            "kill_timeout" => self.kill_timeout(value),
            "listen_timeout" => self.listen_timeout(value),
            "max_restarts" => self.max_restarts(value),
            "post_update" if !is_off(value) => self.builds(value),
            "uid" => self.user(value),
            "source_map_support" if !is_off(value) => Ok((Done, self.source_maps().into())),
            "wait_ready" if self.made.words.iter().any(|word| word == NO_CHANNEL) => Ok((
                Differently,
                "an instance is ready when `health.path` answers well. `process.send` is there and does \
                 nothing, by an option in `command` that Node has from 18.18 on"
                    .into(),
            )),
            "autorestart" | "autostart" if !is_off(value) => {
                Ok((Done, "it is on, which it is here too".into()))
            }
            "treekill" if value == &Value::Bool(false) => {
                Err("whatever an instance started ends with it: make what is to live on a service \
                     of its own"
                    .into())
            }
            "vizion" | "pmx" | "automation" if !is_off(value) => return None,
            "increment_var" if line(value) != Some("PORT") => {
                Err("only PORT differs between instances; work it out of NODE_APP_INSTANCE, which \
                     counts from 0"
                    .into())
            }
            "instance_var" if !matches!(line(value), Some("NODE_APP_INSTANCE") | None) => Err(
                "the number is in NODE_APP_INSTANCE, from 0, and in ROMUO_INSTANCE, from 1: use \
                     one of them in the app"
                    .into(),
            ),
            _ => return None,
        })
    }

    fn shown(&self, key: &str) -> String {
        match self.draft.get(key) {
            Some(value) => format!("{key} = {value}"),
            None => format!("{key} is not set"),
        }
    }

    fn command_of(&self, part: &str) -> Outcome {
        if part == "script" {
            if self.draft.get("static.root").is_some() {
                let becomes = "[static]: romuo serves files itself";
                return Ok((Differently, format!("{becomes}; {}", self.shown("static.root"))));
            }
            return Ok((Done, self.shown("command")));
        }
        if self.lost_interpreter {
            return Err(
                "the program that it is to read was not found: write its whole path behind the \
                        interpreter, in `command`"
                    .into(),
            );
        }
        if self.made.words.first().is_some_and(|word| word == "sh") {
            return Err("PM2 gives a script with spaces to bash, without it".into());
        }
        Ok((Done, COMMAND.into()))
    }

    fn options(&self, value: &Value) -> Outcome {
        let words = values::words(value)?;
        if self.as_variable {
            return Ok((Done, "NODE_OPTIONS in [environment], since the script is no file".into()));
        }
        if words.iter().any(|word| !self.made.words.contains(word)) {
            return Err("PM2 leaves them out where it runs no interpreter".into());
        }
        self.command_of("node_args")
    }

    fn arguments(&self, value: &Value) -> Outcome {
        let spaced = self.value("script").and_then(line).is_some_and(|script| script.contains(' '));
        match values::words(value) {
            Ok(words) if self.draft.get("static.root").is_some() && !words.is_empty() => {
                self.arguments_of_serve(&words)
            }
            Ok(words) if spaced && !words.is_empty() => {
                Err("PM2 leaves them out where the script has spaces in it".into())
            }
            Ok(_) => Ok((Done, COMMAND.into())),
            Err(why) => Err(why),
        }
    }

    fn named(&self, value: &Value) -> (Fate, String) {
        let name = self.draft.name.as_str();
        let same = scalar(value).is_some_and(|text| text == name);
        let why = if same { "" } else { ", in the letters that a unit may have" };
        (Done, format!("name = \"{name}\"{why}"))
    }

    fn placed(&self) -> (Fate, String) {
        match self.draft.get("directory") {
            Some(_) => (Done, self.shown("directory")),
            None => (Done, "directory, which is that of romuo.toml already".into()),
        }
    }

    fn variables(&self, value: &Value) -> Outcome {
        let Some(values) = value.as_object() else {
            return Err("its value is no table of variables".into());
        };
        if self.draft.get("static.root").is_some() {
            return Ok((Done, "[static] and `listen`; a static site sees no variables".into()));
        }
        let mut parts = Vec::new();
        let stay = values.keys().filter(|name| self.environment.variables.contains_key(*name));
        let stay: Vec<_> = stay.map(String::as_str).collect();
        if !stay.is_empty() {
            parts.push(format!("[environment] {}", stay.join(", ")));
        }
        let port = values.get("PORT").and_then(values::port);
        let is_other = port.is_some() && port != self.environment.port;
        if is_other {
            parts.push("PORT gives way to what says the port more strongly".into());
        }
        for (name, key) in [("PORT", "listen"), ("HOST", "listen"), ("NODE_ENV", "env")] {
            if values.contains_key(name) && !(name == "PORT" && is_other) {
                parts.push(format!("{name} is `{key}`"));
            }
        }
        if parts.is_empty() {
            parts.push("nothing in it that the app would see".into());
        }
        Ok((Done, parts.join("; ")))
    }

    fn chosen_variables(&self, key: &str, value: &Value) -> Outcome {
        let name = key.trim_start_matches("env_");
        if !value.is_object() {
            let why =
                "its value is no table of variables; a file of them is `env_file` in romuo.toml";
            return Err(why.into());
        }
        if self.chosen.as_deref() != Some(name) {
            return Ok((
                Differently,
                format!("left out: it is not chosen; `import --env {name}` takes it"),
            ));
        }
        let why =
            if self.around.env.is_none() { " (taken because no --env says otherwise)" } else { "" };
        let (fate, becomes) = self.variables(value)?;
        Ok((fate, format!("over `env`: {becomes}{why}")))
    }

    fn instances(&mut self, value: &Value) -> Outcome {
        let wrong = || "it is no number of instances".to_owned();
        if line(value) == Some("max") || number(value) == Some(0.0) {
            self.draft.set("instances", "max", "One a CPU.");
            return Ok((Done, self.shown("instances")));
        }
        let count = number(value).ok_or_else(wrong)?;
        if count < 0.0 {
            let comment = "One a CPU; PM2 left some of them free: write a number to do that.";
            self.draft.set("instances", "max", comment);
            return Ok((
                Differently,
                "instances = \"max\": write a number to leave a CPU free".into(),
            ));
        }
        let count =
            format!("{count:.0}").parse::<u16>().ok().filter(|n| *n > 0).ok_or_else(wrong)?;
        self.draft.set("instances", i64::from(count), "");
        Ok((Done, self.shown("instances")))
    }

    fn memory(&mut self, value: &Value) -> Outcome {
        let size = values::size(value)?;
        let comment = "The app and all that it starts, for each instance. A swap runs two of it for \
                       a moment.";
        self.draft.set("limits.memory", size.to_string(), comment);
        Ok((
            Differently,
            format!(
                "{}: held by the kernel at every moment; PM2 looks twice a minute",
                self.shown("limits.memory")
            ),
        ))
    }

    fn time(&mut self, key: &'static str, value: &Value) -> Outcome {
        let time = values::time(value)?;
        self.draft.set(key, format_duration(time), "");
        Ok((Done, self.shown(key)))
    }

    fn backoff(&mut self, value: &Value) -> Outcome {
        if self.on("restart_delay") {
            let becomes = "limits.restart_delay, which does not grow, is that of `restart_delay`";
            return Ok((Differently, becomes.into()));
        }
        self.time("limits.restart_delay", value)?;
        Ok((Differently, format!("{}, which does not grow", self.shown("limits.restart_delay"))))
    }

    fn kill_timeout(&mut self, value: &Value) -> Outcome {
        let time = values::time(value)?;
        if time.is_zero() {
            return Err("an app gets at least some time to end; the default of 10 s stays".into());
        }
        self.time("limits.stop_timeout", value)?;
        let shown = self.shown("limits.stop_timeout");
        Ok((Done, format!("{shown}; the app gets SIGTERM, not SIGINT")))
    }

    fn listen_timeout(&mut self, value: &Value) -> Outcome {
        let time = values::time(value)?;
        if time <= START_TIMEOUT {
            let becomes = "the default of 30 s stays: when it is over, PM2 goes on, and romuo has \
                           failed to start";
            return Ok((Differently, becomes.into()));
        }
        self.time("limits.start_timeout", value)
    }

    /// What PM2 runs after it has pulled from a repository.
    fn builds(&mut self, value: &Value) -> Outcome {
        let lines = match value {
            Value::Array(items) => items.iter().map(values::line).collect(),
            one => values::line(one).map(|line| vec![line]),
        };
        let lines: Vec<String> = match lines {
            Some(lines) => lines.into_iter().map(str::to_owned).collect(),
            None => return Err("it is no list of lines".into()),
        };
        let becomes = format!("deploy.build = {}", toml::Value::from(lines.clone()));
        let comment = "`romuoctl deploy` builds a release with these lines.";
        self.draft.set("deploy.build", lines, comment);
        Ok((Done, becomes))
    }

    fn max_restarts(&mut self, value: &Value) -> Outcome {
        let count = number(value).ok_or("it is no number of restarts")?;
        if count < 1.0 {
            self.draft.set("limits.max_restarts", 1, "");
            return Ok((Differently, "limits.max_restarts = 1, the least there is".into()));
        }
        let count = format!("{:.0}", count.min(f64::from(u32::MAX)));
        let count = count.parse::<i64>().map_err(|error| error.to_string())?;
        self.draft.set("limits.max_restarts", count, "");
        Ok((Done, self.shown("limits.max_restarts")))
    }

    fn user(&mut self, value: &Value) -> Outcome {
        let name = scalar(value).unwrap_or_default();
        if number(value).is_some() {
            return Err(format!("a user is named here: `user = \"$(id -nu {name})\"`"));
        }
        match name.parse::<UserName>() {
            Ok(user) => {
                self.draft.set("user", user.to_string(), "");
                Ok((Done, self.shown("user")))
            }
            Err(error) => Err(format!("{error}")),
        }
    }

    fn source_maps(&self) -> &'static str {
        if self.made.words.iter().any(|word| word == "--enable-source-maps") {
            "--enable-source-maps in `command`"
        } else {
            "it is Node's, which does not run this app"
        }
    }
}
