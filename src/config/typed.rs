//! The types that keys of the file have: TOML value -> typed value.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use toml::de::DeValue;

use super::duration::parse_duration;
use super::listen::Listen;
use super::retry::Retry;
use super::settings::{Method, Mode, Network, OnFailure};
use super::share::Share;
use super::subnet::Subnet;
use super::threshold::Threshold;
use super::value::{Instances, Size, ValueError};
use crate::unit::{AppName, UserName};

/// Longest text of a key such as `env`, in characters: it goes into logs and health answers.
const TEXT_MAX: usize = 128;

/// A type that a key of the file can have.
pub(super) trait FromToml: Sized {
    /// Reads a value of the file.
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError>;
}

/// A duration as the file says it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(Duration);

impl From<Time> for Duration {
    fn from(time: Time) -> Self {
        time.0
    }
}

/// One value, or a list of at least one.
#[derive(Debug, Clone)]
pub(super) struct OneOrMore<T>(pub(super) Vec<T>);

impl<T> From<OneOrMore<T>> for Vec<T> {
    fn from(values: OneOrMore<T>) -> Self {
        values.0
    }
}

/// One value, or a list of any length.
#[derive(Debug, Clone)]
pub(super) struct Any<T>(pub(super) Vec<T>);

impl<T> From<Any<T>> for Vec<T> {
    fn from(values: Any<T>) -> Self {
        values.0
    }
}

/// A word of a command.
#[derive(Debug, Clone)]
pub(super) struct Word(pub(super) String);

/// What `sh -c` is to run.
#[derive(Debug, Clone)]
pub(super) struct ShellLine(pub(super) String);

impl From<Any<ShellLine>> for Vec<String> {
    fn from(lines: Any<ShellLine>) -> Self {
        lines.0.into_iter().map(|line| line.0).collect()
    }
}

/// The value of a variable of the environment.
#[derive(Debug, Clone)]
pub(super) struct Variable(pub(super) String);

/// Reads a type that is written as text. Whatever is no text is refused as the empty text is,
/// which no such type allows.
fn from_text<T: FromStr<Err: Into<ValueError>>>(value: &DeValue<'_>) -> Result<T, ValueError> {
    value.as_str().unwrap_or_default().parse().map_err(Into::into)
}

/// A whole number of the file; none: no whole number, or beyond 64 bits.
fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Text that fits on one line; none: it is something else.
fn line<'a>(value: &'a DeValue<'_>) -> Option<&'a str> {
    value.as_str().filter(|text| !text.is_empty() && !text.contains(char::is_control))
}

impl FromToml for AppName {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        from_text(value)
    }
}

impl FromToml for UserName {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        from_text(value)
    }
}

impl FromToml for Listen {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        match integer(value) {
            // `listen = 3000` deserves the hint that "3000" gets.
            Some(port) => port.to_string().parse(),
            None => from_text(value),
        }
    }
}

impl FromToml for Size {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        match integer(value) {
            Some(bytes) => bytes.to_string().parse(),
            None => from_text(value),
        }
    }
}

impl FromToml for Time {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let text = match value {
            DeValue::String(text) => text.as_ref(),
            DeValue::Integer(number) => number.as_str(),
            _ => "",
        };
        parse_duration(text).map(Self)
    }
}

impl FromToml for Threshold {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let bare = match value {
            DeValue::Boolean(false) => return Ok(Self::Off),
            // `recycle = 90` and `recycle = 0.9` deserve the hint that "90" gets.
            DeValue::Integer(number) => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => return from_text(value),
        };
        Err(ValueError::new(bare, Self::ALLOWED).hint(Self::hint(bare)))
    }
}

impl FromToml for Retry {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        match value {
            DeValue::Boolean(false) => Ok(Self::Off),
            DeValue::Integer(number) => {
                let bare = number.as_str();
                Err(ValueError::new(bare, Self::ALLOWED)
                    .hint(format!("add a unit: \"{bare}s\" or \"{bare}min\"")))
            }
            _ => from_text(value),
        }
    }
}

