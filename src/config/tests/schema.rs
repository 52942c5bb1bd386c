//! The JSON schema of the file.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use proptest::string::string_regex;
use serde_json::Value;
use toml::de::DeTable;

use crate::config::file::File;
use crate::config::reader::Reader;
use crate::config::report::Report;
use crate::config::{parse, schema};

/// The keys that the schema describes, each with its schema.
fn described() -> Vec<(String, Value)> {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let mut keys = Vec::new();
    for (name, key) in schema["properties"].as_object().unwrap() {
        match key.get("properties").and_then(Value::as_object) {
            None => keys.push((name.clone(), key.clone())),
            Some(inner) => {
                keys.extend(
                    inner.iter().map(|(inner, key)| (format!("{name}.{inner}"), key.clone())),
                );
            }
        }
    }
    keys
}

#[test]
fn the_schema_describes_exactly_the_keys_that_are_known() {
    let mut report = Report::new(Path::new("romuo.toml"), "");
    let root = DeTable::new();
    let mut reader = Reader::new(&root, &mut report);
    File::read(&mut reader);
    let known: BTreeSet<String> = reader.finish().dotted().into_iter().collect();
    assert_eq!(described().into_iter().map(|(key, _)| key).collect::<BTreeSet<_>>(), known);
}

#[test]
fn every_key_has_a_description_and_a_type_that_is_not_null() {
    for (key, schema) in described() {
        assert!(schema["description"].is_string(), "{key}");
        assert!(schema["type"].is_string() || schema["type"].is_array(), "{key}");
        assert!(!schema.to_string().contains("null"), "{key}: {schema}");
    }
}

#[test]
fn the_schema_in_docs_is_the_current_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/romuo.schema.json");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, schema()).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap();
    assert!(
        checked_in == schema(),
        "{} has drifted; run the tests with UPDATE_GENERATED=1",
        path.display()
    );
}

proptest! {
    /// What an editor lets pass by the pattern of a key, `parse` takes too (or refuses it for its
    /// size alone).
    #[test]
    fn what_matches_a_pattern_is_read((key, text) in matching()) {
        let text = format!("{key} = \"{text}\"");
        if let Err(error) = parse(&text, Path::new("/romuo.toml")) {
            let sentence = error.to_string();
            let size_alone = ["8M or more", "from \"1s\" to \"1h\"", "above 0", "365d at most", "a duration up to", "min_uptime` or more"];
            prop_assert!(size_alone.iter().any(|allowed| sentence.contains(allowed)), "{sentence}");
        }
    }
}

/// A key that has a pattern, and a text that matches it.
fn matching() -> impl Strategy<Value = (String, String)> {
    let patterns: Vec<(String, String)> = described()
        .into_iter()
        .filter_map(|(key, schema)| Some((key, schema["pattern"].as_str()?.to_owned())))
        .collect();
    assert!(patterns.len() > 5, "{patterns:?}");
    proptest::sample::select(patterns).prop_flat_map(|(key, pattern)| {
        let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
        (Just(key), string_regex(pattern).unwrap())
    })
}
