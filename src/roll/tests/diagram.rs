//! The diagram in docs/roll.md is that of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::super::turn::{End, Step, Task, Turn};
use super::*;
use crate::health::SwapAnswer;

/// Where it stands, between these lines.
const FILE: &str = "docs/roll.md";
const BEGIN: &str = "```mermaid\n";
const END: &str = "```\n";

/// An event of each kind that makes a difference, and its name.
fn events() -> Vec<(&'static str, Event)> {
    let app = AppName::default();
    let job = Event::Job;
    let status = |change: fn(&mut UnitStatus)| {
        let mut status = unit(&app, id(1), ActiveState::Active, ServiceResult::Success);
        change(&mut status);
        Event::Status(Box::new(status))
    };
    let swap = |swapped, restart| {
        let last = Some(SwapAnswer { swapped, restart, ..SwapAnswer::default() });
        Event::Swap(Ok(Box::new(SwapState { swaps: BEFORE + 1, last, ..SwapState::default() })))
    };
    let good = Report { instance: Some("1".into()), release: Some(RELEASE.into()), ..report() };
    vec![
        ("job done", job(JobResult::Done)),
        ("job failed", job(JobResult::Failed)),
        ("job timeout", job(JobResult::Timeout)),
        ("job canceled", job(JobResult::Canceled)),
        ("job skipped", job(JobResult::Skipped)),
        ("no reload", job(JobResult::Invalid)),
        ("swapped", swap(true, false)),
        ("not swapped", swap(false, false)),
        ("needs restart", swap(false, true)),
        ("front silent", Event::Swap(Err("silent".into()))),
        ("up", status(|_| ())),
        ("up anew", status(|unit| unit.run = Some("after".into()))),
        ("on its way", status(|unit| unit.active = ActiveState::Activating)),
        ("reloading", status(|unit| unit.active = ActiveState::Reloading)),
        ("failed", status(|unit| unit.active = ActiveState::Failed)),
        ("stopped", status(|unit| unit.active = ActiveState::Inactive)),
        ("masked", status(|unit| unit.loaded = false)),
        ("probe good", Event::Probe(Ok(Box::new(good)))),
        ("probe bad", Event::Probe(Err("bad".into()))),
        ("as good as its siblings", Event::Watched(Ok(()))),
        ("worse", Event::Watched(Err("worse".into()))),
        ("pinned", Event::Kept(Ok(()))),
        ("not pinned", Event::Kept(Err("full".into()))),
        ("manager lost", Event::Lost("lost".into())),
        ("manager back", Event::Back),
        ("refused", Event::Trouble("no".into())),
        ("deadline", Event::Deadline),
    ]
}

fn name(step: &Step) -> &'static str {
    match step {
        Step::Look => "Look",
        Step::Hold => "Hold",
        Step::Swap => "Swap",
        Step::Restart => "Restart",
        Step::Keep => "Keep",
        Step::Start => "Start",
        Step::Stop => "Stop",
        Step::Ask(_) => "Ask",
        Step::Read(_) => "Read",
        Step::Probe { .. } => "Probe",
        Step::Confirm => "Confirm",
        Step::Watch => "Watch",
        Step::Away(_) => "Away",
        Step::Over(End::Good) => "Good",
        Step::Over(End::Stopped) => "LeftStopped",
        Step::Over(End::Canceled(_)) => "Canceled",
        Step::Over(End::Failed(failed)) if failed.is_put_back => "PutBack",
        Step::Over(End::Failed(_)) => "Failed",
    }
}

/// Every turn that can be, and every change from one to another.
fn explore(mut seen: impl FnMut(&Turn, &str, Result<&Turn, ()>)) {
    let swap = Way::Swap { before: BEFORE };
    let mut begin = Vec::new();
    for (task, way) in [
        (Task::Renew, swap),
        (Task::Renew, Way::Restart(Reason::Method)),
        (Task::Begin, Way::Restart(Reason::Method)),
        (Task::End, Way::Restart(Reason::Method)),
    ] {
        for is_canary in [false, true] {
            let planned = Planned { id: id(1), way: way.clone(), serves: true };
            begin.push(Turn::new(planned, task, is_canary));
        }
    }
    let events = events();
    let mut known: Vec<Turn> = Vec::new();
    while let Some(turn) = begin.pop() {
        if known.contains(&turn) {
            continue;
        }
        known.push(turn.clone());
        for (label, event) in &events {
            for extra in [false, true] {
                let mut next = turn.clone();
                if next.apply(&gate(), extra, event.clone()).is_ok() {
                    seen(&turn, label, Ok(&next));
                    begin.push(next);
                } else {
                    assert_eq!(next, turn, "an illegal event changes nothing: {label}");
                    seen(&turn, label, Err(()));
                }
            }
        }
        let mut next = turn.clone();
        next.go_on();
        if next != turn {
            seen(&turn, "extra instances serve", Ok(&next));
            begin.push(next);
        }
    }
}

fn diagram() -> String {
    let mut labels: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    explore(|from, label, to| {
        let Ok(to) = to else { return };
        let (from, to) = (name(&from.step), name(&to.step));
        labels.entry((from, to)).or_default().insert(label.to_owned());
    });
    let begins = ["Look", "Start", "Stop"].map(|step| format!("    [*] --> {step}\n"));
    let changes = labels.iter().map(|((from, to), labels)| {
        let labels = labels.iter().map(String::as_str).collect::<Vec<_>>().join(" / ");
        format!("    {from} --> {to}: {labels}\n")
    });
    let ends = ["Good", "LeftStopped", "Canceled", "PutBack", "Failed"];
    let ends = ends.map(|end| format!("    {end} --> [*]\n"));
    let lines = begins.into_iter().chain(changes).chain(ends);
    "stateDiagram-v2\n".to_owned() + &lines.collect::<String>()
}

#[test]
fn the_diagram_is_that_of_the_code() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let text = fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(BEGIN).unwrap();
    let (written, tail) = rest.split_once(END).unwrap();
    let made = diagram();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&path, format!("{head}{BEGIN}{made}{END}{tail}")).unwrap();
    } else {
        assert_eq!(written, made, "UPDATE_GENERATED=1 writes {FILE} anew");
    }
}

#[test]
fn every_turn_ends_and_an_ended_one_takes_no_event() {
    let mut ends = BTreeSet::new();
    let mut illegal = 0;
    explore(|from, label, to| match (&from.step, to) {
        (Step::Over(_) | Step::Hold, Ok(_)) => {
            assert_eq!(label, "extra instances serve", "{from:?}");
        }
        (_, Ok(to)) => {
            if matches!(to.step, Step::Over(_)) {
                ends.insert(name(&to.step));
            }
        }
        (_, Err(())) => illegal += 1,
    });
    let all = ["Canceled", "Failed", "Good", "LeftStopped", "PutBack"];
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), all);
    assert!(illegal > 0);
}

#[test]
fn an_event_of_somebody_without_a_turn_is_an_error() {
    let mut roll = Roll::new(Plan { order: vec![planned(id(1))], stopped: vec![] }, rules());
    let done = || Event::Job(JobResult::Done);
    assert!(roll.apply(id(1), done()).is_err(), "nothing was asked yet");
    assert_eq!(roll.actions(), [Action::Read { instance: id(1), settling: false }]);
    assert_eq!(roll.actions(), [], "it is under way");
    let error = roll.apply(id(1), done()).unwrap_err();
    assert!(error.to_string().contains("does not answer Some(Read"), "{error}");
    assert!(roll.apply(id(2), done()).is_err());
}
