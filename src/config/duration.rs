//! Durations as systemd.time(7) writes them: `10s`, `100ms`, `1min 30s`.

use std::fmt::Write as _;
use std::time::Duration;

use super::value::ValueError;

/// What a duration looks like, for error texts.
pub(super) const ALLOWED: &str =
    "a duration such as \"10s\", \"100ms\" or \"1min 30s\", 365d at most";

/// Longest duration, in microseconds: 365 days. Every sum of such a duration and a point in time
/// is still a point in time.
pub(super) const MAX_MICROS: u64 = 365 * 86_400_000_000;

/// The units of systemd.time(7) up to weeks, with their lengths in microseconds; the first of each
/// length is the one that [`format_duration`] writes.
const UNITS: [(&[&str], u64); 7] = [
    (&["w", "week", "weeks"], 7 * 86_400_000_000),
    (&["d", "day", "days"], 86_400_000_000),
    (&["h", "hr", "hour", "hours"], 3_600_000_000),
    (&["min", "m", "minute", "minutes"], 60_000_000),
    (&["s", "sec", "second", "seconds"], 1_000_000),
    (&["ms", "msec"], 1_000),
    (&["us", "usec", "µs", "μs"], 1),
];

/// Reads a duration as systemd.time(7) writes it: whole numbers, each with its unit, added up.
/// Unlike there, a number without a unit is refused: PM2 would read it as milliseconds, systemd
/// as seconds.
///
/// # Errors
/// Where the text is no such duration or longer than 365 days.
pub fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    let refuse = |hint| ValueError::new(text, ALLOWED).hint(hint);
    let mut micros = 0_u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(refuse(None));
    }
    while !rest.is_empty() {
        let (digits, tail) = cut(rest, |c| c.is_ascii_digit());
        let (unit, tail) = cut(tail.trim_start(), char::is_alphabetic);
        if digits.is_empty() || unit.is_empty() {
            return Err(refuse(hint(rest, digits)));
        }
        let length =
            UNITS.iter().find(|(names, _)| names.contains(&unit)).map(|(_, micros)| *micros);
        let Some(length) = length else {
            return Err(refuse(Some(format!("`{unit}` is no unit; use ms, s, min, h or d"))));
        };
        micros = digits
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(length)?.checked_add(micros))
            .filter(|micros| *micros <= MAX_MICROS)
            .ok_or_else(|| refuse(None))?;
        rest = tail.trim_start();
    }
    Ok(Duration::from_micros(micros))
}

/// Writes a duration so that [`parse_duration`] and systemd read it; what is below a microsecond
/// is cut off, as systemd counts no finer.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut text = String::new();
    let mut rest = duration.as_micros();
    for (names, length) in UNITS {
        let count = rest / u128::from(length);
        rest %= u128::from(length);
        if count > 0 {
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{space}{count}{}", names[0]);
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// A regular expression for durations, for the JSON schema.
pub(super) fn pattern() -> String {
    let units: Vec<&str> = UNITS.iter().flat_map(|(names, _)| *names).copied().collect();
    format!("^ *([0-9]+ *({}) *)+$", units.join("|"))
}

/// Cuts the longest start of `text` whose characters all are `wanted`.
fn cut(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !wanted(c)).unwrap_or(text.len()))
}

/// What someone may have meant who wrote a part of a duration that starts with `digits` and is
/// none.
fn hint(part: &str, digits: &str) -> Option<String> {
    if digits.is_empty() {
        None
    } else if part == digits {
        Some(format!("add a unit: \"{digits}s\", \"{digits}ms\" or \"{digits}min\""))
    } else if part[digits.len()..].starts_with('.') {
        Some("write whole numbers: \"1s 500ms\"".into())
    } else {
        None
    }
}
