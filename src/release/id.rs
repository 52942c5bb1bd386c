//! Names of releases and commits.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::unit::NameError;

/// How the time in a name is written: to the second, so that names sort as they were staged.
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// How much of a commit is in a name, in characters: as much as git shows.
const SHORT: usize = 7;

/// Longest commit, in characters: SHA-256.
const COMMIT_MAX: usize = 64;

/// The hash of a commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commit(String);

impl Commit {
    /// The hash as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As git shows it.
    #[must_use]
    pub fn short(&self) -> &str {
        // It is made of ASCII characters, and of so many at least.
        self.0.get(..SHORT).unwrap_or(&self.0)
    }
}

impl FromStr for Commit {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hexadecimal = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hexadecimal && (SHORT..=COMMIT_MAX).contains(&text.len()) {
            Ok(Self(text.into()))
        } else {
            let expected = "the hash of a commit: 7 to 64 digits or letters from a to f";
            Err(NameError { given: text.into(), expected })
        }
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a release: `20261126T001100Z-abc1234`; without git `20261126T001100Z`. Another one in
/// the same second ends in `.2`. Releases sort as they were staged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseId {
    /// UTC, in whole seconds.
    at: DateTime,
    /// Which one in that second, from 1.
    number: u32,
    /// Short.
    commit: Option<Commit>,
}

impl ReleaseId {
    /// The name of a release that is staged at that time, the first in its second.
    #[must_use]
    pub fn new(at: Timestamp, commit: Option<&Commit>) -> Self {
        let at = at.to_zoned(TimeZone::UTC).datetime();
        let at = at.with().subsec_nanosecond(0).build().unwrap_or(at);
        Self { at, number: 1, commit: commit.map(|commit| Commit(commit.short().into())) }
    }

    /// The same, but later than `newest`: in its second the next one. That holds too where the clock
    /// was set back since.
    #[must_use]
    pub fn after(mut self, newest: Option<&Self>) -> Self {
        if let Some(newest) = newest.filter(|newest| newest.at >= self.at) {
            self.at = newest.at;
            self.number = newest.number.saturating_add(1);
        }
        self
    }

    /// The commit in the name, as git shows it.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        self.commit.as_ref().map(Commit::as_str)
    }
}

impl FromStr for ReleaseId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = (|| {
            let (rest, number) = match text.split_once('.') {
                Some((rest, number)) => (rest, number.parse().ok()?),
                None => (text, 1),
            };
            let (time, commit) = match rest.split_once('-') {
                Some((time, commit)) => (time, Some(commit.parse::<Commit>().ok()?)),
                None => (rest, None),
            };
            Some(Self { at: DateTime::strptime(TIME, time).ok()?, number, commit })
        })();
        // Nothing has two names: no `.1`, no `.02`, no time with a digit less.
        parsed.filter(|id| id.to_string() == text).ok_or_else(|| NameError {
            given: text.into(),
            expected: "the id of a release, such as 20261126T001100Z-abc1234",
        })
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.at.strftime(TIME).to_string();
        if let Some(commit) = &self.commit {
            text = format!("{text}-{commit}");
        }
        if self.number != 1 {
            text = format!("{text}.{}", self.number);
        }
        f.pad(&text)
    }
}

/// Serde goes through the text.
macro_rules! as_text {
    ($name:ty) => {
        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.to_string()
            }
        }
    };
}

as_text!(Commit);
as_text!(ReleaseId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> ReleaseId {
        text.parse().unwrap()
    }

    #[test]
    fn it_says_when_and_of_which_commit() {
        let at: Timestamp = "2026-11-26T00:11:00.987Z".parse().unwrap();
        let commit: Commit = "abc1234def5678abc1234def5678abc1234def56".parse().unwrap();
        assert_eq!(ReleaseId::new(at, Some(&commit)).to_string(), "20261126T001100Z-abc1234");
        assert_eq!(ReleaseId::new(at, None).to_string(), "20261126T001100Z");
        assert_eq!(id("20261126T001100Z-abc1234").commit(), Some("abc1234"));
        assert_eq!(id("20261126T001100Z").commit(), None);
    }

    #[test]
    fn nothing_else_is_a_name() {
        for bad in [
            "",
            ".",
            "..",
            "current",
            ".20261126T001100Z.partial",
            "20261126T001100",
            "20261126T001100Z.1",
            "20261126T001100Z.02",
            "20261126T001100Z.+2",
            "20261126T001100Z.x",
            "20261126T001100Z-",
            "20261126T001100Z-ABC1234",
            "20261126T001100Z-abc12",
            "20261126T001100Z-abc1234/..",
            "20261326T001100Z",
            " 20261126T001100Z",
            "020261126T001100Z",
        ] {
            assert!(bad.parse::<ReleaseId>().is_err(), "{bad:?}");
        }
        assert!("HEAD".parse::<Commit>().is_err());
        assert!("a".repeat(65).parse::<Commit>().is_err());
    }

    #[test]
    fn a_later_one_sorts_behind_also_in_the_same_second_and_with_a_clock_that_was_set_back() {
        let at: Timestamp = "2026-11-26T00:11:00Z".parse().unwrap();
        let commit: Commit = "0000000".parse().unwrap();
        let first = id("20261126T001100Z-abc1234");
        let second = ReleaseId::new(at, Some(&commit)).after(Some(&first));
        assert_eq!(second.to_string(), "20261126T001100Z-0000000.2");
        let third = ReleaseId::new(at - jiff::Span::new().hours(1), None).after(Some(&second));
        assert_eq!(third.to_string(), "20261126T001100Z.3");
        assert!(first < second && second < third && third < id("20261126T001101Z"));
        assert!(id("20261126T001100Z.9") < id("20261126T001100Z.10"));
        assert_eq!(ReleaseId::new(at, None).after(None).to_string(), "20261126T001100Z");
    }

    proptest! {
        #[test]
        fn a_name_is_read_as_it_is_written(
            second in 0_i64..4_000_000_000, number in 1_u32.., commit in "([0-9a-f]{7,64})?",
        ) {
            let mut name = ReleaseId::new(Timestamp::from_second(second).unwrap(), None);
            name.number = number;
            name.commit = commit.parse().ok();
            let text = name.to_string();
            prop_assert_eq!(text.parse::<ReleaseId>(), Ok(name.clone()));
            let json = serde_json::to_string(&name).unwrap();
            prop_assert_eq!(&json, &format!("\"{text}\""));
            prop_assert_eq!(serde_json::from_str::<ReleaseId>(&json).unwrap(), name);
        }
    }
}
