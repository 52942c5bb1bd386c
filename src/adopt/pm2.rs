//! One app of PM2 -> a draft of `romuo.toml`, and what became of each option.

use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

use super::command::{Made, interpreter_of, is_text_for_node, of_line};
use super::draft::{Draft, app_name};
use super::environment::Environment;
use super::options::{Fate, Known, near, option};
use super::report::Line;
use super::values::{self, is_off, line, scalar};
use crate::program::lookup;
use crate::unit::AppName;

/// Has Node define `process.send`, which apps of PM2 call without looking whether it is there: it does nothing
/// (nodejs.org/api/cli.html, `--import`, from 18.18 on).
pub(super) const NO_CHANNEL: &str = "--import=data:text/javascript,process.send||=()=>true";

/// What is the same for all apps of a file.
#[derive(Debug)]
pub(super) struct Around<'a> {
    /// The file.
    pub(super) source: &'a Path,
    /// The folder that `romuo.toml` goes to.
    pub(super) output: &'a Path,
    /// The `PATH`.
    pub(super) search: &'a std::ffi::OsStr,
    /// The environment that was asked for.
    pub(super) env: Option<&'a str>,
    /// The section `deploy`.
    pub(super) deploy: Option<&'a Map<String, Value>>,
}

/// One app, understood.
#[derive(Debug)]
pub(super) struct Mapped {
    pub(super) draft: Draft,
    pub(super) lines: Vec<Line>,
    pub(super) notes: Vec<String>,
    /// The port that it is to have, where it says one.
    pub(super) port: Option<u16>,
    /// Whether its command says that it listens on the port it is given.
    pub(super) takes_port: bool,
    pub(super) host: Option<std::net::IpAddr>,
}

/// An app on its way.
pub(super) struct Mapping<'a> {
    pub(super) app: &'a Map<String, Value>,
    pub(super) around: &'a Around<'a>,
    pub(super) draft: Draft,
    pub(super) environment: Environment,
    /// The environment that was chosen for this app.
    pub(super) chosen: Option<String>,
    pub(super) made: Made,
    pub(super) directory: PathBuf,
    /// Whether the options of Node became `NODE_OPTIONS`.
    pub(super) as_variable: bool,
    /// Whether its interpreter was left out, since the program that it is to read was not found.
    pub(super) lost_interpreter: bool,
    pub(super) notes: Vec<String>,
}

/// Maps one app; none: it has no script.
pub(super) fn map(app: &Map<String, Value>, around: &Around<'_>) -> Option<Mapped> {
    let script = get(app, "script").and_then(|(_, value)| line(value))?;
    let folder = around.source.parent().unwrap_or(around.source);
    let cwd = get(app, "cwd").and_then(|(_, value)| line(value)).unwrap_or(".");
    let chosen = choose(app, around);
    let mut mapping = Mapping {
        app,
        around,
        draft: Draft::new(name(app, script, chosen.as_deref())),
        environment: Environment::default(),
        chosen,
        made: Made::default(),
        directory: normal(&folder.join(cwd)),
        as_variable: false,
        lost_interpreter: false,
        notes: Vec::new(),
    };
    mapping.take_environment();
    if script == "serve" && mapping.value("interpreter").is_none() {
        mapping.serve();
    } else {
        mapping.take_command(script);
    }
    mapping.write_command(script);
    // Options that set keys say what came of them while they do.
    let lines = app.iter().map(|(key, value)| mapping.line(key, value)).collect();
    let said = mapping.port_said(script);
    mapping.finish(said.is_some());
    let Mapping { draft, environment, made, mut notes, .. } = mapping;
    notes.extend(environment.notes);
    notes.extend(made.notes.iter().cloned());
    Some(Mapped {
        draft,
        lines,
        notes,
        port: said,
        takes_port: made.takes_port(),
        host: environment.host,
    })
}

/// The value of an option under any of its names, and the name; PM2 prefers the one of its schema.
pub(super) fn get<'a>(app: &'a Map<String, Value>, name: &str) -> Option<(&'a str, &'a Value)> {
    let known = option(name)?;
    let own = app.get_key_value(known.name).filter(|(_, value)| !is_off(value));
    let other = || {
        app.iter().find(|(key, value)| {
            !is_off(value) && option(key).is_some_and(|other| other.name == known.name)
        })
    };
    let plain = || app.get_key_value(known.name);
    own.or_else(other).or_else(plain).map(|(key, value)| (key.as_str(), value))
}

