//! A Procfile, as Heroku and foreman have it: lines `NAME: COMMAND`, of which `web` is the one that
//! serves.

use serde_json::Value;

use super::command::of_line;
use super::data;
use super::draft::{Draft, app_name};
use super::environment::{in_env_file, is_short_line, port_of_file};
use super::import::Import;
use super::options::Fate;
use super::pm2::Mapped;
use super::report::Line;
use super::scan;
use crate::config::is_reserved;
use crate::program::{Complex, read_shell};

/// Maps the lines of a Procfile.
pub(super) fn map(text: &str, import: &Import<'_>) -> (Vec<Mapped>, Vec<Line>, Vec<String>) {
    let (mut mapped, mut others) = (Vec::new(), Vec::new());
    let (mut web, mut release) = (0, None);
    // No word and no variable of a program can hold it.
    let text = text.replace('\0', "");
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let process = line.split_once(':').map(|(name, command)| (name.trim(), command.trim()));
        match process {
            Some(("release", command)) if !command.is_empty() => {
                others.extend(release.replace(command).map(in_vain));
            }
            Some((name, command)) if is_name(name) && !command.is_empty() => {
                if name == "web" {
                    web = mapped.len();
                }
                match process_of(name, command, import) {
                    Ok(app) => mapped.push(app),
                    Err(line) => others.push(line),
                }
            }
            _ => others.push(Line::new(
                line,
                &Value::Null,
                Fate::Unknown,
                "it is no line of a Procfile, which is `NAME: COMMAND`",
            )),
        }
    }
    if let Some(command) = release {
        others.push(before(command, mapped.get_mut(web)));
    }
    (mapped, others, Vec::new())
}

/// A line that another one of its name follows.
fn in_vain(command: &str) -> Line {
    let becomes = "a line further down says what is to run instead";
    Line::new("release", &Value::from(command), Fate::Unsupported, becomes)
}

/// What Heroku runs before a release serves, so does a deploy of the app that serves.
fn before(command: &str, app: Option<&mut Mapped>) -> Line {
    let words = vec![command.to_owned()];
    let becomes = format!(
        "deploy.before = {}, where only the variables of the deploy are set, not those of the app",
        toml::Value::from(words.clone())
    );
    if let Some(app) = app {
        let comment = "Runs before the first instance is rolled; where it fails, nothing was touched. The \
                       variables of the app are not set there.";
        app.draft.set("deploy.before", words, comment);
    }
    Line::new("release", &Value::from(command), Fate::Differently, becomes)
}

/// Why no shell could run a line so that the app is reached; none: it may work.
fn cannot_work(command: &str) -> Option<&'static str> {
    match read_shell(command) {
        Err(Complex::Quote) => Some("a quote or a `\\` at its end has nothing that it ends with"),
        _ if words(command).any(|pair| pair == ("unset", "PORT")) => {
            Some("it unsets PORT, which says where it is to listen")
        }
        _ => None,
    }
}

/// Each word of a line with the next one.
fn words(command: &str) -> impl Iterator<Item = (&str, &str)> {
    command.split_whitespace().zip(command.split_whitespace().skip(1))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn process_of(name: &str, command: &str, import: &Import<'_>) -> Result<Mapped, Line> {
    let value = Value::from(command);
    let made = of_line(command).listening();
    let takes_port = made.takes_port();
    if name != "web" && !takes_port {
        let becomes =
            "it serves no HTTP: write a plain service of systemd for it, with this command";
        return Err(Line::new(name, &value, Fate::Unsupported, becomes));
    }
    let folder = import.file.parent().unwrap_or(import.file);
    let app = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let whole = if name == "web" { app.to_owned() } else { format!("{app}-{name}") };
    let named = app_name(&whole).or_else(|| app_name(name)).or_else(|| app_name("app"));
    let mut draft = Draft::new(named.unwrap_or_default());
    let words = made.words.clone();
    let shown = format!("command = {}", toml::Value::from(words.clone()));
    draft.set("command", words, "What runs: `install-units` finds the programs, and says so.");
    if let Ok(path) = folder.strip_prefix(import.output) {
        if let Some(path) = path.to_str().filter(|path| !path.is_empty()) {
            draft.set("directory", path, "");
        }
    } else if let Some(path) = folder.to_str() {
        draft.set("directory", path, "");
    }
    if folder.join(".env").is_file() {
        draft.set("env_file", ".env", "");
    }
    let (mut port, mut notes) = (made.port, made.notes);
    for (name, value) in &made.environment {
        match &**name {
            "PORT" => port = port.or(value.parse().ok()),
            "HOST" => {}
            "NODE_ENV" if is_short_line(value) => draft.set("env", value.as_str(), ""),
            _ if is_reserved(name) => {
                notes.push(format!("{name} was left out: systemd sets it"));
            }
            _ => draft.variable(name, value),
        }
    }
    draft.set("limits.memory", "512M", "The app and all that it starts, for each instance.");
    scan::health(folder).write(&mut draft);
    data::writes(folder).write(&mut draft, &mut notes);
    let lines = vec![match cannot_work(command) {
        None => Line::new(name, &value, Fate::Done, shown),
        Some(why) => {
            let becomes = format!("{shown}, which cannot work as it stands: {why}");
            Line::new(name, &value, Fate::Unsupported, becomes)
        }
    }];
    let in_file = port_of_file(folder).filter(|_| port.is_none());
    if let Some(port) = in_file {
        notes.push(in_env_file(port));
    }
    let port = port.or(in_file);
    Ok(Mapped { draft, lines, notes, port, takes_port, host: None })
}
