//! How full the memory of an instance may get before it is recycled.

use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;

use super::value::ValueError;

/// A share of a limit at which something is to be done, or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    /// So many percent, 1 to 99.
    Percent(NonZeroU8),
    /// Never.
    Off,
}

impl Threshold {
    /// What a threshold looks like, for error texts.
    pub const ALLOWED: &'static str = "a percentage from \"1%\" to \"99%\", or \"off\"";

    /// The default: what is left is for the drain, in which requests go on taking memory, and for
    /// the three seconds in which it is made sure that memory stays short.
    const DEFAULT: u8 = 90;

    /// What is wanted by who wrote another number: `90`, `0.9`, `100%`.
    pub(super) fn hint(text: &str) -> Option<String> {
        let number = text.trim().trim_end_matches('%').trim_end();
        if !number.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        match (number.parse::<u8>(), number.strip_prefix("0.").or(number.strip_prefix('.'))) {
            (Ok(1..=99), _) => Some(format!("write \"{number}%\"")),
            (Ok(100), _) => Some("at 100% the kernel has ended it: write \"95%\"".into()),
            (Err(_), Some(tenths)) if tenths.len() <= 2 => {
                let percent = format!("{tenths:0<2}").parse::<u8>().ok().filter(|it| *it > 0)?;
                Some(format!("write \"{percent}%\""))
            }
            _ => None,
        }
    }
}

impl Default for Threshold {
    fn default() -> Self {
        NonZeroU8::new(Self::DEFAULT).map_or(Self::Off, Self::Percent)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Off => f.write_str("off"),
        }
    }
}

impl FromStr for Threshold {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let digits = text.strip_suffix('%');
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let percent = digits.and_then(|digits| digits.parse().ok());
        percent
            .filter(|percent: &NonZeroU8| percent.get() < 100)
            .map(Self::Percent)
            .ok_or_else(|| ValueError::new(text, Self::ALLOWED).hint(Self::hint(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_read_as_it_is_written() {
        for text in ["1%", "90%", "99%", "off"] {
            assert_eq!(text.parse::<Threshold>().unwrap().to_string(), text);
        }
        assert_eq!(Threshold::default().to_string(), "90%");
    }

    #[test]
    fn what_is_none_is_refused_with_what_was_meant() {
        for (text, hint) in [
            ("90", Some("write \"90%\"")),
            ("90 %", Some("write \"90%\"")),
            ("0.9", Some("write \"90%\"")),
            (".85", Some("write \"85%\"")),
            ("100%", Some("at 100% the kernel has ended it: write \"95%\"")),
            ("0%", None),
            ("0.0", None),
            ("101%", None),
            ("+5%", None),
            ("270M", None),
            ("", None),
        ] {
            let error = text.parse::<Threshold>().unwrap_err();
            assert_eq!(error.hint.as_deref(), hint, "{text}");
        }
    }
}
