//! Values as PM2 reads them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::adopt::draft::{Draft, app_name};
use crate::adopt::values::{is_off, port, size, time, words};

#[test]
fn times_are_milliseconds_unless_they_say_otherwise() {
    for (value, millis) in [
        (json!(1500), 1500),
        (json!("1500"), 1500),
        (json!("20s"), 20_000),
        (json!("2m"), 120_000),
        (json!("1h"), 3_600_000),
        (json!(0), 0),
    ] {
        assert_eq!(time(&value), Ok(Duration::from_millis(millis)), "{value}");
    }
    for value in
        [json!(-1), json!("x"), json!(""), json!("ä"), json!(1e300), json!([]), json!(null)]
    {
        assert!(time(&value).is_err(), "{value}");
    }
}

#[test]
fn sizes_are_bytes_unless_they_say_otherwise() {
    for (value, text) in [
        (json!("300M"), "300M"),
        (json!("300m"), "300M"),
        (json!("1GB"), "1G"),
        (json!(314_572_800), "300M"),
        (json!("10K"), "8M"),
    ] {
        assert_eq!(size(&value).unwrap().to_string(), text, "{value}");
    }
    for value in [json!("lots"), json!(-1), json!(null), json!("1.5G"), json!(1e300)] {
        assert!(size(&value).is_err(), "{value}");
    }
}

#[test]
fn ports_and_words_and_what_is_off() {
    assert_eq!(port(&json!("3000")), Some(3000));
    assert_eq!(port(&json!(0)), None);
    assert_eq!(port(&json!(70000)), None);
    assert_eq!(port(&json!("/run/x.sock")), None);
    let split = |text: &str| words(&Value::from(text)).unwrap();
    assert_eq!(split("--a 'b c' d\"e f\" ''"), ["--a", "b c", "de f", ""]);
    assert_eq!(words(&json!(["a", 1, true])).unwrap(), ["a", "1", "true"]);
    assert!(words(&json!([null])).is_err());
    for off in [json!(null), json!(false), json!(0), json!(""), json!([]), json!("false")] {
        assert!(is_off(&off), "{off}");
    }
    assert!(!is_off(&json!({})));
}

#[test]
fn names_become_those_of_units() {
    for (given, name) in [
        ("My API", "my-api"),
        ("@acme/shop", "shop"),
        ("9lives", "lives"),
        ("a__b--c", "a__b-c"),
        ("x".repeat(50).as_str(), "x".repeat(31).as_str()),
    ] {
        assert_eq!(app_name(given).unwrap().as_str(), name, "{given}");
    }
    assert_eq!(app_name("123"), None);
    assert_eq!(app_name(""), None);
}

#[test]
fn a_draft_is_read_as_it_was_meant() {
    let mut draft = Draft::new("shop".parse().unwrap());
    draft.say("A head\nwith two lines.");
    draft.suggest("writable", vec!["uploads"], "Not yet.");
    draft.set("limits.memory", "1G", "Much.");
    draft.set("limits.memory", "2G", "More.");
    draft.set("command", vec!["node", "x"], "");
    draft.variable("A.B \"c\"", "x\ny");
    let text = draft.to_toml();
    assert!(
        text.contains("# writable = [\"uploads\"]") && text.contains("# More.\nmemory"),
        "{text}"
    );
    let table: toml::Table = text.parse().unwrap();
    assert_eq!(table["environment"]["A.B \"c\""].as_str(), Some("x\ny"));
    assert_eq!(table["limits"]["memory"].as_str(), Some("2G"));
    assert_eq!(draft.get("writable"), None);
}
