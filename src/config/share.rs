//! A number of instances, or a part of them.

use std::fmt;
use std::str::FromStr;

use super::value::ValueError;

/// How many instances something is about: a number, or percent of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// This many.
    Count(u16),
    /// So many percent, from 1 to 100.
    Percent(u8),
}

impl Share {
    /// What a share looks like, for error texts.
    pub const ALLOWED: &'static str = "a whole number from 1 to 65535, or percent such as \"25%\"";

    /// How many of `all` that is: one at the least, rounded down.
    #[must_use]
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Count(count) => usize::from(count).max(1),
            Self::Percent(percent) => (all * usize::from(percent) / 100).max(1),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for Share {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number =
            text.strip_suffix('%').unwrap_or(text).parse::<u16>().ok().filter(|it| *it > 0);
        let share = match (number, text.ends_with('%')) {
            (Some(count), false) => Some(Self::Count(count)),
            (Some(percent), true) => {
                u8::try_from(percent).ok().filter(|it| *it <= 100).map(Self::Percent)
            }
            (None, _) => None,
        };
        share.ok_or_else(|| ValueError::new(text, Self::ALLOWED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_one_at_the_least_and_never_more_than_it_says() {
        let of = |text: &str, all| text.parse::<Share>().unwrap().of(all);
        assert_eq!([of("1", 100), of("7", 3), of("25%", 100), of("100%", 3)], [1, 7, 25, 3]);
        assert_eq!([of("25%", 3), of("1%", 1), of("50%", 3)], [1, 1, 1]);
        for wrong in ["0", "0%", "101%", "-1", "%", "", "half", "65536", "2.5%"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }
}
