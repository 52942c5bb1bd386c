//! The JSON schema of `romuo.toml`, for editors.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::duration::pattern;
use super::file::File;
use super::listen::Listen;
use super::retry::Retry;
use super::settings::{Method, Mode, Network, OnFailure, Settings};
use super::share::Share;
use super::subnet::Subnet;
use super::threshold::Threshold;
use super::typed::{Any, OneOrMore, ShellLine, Time, Variable, Word};
use super::value::{Instances, Size};
use super::write::to_toml;
use crate::unit::{AppName, UserName};

/// The JSON schema (draft 7, which the TOML plug-ins of editors read) of `romuo.toml`, indented.
#[must_use]
pub fn schema() -> String {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<File>().to_value();
    drop_null(&mut schema);
    add_defaults(&mut schema);
    format!("{schema:#}\n")
}

/// TOML has no null: a key that may be absent is not one that may be null.
fn drop_null(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for list in ["type", "enum"] {
                if let Some(Value::Array(items)) = fields.get_mut(list) {
                    items.retain(|item| !item.is_null() && item != "null");
                }
            }
            if let Some([only]) = fields.get("type").and_then(Value::as_array).map(Vec::as_slice) {
                let only = only.clone();
                fields.insert("type".into(), only);
            }
            fields.values_mut().for_each(drop_null);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null),
        _ => {}
    }
}

/// Adds the default of each key, as the settings of an app with every default are written.
fn add_defaults(schema: &mut Value) {
    let settings = Settings::new(AppName::default(), "/".into());
    let Ok(mut defaults) = toml::from_str::<Value>(&to_toml(&settings)) else { return };
    // Its default depends on where the file is.
    defaults["directory"].take();
    add_default(schema, &defaults);
}

fn add_default(schema: &mut Value, default: &Value) {
    match default {
        Value::Null => {}
        Value::Object(keys) => {
            for (key, default) in keys {
                add_default(&mut schema["properties"][key.as_str()], default);
            }
        }
        _ => schema["default"] = default.clone(),
    }
}

/// Implements [`JsonSchema`] for a type by the schema that describes how it is written.
macro_rules! written_as {
    ($($type:ty => $schema:tt)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

written_as! {
    AppName => { "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,30}$" }
    UserName => { "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]{0,30}$" }
    Network => { "type": "string", "enum": ["none", "host"] }
    Mode => { "type": "string", "enum": ["front", "inherit"] }
    OnFailure => { "type": "string", "enum": ["halt", "continue"] }
    Share => { "type": ["integer", "string"], "minimum": 1, "maximum": 65535, "pattern": "^(100|[1-9][0-9]?)%$" }
    Method => { "type": "string", "enum": ["swap", "restart"] }
    Subnet => { "type": "string", "examples": ["127.0.0.1", "10.0.0.0/8", "fd00::/8"] }
    Word => { "type": ["string", "integer"] }
    ShellLine => { "type": "string" }
    Variable => { "type": ["string", "integer", "boolean"] }
    // `minimum` speaks of numbers only, `pattern` of texts only.
    Instances => { "type": ["integer", "string"], "minimum": 1, "maximum": 65535, "pattern": "^max$" }
    Size => { "type": ["string", "integer"], "minimum": 1, "pattern": "^[0-9]+[KMGT]?$" }
    // `false` is "off"; `true` is nothing.
    Threshold => {
        "type": ["string", "boolean"], "pattern": "^([1-9][0-9]?%|off)$", "not": { "const": true }
    }
    Retry => {
        "type": ["string", "boolean"], "pattern": format!("^({}|off)$", pattern().trim_matches(['^', '$'])), "not": { "const": true }
    }
    Time => { "type": "string", "pattern": pattern() }
    Listen => { "type": "string", "examples": ["127.0.0.1:3000", "[::1]:3000", "/run/app.sock"] }
}

impl<T: JsonSchema> JsonSchema for OneOrMore<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMore<{}>", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = T::json_schema(generator);
        json_schema!({ "type": ["array", "string"], "items": item, "minItems": 1, "uniqueItems": true })
    }
}

impl<T: JsonSchema> JsonSchema for Any<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Any<{}>", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = T::json_schema(generator);
        json_schema!({ "type": ["array", "string"], "items": item })
    }
}
