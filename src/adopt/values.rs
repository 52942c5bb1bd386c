//! Values of an ecosystem file as PM2 reads them (its `lib/tools/Config.js`).

use std::time::Duration;

use serde_json::Value;

use crate::config::Size;

/// Longest span that `romuo.toml` takes, in milliseconds: 365 days.
const MILLIS_MAX: f64 = 365.0 * 24.0 * 60.0 * 60.0 * 1000.0;

/// Smallest limit of memory that `romuo.toml` takes.
const MEMORY_MIN: Size = Size::mib(8);

/// A number, or a text that is one.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    number.is_finite().then_some(number)
}

/// A text on one line that is not empty.
pub(super) fn line(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.trim().is_empty() && !text.contains(char::is_control))
}

/// A number as it is written, a text as it is.
pub(super) fn scalar(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => return None,
    };
    (!text.contains('\0')).then_some(text)
}

/// Milliseconds, or a whole number with `h`, `m` or `s`.
pub(super) fn time(value: &Value) -> Result<Duration, String> {
    let suffixed = || {
        let text = value.as_str()?.trim();
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let factor = match unit {
            "h" => 3_600_000.0,
            "m" => 60_000.0,
            "s" => 1000.0,
            _ => return None,
        };
        Some(digits.parse::<f64>().ok()? * factor)
    };
    let millis = number(value).or_else(suffixed);
    match millis {
        Some(millis) if (0.0..=MILLIS_MAX).contains(&millis) => {
            Duration::try_from_secs_f64((millis / 1000.0 * 1e6).round() / 1e6)
                .map_err(|error| error.to_string())
        }
        _ => Err("it is no time that PM2 takes, which is a number of milliseconds".into()),
    }
}

/// Bytes, or a number with `K`, `M` or `G`; at least as much as romuo takes.
pub(super) fn size(value: &Value) -> Result<Size, String> {
    let text = match value {
        Value::String(text) => text.trim().to_ascii_uppercase(),
        _ => number(value).map(|bytes| format!("{bytes:.0}")).unwrap_or_default(),
    };
    // "300MB" is a common mistake, of which PM2 makes an error.
    let size = text.strip_suffix('B').unwrap_or(&text).parse::<Size>();
    let size = size.map_err(|_| "it is no size that PM2 takes, such as \"300M\"".to_owned())?;
    Ok(size.max(MEMORY_MIN))
}

/// The port that a value names.
pub(super) fn port(value: &Value) -> Option<u16> {
    let port = number(value)?;
    let port = format!("{port}").parse::<u16>().ok()?;
    (port > 0).then_some(port)
}

/// Words: a list, or a text that PM2 splits at spaces outside of quotes.
pub(super) fn words(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| scalar(item).ok_or_else(|| "one of its items is no word".to_owned()))
            .collect(),
        Value::String(text) if !text.contains('\0') => Ok(split(text)),
        Value::Null => Ok(Vec::new()),
        _ => scalar(value).map(|word| vec![word]).ok_or_else(|| "it is no list of words".into()),
    }
}

/// Splits at spaces; quotes hold a word together and go.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => (quote, begun) = (Some(c), true),
            None if c.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// Whether JavaScript takes a value for false.
pub(super) fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => matches!(&**text, "" | "false" | "0"),
        Value::Array(items) => items.is_empty(),
        Value::Object(_) => false,
    }
}
