//! Properties of the files of other managers, for the fuzzer: see `src/fuzz.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a property that does not hold ends in a panic"
)]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::command::of_line;
use super::import::{Import, Imported, finish, map_ecosystem};
use super::pm2::Mapped;
use super::procfile;
use super::report::Line;
use super::source::{json, yaml};
use crate::program::read_shell;
use crate::unit::AppName;

/// A folder that is not there: nothing of this machine plays a part.
const FILE: &str = "/nowhere/at all/ecosystem.json";

fn import() -> Import<'static> {
    static NONE: BTreeMap<u16, AppName> = BTreeMap::new();
    let output = Path::new("/nowhere");
    let search = "/nowhere".as_ref();
    Import { file: Path::new(FILE), output, env: None, search, taken: &NONE }
}

/// `finish` reads what it has made, and calls what cannot be read a defect.
fn finished(mapped: Vec<Mapped>, others: Vec<Line>) -> Imported {
    let made = finish(mapped, others, Vec::new(), &import());
    made.unwrap_or_else(|error| panic!("{error}"))
}

/// Each line of a Procfile is told of, and the command of each app is that of its line.
pub(crate) fn procfile(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (mapped, others, _) = procfile::map(text, &import());
    // No program can be given a NUL, so there is none.
    let text = text.replace('\0', "");
    let lines = text.lines().map(str::trim);
    let count = lines.clone().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    assert_eq!(mapped.len() + others.len(), count, "a line is not told of");
    let names: Vec<_> = mapped.iter().map(|app| app.lines[0].option.clone()).collect();
    let apps = mapped.len();
    let made = finished(mapped, others);
    assert_eq!(made.files.len(), apps);
    for (name, (_, text)) in names.iter().zip(&made.files) {
        let mut commands = lines.clone().filter_map(|line| {
            let (of, command) = line.split_once(':')?;
            (of.trim() == name).then(|| command.trim())
        });
        let file: toml::Table = text.parse().unwrap();
        let words: Vec<_> =
            file["command"].as_array().unwrap().iter().filter_map(toml::Value::as_str).collect();
        let is_of = |command: &str| match read_shell(command) {
            // A fixed port or host may have become `{port}` or `{host}`, and where to listen is added behind.
            Ok(_) => {
                // What only sets variables is taken off.
                let simple = of_line(command);
                let same = |(one, other): (&String, &&str)| {
                    ["{port}", "{host}"].iter().any(|place| other.contains(place)) || one == *other
                };
                words.len() >= simple.words.len() && simple.words.iter().zip(&words).all(same)
            }
            Err(_) => words.starts_with(&["sh", "-c"]),
        };
        assert!(commands.any(is_of), "{name}: {words:?}");
    }
}

/// An ecosystem, as JSON and as YAML, becomes configurations that can be read, with a line for each option;
/// and JSON means what it means to everybody.
pub(crate) fn ecosystem(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let by_json = json(text);
    if let (Ok(ours), Ok(theirs)) = (&by_json, serde_json::from_str::<Value>(text)) {
        assert!(is_same(ours, &theirs), "{ours} {theirs}");
    }
    for value in [by_json, yaml(text)].into_iter().flatten() {
        is_told(value);
    }
}

/// Whether two numbers are the same but for the last digits, which a float cannot hold and readers round
/// in their own ways.
fn is_near(one: Option<f64>, other: Option<f64>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return one == other };
    (one - other).abs() <= one.abs() * 1e-12
}

/// Whether it is the same value.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => is_near(one.as_f64(), other.as_f64()),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((name, one), (of, other))| name == of && is_same(one, other))
        }
        _ => one == other,
    }
}

fn is_told(value: Value) {
    let given = apps(&value).map(|apps| apps.iter().map(|app| app.len()).collect::<Vec<_>>());
    let (mapped, others) = map_ecosystem(value, &import());
    let untold = others.len();
    let made = finished(mapped, others);
    if let Some(given) = given {
        assert_eq!(made.report.apps.len() + untold, given.len(), "an app is not told of");
        if untold == 0 {
            let told: Vec<_> = made.report.apps.iter().map(|app| app.options.len()).collect();
            assert_eq!(told, given, "an option is not told of");
        }
    }
    for line in made.report.apps.iter().flat_map(|app| &app.options) {
        assert!(!line.becomes.is_empty(), "{}", line.option);
    }
}

/// The apps of a file that has nothing else in it.
fn apps(value: &Value) -> Option<Vec<&Map<String, Value>>> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    fields.get("apps")?.as_array()?.iter().map(Value::as_object).collect()
}
