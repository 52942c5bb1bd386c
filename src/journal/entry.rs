//! One entry of the journal, in the JSON that journalctl prints.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize};

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When it was received, in microseconds since 1970.
    pub time_us: i64,
    /// The unit that said it, or of which systemd said it.
    pub unit: Option<String>,
    /// Its text.
    pub message: String,
    /// Its syslog priority: 0 is the worst, 7 is debug; 3 and below are errors.
    pub priority: u8,
    /// The process that said it.
    pub pid: Option<u32>,
    /// Where a program wrote it to; none: it was not written to a stream, as what systemd and
    /// `romuo-server` say.
    pub stream: Option<Stream>,
}

/// What a program wrote a line to. The front gives its program's standard output the priority info
/// and its standard error the priority err; systemd itself gives both the same (`SyslogLevel=`,
/// systemd.exec(5)), so that of a program without a front everything is of standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The fields that are read (systemd.journal-fields(7)); journalctl writes all of them as text.
#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    time: String,
    #[serde(rename = "UNIT")]
    about: Option<Text>,
    #[serde(rename = "_SYSTEMD_UNIT")]
    from: Option<Text>,
    #[serde(rename = "MESSAGE")]
    message: Option<Text>,
    #[serde(rename = "PRIORITY")]
    priority: Option<Text>,
    #[serde(rename = "_PID")]
    pid: Option<Text>,
    #[serde(rename = "_TRANSPORT")]
    transport: Option<Text>,
}

/// A field's value: text, or bytes where it is not UTF-8. A field that occurs more than once is a
/// list of these, of which the first counts.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Value {
            Text(String),
            Bytes(Vec<u8>),
            List(Vec<Value>),
            Other(serde::de::IgnoredAny),
        }
        fn text(value: Value) -> String {
            match value {
                Value::Text(text) => text,
                Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Value::List(list) => list.into_iter().next().map(text).unwrap_or_default(),
                Value::Other(_) => String::new(),
            }
        }
        Value::deserialize(deserializer).map(|value| Self(text(value)))
    }
}

/// Priority of an entry that has none: informational.
const DEFAULT_PRIORITY: u8 = 6;

/// The priority err of syslog(3), which the lines of standard error have.
const ERROR: u8 = 3;

/// The priority debug, the last of syslog(3).
const DEBUG: u8 = 7;

impl Stream {
    /// The fields that its entries have, as matches of journalctl(1).
    pub(super) fn fields(self) -> Vec<String> {
        let priorities = match self {
            Self::Stderr => 0..=ERROR,
            Self::Stdout => ERROR + 1..=DEBUG,
        };
        let priorities = priorities.map(|priority| format!("PRIORITY={priority}"));
        std::iter::once("_TRANSPORT=stdout".to_owned()).chain(priorities).collect()
    }

    fn of(priority: u8) -> Self {
        if priority <= ERROR { Self::Stderr } else { Self::Stdout }
    }
}

impl Entry {
    /// Reads one line of `journalctl --output=json`.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        let raw: Raw = serde_json::from_str(line)?;
        let priority = raw.priority.and_then(|p| p.0.parse().ok()).unwrap_or(DEFAULT_PRIORITY);
        let stream = raw.transport.filter(|transport| transport.0 == "stdout");
        Ok(Self {
            time_us: raw.time.parse().map_err(serde::de::Error::custom)?,
            unit: raw.about.or(raw.from).map(|unit| unit.0),
            message: raw.message.map(|message| message.0).unwrap_or_default(),
            priority,
            stream: stream.map(|_| Stream::of(priority)),
            pid: raw.pid.and_then(|pid| pid.0.parse().ok()),
        })
    }

    /// When it was received, as `YYYY-MM-DD HH:mm:ss +ZZ:ZZ`.
    #[must_use]
    pub fn time(&self, zone: &TimeZone) -> String {
        let time = Timestamp::from_microsecond(self.time_us).unwrap_or_default();
        time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_an_instance_is_read() {
        let line = r#"{"__REALTIME_TIMESTAMP":"1770907800000000","MESSAGE":"ready","_PID":"7",
            "_SYSTEMD_UNIT":"romuo@1.service","PRIORITY":"5","_HOSTNAME":"x"}"#;
        let entry = Entry::parse(line).unwrap();
        assert_eq!(entry.unit.as_deref(), Some("romuo@1.service"));
        assert_eq!((entry.message.as_str(), entry.priority, entry.pid), ("ready", 5, Some(7)));
        assert_eq!(entry.time(&TimeZone::UTC), "2026-02-12 14:50:00 +00:00");
    }

    #[test]
    fn bytes_lists_and_absent_fields_are_read_too() {
        let line = r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":[104,105],"UNIT":["a.service","b"]}"#;
        let entry = Entry::parse(line).unwrap();
        assert_eq!((entry.message.as_str(), entry.unit.as_deref()), ("hi", Some("a.service")));
        assert_eq!(entry.priority, DEFAULT_PRIORITY);
        assert_eq!(
            Entry::parse(r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":null}"#).unwrap().message,
            ""
        );
    }

    #[test]
    fn the_streams_of_a_program_are_told_apart_and_from_what_others_say() {
        let stream = |transport: &str, priority: &str| {
            let line = format!(
                r#"{{"__REALTIME_TIMESTAMP":"1","_TRANSPORT":"{transport}","PRIORITY":"{priority}"}}"#
            );
            Entry::parse(&line).unwrap().stream
        };
        assert_eq!(stream("stdout", "6"), Some(Stream::Stdout));
        assert_eq!(stream("stdout", "3"), Some(Stream::Stderr));
        assert_eq!(stream("journal", "3"), None);
    }

    #[test]
    fn a_line_that_is_no_entry_is_an_error() {
        assert!(Entry::parse("-- No entries --").is_err());
        assert!(Entry::parse(r#"{"MESSAGE":"no time"}"#).is_err());
    }
}
