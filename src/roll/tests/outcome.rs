//! What is said of a roll.

use std::time::Duration;

use super::*;
use crate::clock::BootTime;

const STARTED: BootTime = BootTime::ZERO;

#[test]
fn an_outcome_says_in_one_sentence_what_happened() {
    let id = |text: &str| text.parse::<InstanceId>().unwrap();
    let app = AppName::default();
    let done = Verdict {
        rolled: vec![planned(id("1")), planned(id("2"))],
        stopped: vec![id("4")],
        untouched: vec![],
        halt: None,
    };
    assert_eq!(
        Outcome::new(&app, &done, STARTED, Duration::from_millis(4240)).to_string(),
        "rolled 2 of 2 instances of romuo in 4.2 s; left stopped: 4"
    );
    let halted = Verdict {
        rolled: vec![],
        stopped: vec![],
        untouched: vec![id("2"), id("3")],
        halt: Some(Halt {
            instance: id("1"),
            reason: "exited with code 1".into(),
            serves_on: false,
        }),
    };
    assert_eq!(
        Outcome::new(&app, &halted, STARTED, Duration::from_millis(1)).to_string(),
        "the roll of romuo halted: romuo@1.service exited with code 1; instances 2, 3 were not touched"
    );
}

#[test]
fn an_outcome_says_how_each_instance_was_rolled_and_why() {
    let one = |text: &str, way| Planned { id: text.parse().unwrap(), way };
    let app: AppName = "shop".parse().unwrap();
    let swap = || Way::Swap { before: 0 };
    let restart = Way::Restart;
    let said = |rolled: Vec<Planned>| {
        let verdict = Verdict { rolled, stopped: vec![], untouched: vec![], halt: None };
        Outcome::new(&app, &verdict, STARTED, Duration::from_millis(1200))
    };
    let mixed = said(vec![one("1", swap()), one("2", restart(Reason::Unit))]);
    assert_eq!(
        mixed.to_string(),
        "rolled 2 of 2 instances of shop in 1.2 s: swapped 1; restarted 2, because its unit changed"
    );
    assert_eq!(mixed.how[1].why.as_deref(), Some("its unit changed"));
    let grouped = said(vec![
        one("1", restart(Reason::Configuration)),
        one("2", swap()),
        one("3", restart(Reason::Configuration)),
        one("4", restart(Reason::Refused("no memory for two".into()))),
    ]);
    assert_eq!(
        grouped.to_string(),
        "rolled 4 of 4 instances of shop in 1.2 s: restarted 1, 3, because their configuration \
         changed; swapped 2; restarted 4, because no memory for two"
    );
    let halt = Halt {
        instance: "1".parse().unwrap(),
        reason: "was not swapped: the new program answered 500 on /health".into(),
        serves_on: true,
    };
    let untouched = vec!["2".parse().unwrap()];
    let verdict = Verdict { rolled: vec![], stopped: vec![], untouched, halt: Some(halt) };
    let outcome = Outcome::new(&app, &verdict, STARTED, Duration::ZERO);
    assert_eq!(
        outcome.to_string(),
        "the roll of shop halted: shop@1.service was not swapped: the new program answered 500 on \
         /health; instance 1 keeps serving what it ran; instance 2 was not touched"
    );
    let json = serde_json::to_string(&outcome).unwrap();
    assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), outcome);
}
