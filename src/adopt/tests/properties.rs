//! Whatever a file says: the import ends, and what it writes can be read.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::adopt::error::AdoptError;
use crate::adopt::import::{Import, Imported, finish, map_ecosystem};
use crate::adopt::options::OPTIONS;
use crate::adopt::source::{json, yaml};
use crate::adopt::{option, procfile};
use crate::unit::AppName;

/// A folder that is not there: nothing of this machine plays a part.
const FILE: &str = "/nowhere/at all/ecosystem.json";

fn import() -> Import<'static> {
    static NONE: BTreeMap<u16, AppName> = BTreeMap::new();
    let output = Path::new("/nowhere");
    let search = "/nowhere".as_ref();
    Import { file: Path::new(FILE), output, env: None, search, taken: &NONE }
}

fn imported(value: Value) -> Result<Imported, AdoptError> {
    let import = import();
    let (mapped, others) = map_ecosystem(value, &import);
    finish(mapped, others, Vec::new(), &import)
}

/// Any JSON, with texts of every kind.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(Value::from),
        "[0-9]{1,6}[hmsKMG]?".prop_map(Value::from),
        "[a-z./@ -]{0,20}".prop_map(Value::from),
        "\\PC{0,9}[\0\n\t\"'\\\\$]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(keys(), inner, 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn keys() -> impl Strategy<Value = String> {
    let names: Vec<&str> = OPTIONS
        .iter()
        .flat_map(|known| known.aliases.iter().chain([&known.name]))
        .copied()
        .collect();
    prop_oneof![
        4 => proptest::sample::select(names).prop_map(String::from),
        1 => proptest::sample::select(vec!["env_production", "apps", "deploy", "PORT", "HOST"])
            .prop_map(String::from),
        1 => any::<String>(),
    ]
}

/// An app with a script and any options.
fn apps() -> impl Strategy<Value = Map<String, Value>> {
    let scripts = prop_oneof![
        "[a-z./ ]{1,12}(\\.js|\\.py|)",
        "\\PC{1,12}",
        Just("serve".into()),
        "(PORT|NODE_ENV|HOST|A)=[0-9a-z]{0,3} (next|node) x( -p [0-9]{1,6})?"
    ];
    (scripts, proptest::collection::btree_map(keys(), any_json(), 0..12)).prop_map(
        |(script, options)| {
            let mut app: Map<String, Value> = options.into_iter().collect();
            app.insert("script".into(), script.into());
            app
        },
    )
}

proptest! {
    #[test]
    fn any_json_is_imported_or_has_no_app(value in any_json()) {
        let _ = imported(value);
    }

    /// `finish` refuses what `config::parse` does not read: a defect.
    #[test]
    fn every_app_with_a_script_becomes_a_configuration_that_is_read(
        apps in proptest::collection::vec(apps(), 1..4),
    ) {
        let count = apps.len();
        let lines: Vec<usize> = apps.iter().map(Map::len).collect();
        let made = imported(json!({ "apps": apps }));
        prop_assert!(made.is_ok(), "{made:?}");
        let made = made.unwrap();
        // What has no script that fits on a line is in the list of the others.
        prop_assert_eq!(made.report.apps.len() + made.report.others.len(), count);
        if made.report.others.is_empty() {
            let said: Vec<usize> = made.report.apps.iter().map(|app| app.options.len()).collect();
            prop_assert_eq!(said, lines, "each option has its line");
        }
        for line in made.report.apps.iter().flat_map(|app| &app.options) {
            prop_assert!(!line.becomes.is_empty());
        }
    }

    #[test]
    fn any_procfile_is_imported(text in "([a-z]{0,6}:? ?\\PC{0,20}\n){0,5}") {
        let import = import();
        let (mapped, others, notes) = procfile::map(&text, &import);
        prop_assert!(finish(mapped, others, notes, &import).is_ok());
    }

    #[test]
    fn no_text_makes_a_reader_fail(text in "\\PC{0,60}", nearly in "[\\[\\]{}:,\"'a-z0-9 \n#&*-]{0,60}") {
        let _ = (json(&text), yaml(&text), json(&nearly), yaml(&nearly), option(&text));
    }
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    let deep = "[".repeat(100_000);
    assert!(json(&deep).unwrap_err().contains("deep"));
    assert!(yaml(&deep).unwrap_err().contains("deep"));
    let block: Vec<_> = (0..3000).map(|depth| format!("{}a:", " ".repeat(depth))).collect();
    let _ = yaml(&block.join("\n"));
    let _ = yaml(&format!("{}a", "- ".repeat(20_000)));
}