/// The environment that was asked for, else `production` where there is one.
fn choose(app: &Map<String, Value>, around: &Around<'_>) -> Option<String> {
    let production = || app.contains_key("env_production").then(|| "production".to_owned());
    around.env.map(str::to_owned).or_else(production)
}

/// The name of the app, as PM2 puts it together, in the letters of a unit.
fn name(app: &Map<String, Value>, script: &str, env: Option<&str>) -> AppName {
    let text = |name: &str| get(app, name).and_then(|(_, value)| scalar(value));
    let stem = Path::new(script).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let own = text("name").unwrap_or_else(|| stem.to_owned());
    let on = |name: &str| get(app, name).is_some_and(|(_, value)| !is_off(value));
    let suffix = env.filter(|_| on("append_env_to_name")).map(|env| format!("-{env}"));
    let whole =
        format!("{}{own}{}", text("name_prefix").unwrap_or_default(), suffix.unwrap_or_default());
    app_name(&whole).or_else(|| app_name("app")).unwrap_or_default()
}

/// `path` without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

impl Mapping<'_> {
    /// The value of an option under any of its names.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        get(self.app, name).map(|(_, value)| value).filter(|value| !value.is_null())
    }

    /// Whether an option is on.
    pub(super) fn on(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| !is_off(value))
    }

    /// `deploy.X.env` < `env` < `env_X`, as PM2 merges them.
    fn take_environment(&mut self) {
        let chosen = self.chosen.clone();
        let deploy = chosen.as_deref().and_then(|env| self.around.deploy?.get(env)?.get("env"));
        let own = chosen.as_deref().and_then(|env| self.app.get(&format!("env_{env}")));
        for values in [deploy, self.app.get("env"), own].into_iter().flatten() {
            if let Some(values) = values.as_object() {
                self.environment.extend(values);
            }
        }
        if let Some(port) = self.value("port").and_then(values::port) {
            self.environment.port = Some(port);
        }
    }

    /// The words of the command, as PM2 puts them together.
    fn take_command(&mut self, script: &str) {
        let list = |name: &str| self.value(name).map(values::words);
        let arguments = list("args").and_then(Result::ok).unwrap_or_default();
        let options = list("node_args").and_then(Result::ok).unwrap_or_default();
        if script.contains(' ') {
            // PM2 gives it to bash, and forgets the arguments.
            self.made = of_line(script).listening();
            return;
        }
        let path = self.directory.join(script);
        // PM2 looks such a one up on the PATH; its first line says who runs it.
        let is_command =
            !script.contains('/') && interpreter_of(script).is_none() && !path.exists();
        let app = self.app;
        let asked = get(app, "interpreter").and_then(|(_, value)| line(value));
        // PM2 has an interpreter that is asked for read the program that is found.
        let found = lookup(script, &self.directory, self.around.search).filter(|_| is_command);
        let mut read = None;
        let interpreter = match asked {
            Some("none") => None,
            Some(other) if is_command && !other.starts_with("node@") => {
                read = found.and_then(|program| program.to_str().map(str::to_owned));
                self.lost_interpreter = read.is_none();
                read.is_some().then(|| other.to_owned())
            }
            Some(_) if is_command => None,
            Some(version) if version.starts_with("node@") => {
                self.made.notes.push(format!(
                    "`{version}` became `node`: `install-units` takes the one that is first on the \
                     PATH then (`nvm use {}` before it)",
                    &version["node@".len()..]
                ));
                Some("node".to_owned())
            }
            Some(other) => Some(other.to_owned()),
            None => match interpreter_of(script) {
                Some(known) => Some(known.to_owned()),
                // Node finds the file that a folder is entered by.
                None if path.is_dir() || is_text_for_node(&path) => Some("node".into()),
                None => None,
            },
        };
        let mut words: Vec<String> = interpreter.clone().into_iter().collect();
        if interpreter.as_deref().is_some_and(|name| name.ends_with("node"))
            && self.on("source_map_support")
        {
            words.push("--enable-source-maps".into());
        }
        if interpreter.as_deref().is_some_and(|name| name.ends_with("node"))
            && self.on("wait_ready")
        {
            words.push(NO_CHANNEL.into());
        }
        if interpreter.is_some() {
            words.extend(options);
        } else if !options.is_empty() && asked.is_none_or(|asked| asked.contains("node")) {
            self.as_variable = true;
            self.environment.variables.insert("NODE_OPTIONS".into(), options.join(" "));
        }
        // Without an interpreter a name is looked up on the PATH, a file beside it needs its `./`.
        let is_beside = interpreter.is_none() && !script.contains('/') && path.is_file();
        let own = if is_beside { format!("./{script}") } else { script.into() };
        words.push(read.unwrap_or(own));
        words.extend(arguments);
        if interpreter.as_deref() == Some("bun")
            && lookup("bun", &self.directory, self.around.search).is_none()
        {
            self.made.notes.push(
                "TypeScript is run by bun, as PM2 does; Node runs it from 22.18 on: write \"node\" in \
                 its place"
                    .into(),
            );
        }
        let shown = interpreter.as_deref().or(asked).unwrap_or_default();
        if shown.contains("node") && self.environment.env.is_none() {
            self.made.notes.push("NODE_ENV is \"production\" here; PM2 left it unset".into());
        }
        if shown.contains("python") {
            // As PM2: what is printed is not held back in a buffer.
            self.environment.variables.entry("PYTHONUNBUFFERED".into()).or_insert("1".into());
        }
        let notes = std::mem::take(&mut self.made.notes);
        self.made = Made { words, notes, ..Made::default() }.listening();
        if self.made.words.iter().any(|word| word.contains('\0')) {
            self.made.words = vec![script.replace('\0', "")];
        }
    }

    /// Writes what the command, the folder and the environment came to.
    fn write_command(&mut self, script: &str) {
        // What a line of shell sets is stronger than what it was started with.
        for (name, value) in std::mem::take(&mut self.made.environment) {
            self.environment.take(&name, &value.into());
        }
        self.ports_by_other_names(script);
        let words = &self.made.words;
        if !words.is_empty() {
            let comment = "What runs: `install-units` finds the programs, and says so. The app \
                           listens on the PORT that it is given.";
            self.draft.set("command", words.clone(), comment);
        }
        if self.directory != self.around.output {
            let shown = self.directory.strip_prefix(self.around.output).unwrap_or(&self.directory);
            if let Some(path) = shown.to_str().filter(|path| !path.contains(char::is_control)) {
                self.draft.set("directory", path, "");
            }
        }
        if let Some(env) = self.environment.env.clone() {
            self.draft.set("env", env, "");
        }
        for (name, value) in &self.environment.variables {
            self.draft.variable(name, value);
        }
    }

    /// What became of one option.
    fn line(&mut self, key: &str, value: &Value) -> Line {
        let Some(known) = option(key) else {
            let meant = near(key).map(|name| format!(" (is `{name}` meant?)"));
            let meant = meant.unwrap_or_default();
            let becomes = format!("PM2 does not know it, so it did nothing{meant}");
            return Line::new(key, value, Fate::Unknown, becomes);
        };
        let taken = get(self.app, known.name).map_or(key, |(taken, _)| taken);
        if taken != key && known.name != "env_*" {
            let becomes = format!("`{taken}` says it already, which PM2 takes");
            return Line::new(key, value, Fate::Done, becomes);
        }
        let (fate, becomes) = self.become_of(known, key, value);
        Line::new(key, value, fate, becomes)
    }

    fn become_of(&mut self, known: &Known, key: &str, value: &Value) -> (Fate, String) {
        match self.set(known.name, key, value) {
            Some(Ok((fate, becomes))) => (fate, becomes),
            Some(Err(why)) => (Fate::Unsupported, why),
            None if OFF_IS_DONE.contains(&known.name) && is_off(value) => {
                (Fate::Done, "it is off, which it is here too".into())
            }
            None => (known.fate, known.becomes.into()),
        }
    }
}

/// Options that are done where they are off.
const OFF_IS_DONE: [&str; 20] = [
    "append_env_to_name",
    "automation",
    "cron_restart",
    "deep_monitoring",
    "disable_logs",
    "event_loop_inspector",
    "execute_command",
    "force",
    "log_file",
    "pmx",
    "post_update",
    "shutdown_with_message",
    "source_map_support",
    "stop_exit_codes",
    "time",
    "trace",
    "v8",
    "wait_ready",
    "watch",
    "write",
];
