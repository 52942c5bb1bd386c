//! A `romuo.toml` in the making: keys with comments for the person who reads on.

use std::fmt::Write as _;

use toml::Value;

use crate::unit::AppName;

/// Width of a comment, in characters.
const WIDTH: usize = 96;

/// The tables, in the order of the reference; keys without a table come first.
const TABLES: [&str; 8] =
    ["", "environment", "limits", "health", "reload", "deploy", "front", "static"];

/// The text of a `romuo.toml`, before it is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The name of the app.
    pub name: AppName,
    head: Vec<String>,
    keys: Vec<Key>,
}

#[derive(Debug, Clone, PartialEq)]
struct Key {
    table: &'static str,
    name: String,
    value: Value,
    comment: String,
    /// Only a suggestion: it is commented out.
    suggested: bool,
}

impl Draft {
    /// One that says nothing but the name of the app.
    #[must_use]
    pub fn new(name: AppName) -> Self {
        Self { name, head: Vec::new(), keys: Vec::new() }
    }

    /// Adds a sentence to the head of the file.
    pub(super) fn say(&mut self, sentence: impl Into<String>) {
        self.head.push(sentence.into());
    }

    /// Sets `limits.memory`, with a comment or an empty one. The last value of a key wins.
    pub(super) fn set(
        &mut self,
        key: &'static str,
        value: impl Into<Value>,
        comment: impl Into<String>,
    ) {
        let (table, name) = key.split_once('.').unwrap_or(("", key));
        self.put(table, name, value.into(), comment.into(), false);
    }

    /// As [`set`](Self::set), commented out.
    pub(super) fn suggest(
        &mut self,
        key: &'static str,
        value: impl Into<Value>,
        comment: impl Into<String>,
    ) {
        let (table, name) = key.split_once('.').unwrap_or(("", key));
        self.put(table, name, value.into(), comment.into(), true);
    }

    /// Sets a variable of the app's environment.
    pub(super) fn variable(&mut self, name: &str, value: &str) {
        self.put("environment", name, value.into(), String::new(), false);
    }

    fn put(
        &mut self,
        table: &'static str,
        name: &str,
        value: Value,
        comment: String,
        suggested: bool,
    ) {
        let key = Key { table, name: name.into(), value, comment, suggested };
        match self.keys.iter_mut().find(|known| known.table == table && known.name == name) {
            Some(known) => *known = key,
            None => self.keys.push(key),
        }
    }

    /// What was set as a key, suggestions left out.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        let (table, name) = key.split_once('.').unwrap_or(("", key));
        let is = |known: &&Key| known.table == table && known.name == name && !known.suggested;
        self.keys.iter().find(is).map(|known| &known.value)
    }

    /// The text of the file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for sentence in &self.head {
            comment(&mut text, sentence);
        }
        if !self.head.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "name = {}", Value::from(self.name.as_str()));
        for table in TABLES {
            let mut keys = self.keys.iter().filter(|key| key.table == table).peekable();
            if !table.is_empty() && keys.peek().is_some() {
                let _ = writeln!(text, "\n[{table}]");
            }
            for (at, key) in keys.enumerate() {
                if !key.comment.is_empty() {
                    // The head of a table is its own break.
                    if at > 0 || table.is_empty() {
                        text.push('\n');
                    }
                    comment(&mut text, &key.comment);
                }
                let hidden = if key.suggested { "# " } else { "" };
                let _ = writeln!(text, "{hidden}{} = {}", bare(&key.name), key.value);
            }
        }
        text
    }
}

/// The name of a key, in quotes where it needs them (TOML 1.0, "Keys").
fn bare(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(plain) {
        name.into()
    } else {
        Value::from(name).to_string()
    }
}

/// Writes a sentence as comments that are no wider than [`WIDTH`].
fn comment(text: &mut String, sentence: &str) {
    // A control character would end the comment, or the file.
    let sentence: String = sentence.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut line = "#".to_owned();
    for word in sentence.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line != "#" {
            text.push_str(&line);
            text.push('\n');
            line = "#".into();
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// The name of an app for somebody who calls it `text`: small letters, digits, `-` and `_`, a
/// letter first.
pub(super) fn app_name(text: &str) -> Option<AppName> {
    // "@shop/api" of npm, "example.org/shop/api" of Go
    let last = text.rsplit('/').find(|part| !part.is_empty()).unwrap_or(text);
    let mut name = String::new();
    for c in last.to_lowercase().chars() {
        match c {
            'a'..='z' => name.push(c),
            '0'..='9' | '_' if !name.is_empty() => name.push(c),
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
        if name.len() == NAME_MAX {
            break;
        }
    }
    name.trim_end_matches('-').parse().ok()
}

/// Longest name of an app, in bytes: see [`AppName`].
const NAME_MAX: usize = 31;
