//! Names of apps, instances, users and units (systemd.unit(5), sysusers.d(5)).

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

/// Longest app name, in bytes. The name is also the name of the app's dynamic user, and user names
/// end at 31 bytes (utmp, systemd.exec(5) `User=`).
const APP_NAME_MAX: usize = 31;

/// Why a name was refused. The text completes the sentence "`x` is not ...".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {expected}")]
pub struct NameError {
    /// The refused text.
    pub given: String,
    /// What would have been allowed.
    pub expected: &'static str,
}

/// The name of an app: the stem of its units, its folders and its dynamic user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppName(String);

impl AppName {
    /// What an app name looks like, for error texts.
    pub const ALLOWED: &'static str =
        "an app name: a lowercase letter, then lowercase letters, digits, `-` or `_`, 31 at most";

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `NAME.socket`: the listening sockets, shared by every instance.
    #[must_use]
    pub fn socket(&self) -> UnitName {
        UnitName(format!("{self}.socket"))
    }

    /// `NAME@.service`: the template of the instances.
    #[must_use]
    pub fn template(&self) -> UnitName {
        UnitName(format!("{self}@.service"))
    }

    /// `NAME@ID.service`: one instance.
    #[must_use]
    pub fn instance(&self, id: InstanceId) -> UnitName {
        UnitName(format!("{self}@{id}.service"))
    }

    /// `NAME.service`: the roll.
    #[must_use]
    pub fn roll(&self) -> UnitName {
        UnitName(format!("{self}.service"))
    }

    /// `NAME.hold.service`: keeps systemd from starting anything on traffic. No app can have this
    /// name.
    #[must_use]
    pub fn hold(&self) -> UnitName {
        UnitName(format!("{self}.hold.service"))
    }

    /// `NAME.moreN.socket`: addresses that came while the app ran. No app can have this name.
    #[must_use]
    pub fn more_socket(&self, number: u16) -> UnitName {
        UnitName(format!("{self}.more{number}.socket"))
    }

    /// `NAME.moreN.service`: keeps systemd from starting anything on traffic to those.
    #[must_use]
    pub fn more_hold(&self, number: u16) -> UnitName {
        UnitName(format!("{self}.more{number}.service"))
    }

    /// The number of the unit file with addresses that came while this app ran.
    #[must_use]
    pub fn more_of(&self, unit: &str) -> Option<u16> {
        let number = unit.strip_prefix(self.as_str())?.strip_prefix(".more")?;
        number.strip_suffix(".socket")?.parse().ok()
    }

    /// `NAME.candidate.service`: a release that is rehearsed beside the instances. No app can have this name.
    #[must_use]
    pub fn candidate(&self) -> UnitName {
        UnitName(format!("{self}.candidate.service"))
    }

    /// `NAME.candidate.socket`: the sockets of that one.
    #[must_use]
    pub fn candidate_socket(&self) -> UnitName {
        UnitName(format!("{self}.candidate.socket"))
    }

    /// `NAME.target`: the whole app.
    #[must_use]
    pub fn target(&self) -> UnitName {
        UnitName(format!("{self}.target"))
    }

    /// The units that speak of the whole app.
    #[must_use]
    pub fn whole(&self) -> [UnitName; 3] {
        [self.roll(), self.socket(), self.target()]
    }

    /// Whether `unit` is one of the app's: an instance, or one of the whole.
    #[must_use]
    pub fn has(&self, unit: &str) -> bool {
        self.instance_of(unit).is_some() || self.whole().iter().any(|name| name.as_str() == unit)
    }

    /// The instance that `unit` is, if it is one of this app's.
    #[must_use]
    pub fn instance_of(&self, unit: &str) -> Option<InstanceId> {
        unit.strip_prefix(self.as_str())?.strip_prefix('@')?.strip_suffix(".service")?.parse().ok()
    }
}

impl Default for AppName {
    fn default() -> Self {
        Self("romuo".into())
    }
}

impl FromStr for AppName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut chars = text.chars();
        let first = chars.next().is_some_and(|c| c.is_ascii_lowercase());
        let rest =
            chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'));
        if first && rest && text.len() <= APP_NAME_MAX {
            Ok(Self(text.into()))
        } else {
            Err(NameError { given: text.into(), expected: Self::ALLOWED })
        }
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of an instance: `1`, `2`, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(NonZeroU16);

impl InstanceId {
    /// The ids `1..=count`.
    pub fn first(count: NonZeroU16) -> impl Iterator<Item = Self> {
        (1..=count.get()).filter_map(NonZeroU16::new).map(Self)
    }

    /// The id so many further on; none: there is no such id.
    #[must_use]
    pub fn plus(self, more: u16) -> Option<Self> {
        self.0.checked_add(more).map(Self)
    }

    /// The id as a number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl FromStr for InstanceId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error =
            || NameError { given: text.into(), expected: "an instance id: 1, 2, ... up to 65535" };
        // "01" and "+1" would be second names of the same instance.
        if text.starts_with(['0', '+']) {
            return Err(error());
        }
        text.parse().map(Self).map_err(|_| error())
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a system user that the instances run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut chars = text.chars();
        let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let rest = chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if first && rest && text.len() <= APP_NAME_MAX {
            Ok(Self(text.into()))
        } else {
            Err(NameError {
                given: text.into(),
                expected: "a user name: a letter or `_`, then letters, digits, `-` or `_`, 31 at most",
            })
        }
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The full name of a unit, such as `romuo@1.service`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitName(String);

impl UnitName {
    /// The name of a unit that systemd itself has listed.
    #[must_use]
    pub fn loaded(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_name_is_also_a_user_name() {
        for good in ["romuo", "romuo-vtc", "a", "shop_2"] {
            assert_eq!(good.parse::<AppName>().unwrap().as_str(), good);
        }
        for bad in ["", "Romuo", "2shop", "a b", "a/b", "a%i", "a@b", "a\nb", &"a".repeat(32)] {
            assert!(bad.parse::<AppName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_instance_is_found_by_the_name_of_its_unit() {
        let app: AppName = "romuo".parse().unwrap();
        let two: InstanceId = "2".parse().unwrap();
        assert_eq!(app.instance(two).as_str(), "romuo@2.service");
        assert_eq!(app.instance_of("romuo@2.service"), Some(two));
        for other in ["romuo@.service", "romuo@02.service", "romuo@x.service", "rom@2.service"] {
            assert_eq!(app.instance_of(other), None, "{other}");
        }
    }
}
