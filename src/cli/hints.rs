//! Why instances are not well, read from their journals: what `status` says below its table.

use std::collections::BTreeSet;
use std::fmt;

use futures_util::future::join_all;
use serde::Serialize;

use super::state::{Answer, Probed, State};
use super::survey::Survey;
use crate::clock::monotonic;
use crate::journal::{Entry, Hint, Hints, Network, Query};
use crate::manager::UnitStatus;
use crate::text::shown;

/// How many lines of an instance are searched: several crashes with their stack traces.
const LINES: u32 = 200;

/// How long ago a restart is worth an explanation, in seconds: what is older has passed.
const LATELY: u64 = 600;

/// Microseconds of a second, in which the journal counts.
const MICROS: u64 = 1_000_000;

/// What is known of some instances' trouble.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    /// Ids of the instances that said so.
    instances: Vec<String>,
    #[serde(flatten)]
    hint: Hint,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.instances.len() == 1 { "instance" } else { "instances" };
        let (ids, hint) = (self.instances.join(", "), self.hint.to_string());
        write!(f, "{noun} {ids}: {}", shown(&hint))?;
        write!(f, "\n  it said: {}", shown(&self.hint.line))
    }
}

/// Reads the journals of the instances that are not well, or were restarted lately, all at once;
/// that of a healthy app is not touched. Who may not read them gets no explanation.
pub(super) async fn explain(survey: &Survey, health: &[Probed]) -> Vec<Explained> {
    let asked = survey.instances.iter().zip(health).map(async |((id, unit), probed)| {
        let query = Query::instance(&survey.app, *id).lines(LINES);
        let query = match need(unit, probed) {
            Need::Nothing => return (unit, id.to_string(), Vec::new()),
            Need::Lately => query.since(Some(format!("-{LATELY}s"))),
            Need::Last => query,
        };
        (unit, id.to_string(), recent(query.read_all().await.unwrap_or_default()))
    });
    let read = join_all(asked).await;
    let lines = read.iter().flat_map(|(unit, id, entries)| {
        let network = Network::private(unit.private_network);
        entries.iter().map(move |entry| (id.as_str(), entry, network))
    });
    collect(lines.collect())
}

/// Those of the newest and of what came shortly before: an instance that went down long ago said why
/// then, and what it said long before that has passed.
fn recent(mut entries: Vec<Entry>) -> Vec<Entry> {
    let newest = entries.last().map_or(0, |entry| entry.time_us);
    entries.retain(|entry| u64::try_from(newest - entry.time_us).unwrap_or(0) <= LATELY * MICROS);
    entries
}

/// Each cause once, with the newest of its lines over all instances.
fn collect(mut lines: Vec<(&str, &Entry, Network)>) -> Vec<Explained> {
    lines.sort_by_key(|(_, entry, _)| entry.time_us);
    let mut hints = Hints::default();
    let mut said = Vec::new();
    for (id, entry, network) in lines {
        if let Some((cause, _)) = hints.add(&entry.message, network) {
            said.push((cause, id));
        }
    }
    let of = |hint: Hint| {
        let ids = said.iter().filter(|(cause, _)| *cause == hint.cause).map(|(_, id)| *id);
        let ids: BTreeSet<_> = ids.collect();
        Explained { instances: ids.into_iter().map(str::to_owned).collect(), hint }
    };
    hints.into_vec().into_iter().map(of).collect()
}

/// What of an instance's journal is worth reading.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    Lately,
    Last,
}

fn need(unit: &UnitStatus, probed: &Probed) -> Need {
    let app = probed.as_ref().and_then(|answer| answer.as_ref().ok()?.app);
    let front_is_young =
        unit.started.is_some_and(|started| monotonic().saturating_sub(started).as_secs() < LATELY);
    match (State::of(unit, probed), Answer::of(probed)) {
        (State::Stopped, _) => Need::Nothing,
        (State::Errored | State::Starting, _) | (_, Answer::Failing) => Need::Last,
        _ if app.is_some_and(|app| app.restarts > 0) => Need::Lately,
        _ if unit.restarts > 0 && front_is_young => Need::Lately,
        _ => Need::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Cause;
    use crate::unit::{ActiveState, ServiceResult, UnitName};

    #[test]
    fn a_cause_is_told_once_for_all_instances_with_its_newest_line() {
        let entry = |time_us, message: &str| Entry {
            time_us,
            unit: None,
            message: message.into(),
            priority: 3,
            pid: None,
            stream: None,
        };
        let old = entry(1, "Error: EROFS: read-only file system, open '/srv/a/1'");
        let new = entry(3, "Error: EROFS: read-only file system, open '/srv/b/2'");
        let other = entry(2, "hello");
        let lines = vec![
            ("2", &new, Network::None),
            ("1", &old, Network::None),
            ("1", &other, Network::None),
        ];
        let explained = collect(lines);
        assert_eq!(explained.len(), 1);
        assert_eq!(explained[0].instances, ["1", "2"]);
        assert_eq!(explained[0].hint.cause, Cause::ReadOnly);
        let text = explained[0].to_string();
        assert!(text.starts_with("instances 1, 2: the app may not write to /srv/b/2: "), "{text}");
        let json = serde_json::to_value(&explained[0]).unwrap();
        assert_eq!(json["cause"], "read-only");
        assert_eq!(json["line"], new.message);
    }

    #[test]
    fn what_was_said_long_before_the_end_has_passed() {
        let entry = |seconds: i64| Entry {
            time_us: seconds * 1_000_000,
            unit: None,
            message: seconds.to_string(),
            priority: 3,
            pid: None,
            stream: None,
        };
        let entries = recent(vec![entry(1), entry(1000), entry(1600)]);
        let left: Vec<_> = entries.iter().map(|entry| entry.message.as_str()).collect();
        assert_eq!(left, ["1000", "1600"]);
    }

    #[test]
    fn the_journal_of_a_healthy_instance_is_not_read() {
        let mut unit = UnitStatus::unknown(UnitName::loaded("shop@1.service"));
        assert_eq!(need(&unit, &None), Need::Nothing, "stopped");
        unit.active = ActiveState::Active;
        unit.started = Some(monotonic());
        assert_eq!(need(&unit, &None), Need::Nothing);
        unit.restarts = 1;
        assert_eq!(need(&unit, &None), Need::Lately);
        unit.active = ActiveState::Activating;
        assert_eq!(need(&unit, &None), Need::Last);
        (unit.active, unit.result) = (ActiveState::Inactive, ServiceResult::ExecCondition);
        assert_eq!(need(&unit, &None), Need::Last);
    }
}
