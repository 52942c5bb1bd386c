//! The states that `status` shows: of the app, of an instance, of its health. Each is one word, for
//! scripts as for people, who see it in colour.

use std::fmt;
use std::io::ErrorKind;

use anstyle::Style;
use serde::{Serialize, Serializer};

use super::output::{BAD, BUSY, GOOD, styled};
use crate::health::{ProbeError, Report, Status as Reported};
use crate::manager::UnitStatus;
use crate::unit::{ActiveState, ServiceResult};

/// What an instance said of its health; none where it was not asked, because it is down.
pub(super) type Probed = Option<Result<Report, ProbeError>>;

/// Declares states with their words and colours: the word alone in JSON, in its colour as text.
macro_rules! states {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident: $word:literal, $style:expr;)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name {
            $($variant,)*
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&match self {
                    $(Self::$variant => styled($style, $word),)*
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(match self {
                    $(Self::$variant => $word,)*
                })
            }
        }
    )*};
}

states! {
    /// How the app is.
    AppState {
        Online: "online", GOOD;
        Degraded: "degraded", BAD;
        Rolling: "rolling", BUSY;
        Stopped: "stopped", BUSY;
        Errored: "errored", BAD;
    }
    /// How an instance is.
    State {
        Online: "online", GOOD;
        Starting: "starting", BUSY;
        Draining: "draining", BUSY;
        Stopped: "stopped", BUSY;
        Errored: "errored", BAD;
    }
    /// What an instance says of its health.
    Answer {
        Ok: "ok", GOOD;
        Failing: "failing", BAD;
        Unknown: "unknown", Style::new();
    }
}

impl AppState {
    pub(super) fn of(rolling: bool, instances: &[(State, Answer)]) -> Self {
        let all = |test: fn(&(State, Answer)) -> bool| instances.iter().all(test);
        if rolling {
            Self::Rolling
        } else if all(|(state, _)| *state == State::Stopped) {
            Self::Stopped
        } else if all(|(state, _)| matches!(state, State::Errored | State::Stopped)) {
            Self::Errored
        } else if all(|(state, answer)| *state == State::Online && *answer != Answer::Failing) {
            Self::Online
        } else {
            Self::Degraded
        }
    }
}

impl State {
    /// An instance whose front is up but whose program is not is on its way up: the front starts it
    /// again, or gives it up and with it the unit.
    pub(super) fn of(unit: &UnitStatus, probed: &Probed) -> Self {
        let failing = matches!(probed, Some(Ok(report)) if report.status == Reported::Failing);
        match unit.active {
            _ if unit.is_errored() => Self::Errored,
            ActiveState::Active | ActiveState::Reloading if failing => Self::Starting,
            ActiveState::Active | ActiveState::Reloading => Self::Online,
            // One that failed is being cleared away before it is started again.
            ActiveState::Deactivating if unit.result != ServiceResult::Success => Self::Starting,
            ActiveState::Deactivating => Self::Draining,
            ActiveState::Inactive => Self::Stopped,
            _ => Self::Starting,
        }
    }
}

impl Answer {
    pub(super) fn of(probed: &Probed) -> Self {
        match probed {
            None => Self::Unknown,
            Some(Ok(report)) if report.status == Reported::Ok => Self::Ok,
            // Who is not root may not ask: the control sockets belong to the instances. And a program
            // that takes the sockets itself has none.
            Some(Err(ProbeError::Connect { source, .. }))
                if matches!(source.kind(), ErrorKind::PermissionDenied | ErrorKind::NotFound) =>
            {
                Self::Unknown
            }
            Some(_) => Self::Failing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::UnitName;

    #[test]
    fn the_app_is_online_only_if_every_instance_is() {
        use Answer::{Failing, Ok, Unknown};
        use State::{Draining, Errored, Online, Stopped};

        let of = |instances: &[(State, Answer)]| AppState::of(false, instances);
        assert_eq!(of(&[(Online, Ok), (Online, Unknown)]), AppState::Online);
        assert_eq!(of(&[(Online, Ok), (Online, Failing)]), AppState::Degraded);
        assert_eq!(of(&[(Online, Ok), (Errored, Unknown)]), AppState::Degraded);
        assert_eq!(of(&[(Online, Ok), (Draining, Ok)]), AppState::Degraded);
        assert_eq!(of(&[(Stopped, Unknown), (Errored, Unknown)]), AppState::Errored);
        assert_eq!(of(&[(Stopped, Unknown)]), AppState::Stopped);
        assert_eq!(of(&[]), AppState::Stopped);
        assert_eq!(AppState::of(true, &[(Online, Ok), (Draining, Ok)]), AppState::Rolling);
    }

    #[test]
    fn a_front_without_its_program_is_starting_and_a_program_of_its_own_is_of_unknown_health() {
        let mut unit = UnitStatus::unknown(UnitName::loaded("shop@1.service"));
        unit.active = ActiveState::Active;
        let failing = Some(Ok(report(Reported::Failing)));
        assert_eq!(State::of(&unit, &failing), State::Starting);
        assert_eq!(Answer::of(&failing), Answer::Failing);
        assert_eq!(State::of(&unit, &Some(Ok(report(Reported::Ok)))), State::Online);
        let source = std::io::Error::from(ErrorKind::NotFound);
        let none = Some(Err(ProbeError::Connect { path: "1.sock".into(), source }));
        assert_eq!(State::of(&unit, &none), State::Online);
        assert_eq!(Answer::of(&none), Answer::Unknown);
        (unit.active, unit.result) = (ActiveState::Inactive, ServiceResult::ExecCondition);
        assert_eq!(State::of(&unit, &None), State::Errored);
    }

    fn report(status: Reported) -> Report {
        Report { status, instance: Some("1".into()), ..Report::default() }
    }

    #[test]
    fn a_state_is_one_word_in_json() {
        assert_eq!(serde_json::to_string(&State::Errored).unwrap(), r#""errored""#);
    }
}
