//! What of `docs/` is made from the code: the manual pages and the tables of keys.
//! `UPDATE_GENERATED=1 cargo test --test generated` makes them anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test, also outside of #[test]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use clap_mangen::Man;
use serde_json::{Map, Value};

/// Where a table of keys begins: `<!-- keys: limits -->`. The top level is the table `top`.
const KEYS_BEGIN: &str = "<!-- keys: ";

/// Where it ends.
const KEYS_END: &str = "<!-- end of keys -->";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

fn is_updating() -> bool {
    std::env::var_os("UPDATE_GENERATED").is_some()
}

/// The files of a folder, by name.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn the_manual_pages_in_docs_are_those_of_today() {
    let made = tempfile::tempdir().unwrap();
    let romuoctl = Command::cargo_bin("romuoctl").unwrap();
    { romuoctl }.args(["man", "--dir"]).arg(made.path()).assert().success();
    let mut today = files(made.path());
    let mut server = Vec::new();
    // 8: for the machine's administrator (man(1)); nobody else starts it.
    Man::new(romuo::server::command()).section("8").render(&mut server).unwrap();
    today.insert("romuo-server.8".into(), String::from_utf8(server).unwrap());

    let folder = docs().join("man");
    if is_updating() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (name, page) in &today {
            fs::write(folder.join(name), page).unwrap();
        }
    }
    let checked_in = files(&folder);
    let hint = "docs/man drifted: UPDATE_GENERATED=1 cargo test --test generated";
    assert!(checked_in.keys().eq(today.keys()), "{hint}: {:?}", checked_in.keys());
    for (name, page) in &today {
        assert!(checked_in[name] == *page, "{hint}: {name}");
    }
}

#[test]
fn the_reference_of_the_configuration_has_the_keys_of_today() {
    let path = docs().join("configuration.md");
    let checked_in = fs::read_to_string(&path).unwrap();
    let schema: Value = serde_json::from_str(&romuo::config::schema()).unwrap();
    let (today, tables) = with_tables(&checked_in, &schema);
    assert_eq!(tables, names_of_tables(&schema), "each table of keys has its place, in this order");
    if is_updating() {
        fs::write(&path, &today).unwrap();
    } else {
        let hint = "docs/configuration.md drifted: UPDATE_GENERATED=1 cargo test --test generated";
        assert!(checked_in == today, "{hint}");
    }
}

#[test]
fn the_complete_examples_of_the_reference_have_every_key() {
    let text = fs::read_to_string(docs().join("configuration.md")).unwrap();
    let (_, examples) = text.split_once("## Complete examples").unwrap();
    let examples =
        examples.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let examples: Vec<toml::Table> = examples
        .map(|example| {
            romuo::config::parse(example, Path::new("/romuo.toml"))
                .unwrap_or_else(|error| panic!("{error:?}"));
            example.parse().unwrap()
        })
        .collect();
    let schema: Value = serde_json::from_str(&romuo::config::schema()).unwrap();
    for (name, key) in properties(&schema) {
        let said: Vec<_> = examples.iter().filter_map(|example| example.get(name)).collect();
        assert!(!said.is_empty(), "{name} is not in the examples");
        for (inner, _) in key.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let is_said = said.iter().any(|said| said.get(inner).is_some());
            assert!(is_said, "{name}.{inner} is not in the examples");
        }
    }
}

fn properties(schema: &Value) -> &Map<String, Value> {
    schema["properties"].as_object().expect("a table")
}

/// The tables of the file: the top level, then the others.
fn names_of_tables(schema: &Value) -> Vec<String> {
    let inner = properties(schema).iter().filter(|(_, key)| key.get("properties").is_some());
    std::iter::once("top".to_owned()).chain(inner.map(|(name, _)| name.clone())).collect()
}

/// The document with its tables of keys made anew, and which tables those are.
fn with_tables(document: &str, schema: &Value) -> (String, Vec<String>) {
    let (mut text, mut tables) = (String::new(), Vec::new());
    let mut parts = document.split(KEYS_BEGIN);
    text += parts.next().unwrap_or_default();
    for part in parts {
        let (name, _) = part.split_once(" -->").expect("the marker is closed");
        let (_, rest) = part.split_once(KEYS_END).expect("the table ends");
        let keys = if name == "top" { schema } else { &schema["properties"][name] };
        let _ = write!(text, "{KEYS_BEGIN}{name} -->\n{}{KEYS_END}{rest}", table(keys));
        tables.push(name.to_owned());
    }
    (text, tables)
}

/// The keys of one table, as a table.
fn table(schema: &Value) -> String {
    let mut text = "\n| key | type | default | meaning |\n|---|---|---|---|\n".to_owned();
    for (name, key) in properties(schema) {
        if key.get("properties").is_some() {
            continue;
        }
        let required =
            schema["required"].as_array().is_some_and(|all| all.contains(&name[..].into()));
        let default = match key.get("default") {
            Some(default) => format!("`{default}`"),
            None if required => "has to be given".into(),
            None => "none".into(),
        };
        let meaning = key["description"].as_str().expect("a description").replace('\n', " ");
        let _ = writeln!(text, "| `{name}` | {} | {default} | {meaning} |", kind(key));
    }
    text + "\n"
}

/// What a value of a key looks like, in a word that the document explains.
fn kind(key: &Value) -> String {
    let pattern = key["pattern"].as_str().unwrap_or_default();
    if let Some(values) = key["enum"].as_array() {
        values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" or ")
    } else if let Some(items) = key.get("items") {
        match items["examples"][0].as_str() {
            Some("127.0.0.1:3000") => "[address](#addresses), or a list of them".into(),
            Some(_) => "network, or a list of them".into(),
            None => "text, or a list of texts".into(),
        }
    } else if key["type"] == "object" {
        "[table](#environment)".into()
    } else if pattern.contains("msec") {
        "[duration](#durations)".into()
    } else if pattern.contains("KMGT") {
        "[size](#sizes)".into()
    } else if pattern.contains('%') {
        let other = if pattern.contains("off") { "`\"off\"`" } else { "whole number, 1 or more" };
        format!("percentage or {other}")
    } else if pattern == "^max$" {
        "whole number or `\"max\"`".into()
    } else if key["type"] == "integer" {
        let least = &key["minimum"];
        format!("whole number, {least} or more")
    } else {
        "text".into()
    }
}
