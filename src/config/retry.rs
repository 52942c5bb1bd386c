//! Whether an instance that was given up is tried again, and after which pause.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::duration::{format_duration, parse_duration};
use super::value::ValueError;

/// Whether an errored instance is tried again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// After this pause; after the next failure twice as long, and so on up to [`Retry::LONGEST`].
    After(Duration),
    /// Never: a person starts it again.
    Off,
}

impl Retry {
    /// What a value looks like, for error texts.
    pub const ALLOWED: &'static str = "a duration from \"1s\" to \"1h\", or \"off\"";

    /// The longest pause: what broke an app is often mended by somebody who does not know of it, such as
    /// who runs its database, and an hour is what one waits for that by night.
    pub const LONGEST: Duration = Duration::from_secs(3600);

    /// The shortest first pause: below it nothing would be gained over `limits.restart_delay`.
    const SHORTEST: Duration = Duration::from_secs(1);

    /// The default: a database that is restarted is back by then, and a try a minute costs nothing.
    const DEFAULT: Duration = Duration::from_secs(60);
}

impl Default for Retry {
    fn default() -> Self {
        Self::After(Self::DEFAULT)
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(pause) => f.write_str(&format_duration(*pause)),
            Self::Off => f.write_str("off"),
        }
    }
}

impl FromStr for Retry {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        parse_duration(text)
            .ok()
            .filter(|pause| (Self::SHORTEST..=Self::LONGEST).contains(pause))
            .map(Self::After)
            .ok_or_else(|| ValueError::new(text, Self::ALLOWED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_read_as_it_is_written() {
        for text in ["1s", "1m", "90s", "1h", "off"] {
            let retry = text.parse::<Retry>().unwrap();
            assert_eq!(retry.to_string().parse::<Retry>().unwrap(), retry, "{text}");
        }
        assert_eq!(Retry::default(), "1m".parse().unwrap());
        assert_eq!("off".parse::<Retry>().unwrap(), Retry::Off);
    }

    #[test]
    fn no_pause_one_that_is_too_long_and_no_word_is_refused() {
        for text in ["0s", "999ms", "61m", "1d", "never", "on", ""] {
            let error = text.parse::<Retry>().unwrap_err();
            assert_eq!(error.expected, Retry::ALLOWED, "{text}");
        }
    }
}