impl FromToml for Instances {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        match (integer(value), value.as_str()) {
            (Some(count), _) => count.to_string().parse(),
            (None, Some("max")) => Ok(Self::Max),
            (None, text) => {
                let count = text.and_then(|text| text.parse::<u16>().ok());
                let hint = count.map(|count| format!("write {count} without quotes"));
                Err(ValueError::new(value.type_str(), Self::ALLOWED).hint(hint))
            }
        }
    }
}

impl FromToml for NonZeroU32 {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        integer(value)
            .and_then(|number| Self::new(u32::try_from(number).ok()?))
            .ok_or_else(|| ValueError::new(value.type_str(), "a whole number, 1 or more"))
    }
}

impl FromToml for u16 {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        integer(value)
            .and_then(|number| Self::try_from(number).ok())
            .ok_or_else(|| ValueError::new(value.type_str(), "a whole number from 0 to 65535"))
    }
}

impl FromToml for Share {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        match integer(value) {
            Some(count) => count.to_string().parse(),
            None => match value.as_str() {
                Some(text) if text.ends_with('%') => text.parse(),
                _ => Err(ValueError::new(value.type_str(), Self::ALLOWED)),
            },
        }
    }
}

impl FromToml for OnFailure {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        match value.as_str() {
            Some("halt") => Ok(Self::Halt),
            Some("continue") => Ok(Self::Continue),
            _ => Err(ValueError::new(value.type_str(), "\"halt\" or \"continue\"")),
        }
    }
}

impl FromToml for Network {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        match value.as_str() {
            Some("none") => Ok(Self::None),
            Some("host") => Ok(Self::Host),
            _ => Err(ValueError::new(value.type_str(), "\"none\" or \"host\"")),
        }
    }
}

impl FromToml for Mode {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        match value.as_str() {
            Some("front") => Ok(Self::Front),
            Some("inherit") => Ok(Self::Inherit),
            _ => Err(ValueError::new(value.type_str(), "\"front\" or \"inherit\"")),
        }
    }
}

impl FromToml for Method {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        match value.as_str() {
            Some("swap") => Ok(Self::Swap),
            Some("restart") => Ok(Self::Restart),
            _ => Err(ValueError::new(value.type_str(), "\"swap\" or \"restart\"")),
        }
    }
}

impl FromToml for Subnet {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        from_text(value)
    }
}

impl FromToml for Word {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let number = value.as_integer().map(toml::de::DeInteger::as_str);
        let text = value.as_str().filter(|text| !text.contains('\0')).or(number);
        text.map(|text| Self(text.into()))
            .ok_or_else(|| ValueError::new(value.type_str(), "a word in quotes"))
    }
}

impl FromToml for ShellLine {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let text = value.as_str().filter(|text| !text.trim().is_empty() && !text.contains('\0'));
        text.map(|text| Self(text.into()))
            .ok_or_else(|| ValueError::new(value.type_str(), "a line for the shell, in quotes"))
    }
}

impl FromToml for Variable {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let text = match value {
            DeValue::String(text) if !text.contains('\0') => text.to_string(),
            DeValue::Integer(number) => number.as_str().to_owned(),
            DeValue::Boolean(truth) => truth.to_string(),
            _ => return Err(ValueError::new(value.type_str(), "text in quotes")),
        };
        Ok(Self(text))
    }
}

impl FromToml for String {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        let text = line(value).filter(|text| text.chars().count() <= TEXT_MAX);
        text.map(Into::into).ok_or_else(|| {
            // `version = 1.0`
            let bare = match value {
                DeValue::Float(number) => Some(number.as_str()),
                DeValue::Integer(number) => Some(number.as_str()),
                _ => None,
            };
            let hint = bare.map(|number| format!("write it in quotes: \"{number}\""));
            let allowed = "text in quotes, on one line, 1 to 128 characters";
            ValueError::new(value.type_str(), allowed).hint(hint)
        })
    }
}

impl FromToml for PathBuf {
    fn from_toml(value: &DeValue<'_>) -> Result<Self, ValueError> {
        line(value).map(Into::into).ok_or_else(|| ValueError::new(value.type_str(), "a path"))
    }
}
