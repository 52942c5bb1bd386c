//! What is said of a roll.

use std::time::Duration;

use super::*;
use crate::clock::BootTime;

const STARTED: BootTime = BootTime::ZERO;

fn failed(number: u16, reason: &str, serves_on: bool) -> Failed {
    let (instance, reason) = (id(number), reason.into());
    Failed { instance, reason, serves_on, is_put_back: false, served: true }
}

#[test]
fn an_outcome_tells_of_all_that_failed_and_of_one_that_was_put_back_or_canceled() {
    let app = AppName::default();
    let back = Failed { is_put_back: true, ..failed(1, "exited with code 1", false) };
    let verdict = Verdict {
        rolled: vec![planned(id(2))],
        stopped: vec![],
        untouched: vec![],
        failed: vec![back, failed(3, "is active", false)],
        is_canceled: false,
        kept: vec![],
    };
    let outcome = Outcome::new(&app, &verdict, STARTED, Duration::ZERO);
    assert_eq!(
        outcome.to_string(),
        "the roll of romuo halted: romuo@1.service exited with code 1; instance 1 was restarted once \
         more, and serves; romuo@3.service is active; rolled before: 2"
    );
    assert!(!outcome.is_done());
    let verdict = Verdict { failed: vec![], untouched: vec![id(1)], is_canceled: true, ..verdict };
    let outcome = Outcome::new(&app, &verdict, STARTED, Duration::from_secs(2));
    assert_eq!(
        outcome.to_string(),
        "the roll of romuo was canceled at 1 of 2; instance 1 was not touched"
    );
    assert!(!outcome.is_done());
    let after = |seconds| STARTED.after(Duration::from_secs(seconds));
    assert!(!outcome.has_passed(after(1)), "one of the instances is the one of before");
    assert!(outcome.has_passed(after(3)));
}

#[test]
fn an_outcome_says_in_one_sentence_what_happened() {
    let app = AppName::default();
    let done = Verdict {
        rolled: vec![planned(id(1)), planned(id(2))],
        stopped: vec![id(4)],
        untouched: vec![],
        failed: vec![],
        is_canceled: false,
        kept: vec![],
    };
    assert_eq!(
        Outcome::new(&app, &done, STARTED, Duration::from_millis(4240)).to_string(),
        "rolled 2 of 2 instances of romuo in 4.2 s; left stopped: 4"
    );
    let halted = Verdict {
        rolled: vec![],
        stopped: vec![],
        untouched: vec![id(2), id(3)],
        failed: vec![failed(1, "exited with code 1", false)],
        is_canceled: false,
        kept: vec![],
    };
    assert_eq!(
        Outcome::new(&app, &halted, STARTED, Duration::from_millis(1)).to_string(),
        "the roll of romuo halted: romuo@1.service exited with code 1; instances 2, 3 were not touched"
    );
}

#[test]
fn an_outcome_tells_of_the_release_and_of_the_way_back() {
    let app: AppName = "shop".parse().unwrap();
    let verdict = Verdict {
        rolled: vec![planned(id(1))],
        stopped: vec![],
        untouched: vec![],
        failed: vec![failed(2, "exited with code 1", false)],
        is_canceled: false,
        kept: vec![],
    };
    let mut outcome = Outcome::new(&app, &verdict, STARTED, Duration::from_secs(2));
    let new = "the roll of shop to release 20261126T002200Z halted: shop@2.service exited with code 1; rolled \
               before: 1";
    outcome.release = Some("20261126T002200Z".into());
    let to = "release 20261126T001100Z-abc1234".to_owned();
    outcome.back = Some(Back { to: to.clone(), rolled: vec!["1".into()], failed: None });
    assert_eq!(outcome.to_string(), format!("{new}; all instances run {to} again"));
    assert!(outcome.has_passed(STARTED));
    let failed = Some("shop@1.service exited with code 2".into());
    outcome.back = Some(Back { to: to.clone(), rolled: vec![], failed });
    let both =
        format!("{new}; and the way back to {to} failed too: shop@1.service exited with code 2");
    assert_eq!(outcome.to_string(), both);
    assert!(!outcome.has_passed(STARTED));
}

#[test]
fn an_outcome_says_how_each_instance_was_rolled_and_why() {
    let one = |text: &str, way| Planned { id: text.parse().unwrap(), way, serves: true };
    let app: AppName = "shop".parse().unwrap();
    let swap = || Way::Swap { before: 0 };
    let restart = Way::Restart;
    let said = |rolled: Vec<Planned>| {
        let none = Vec::new();
        let verdict = Verdict {
            rolled,
            stopped: vec![],
            untouched: none,
            failed: vec![],
            is_canceled: false,
            kept: vec![],
        };
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
    let reason = "was not swapped: the new program answered 500 on /health";
    let verdict = Verdict {
        rolled: vec![],
        stopped: vec![],
        untouched: vec![id(2)],
        failed: vec![failed(1, reason, true)],
        is_canceled: false,
        kept: vec![],
    };
    let outcome = Outcome::new(&app, &verdict, STARTED, Duration::ZERO);
    assert_eq!(
        outcome.to_string(),
        "the roll of shop halted: shop@1.service was not swapped: the new program answered 500 on \
         /health; instance 1 keeps serving what it ran; instance 2 was not touched"
    );
    let json = serde_json::to_string(&outcome).unwrap();
    assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), outcome);
}

#[test]
fn an_outcome_says_what_closed_and_what_may_still_be_open() {
    let none = Verdict {
        rolled: vec![],
        stopped: vec![],
        untouched: vec![],
        failed: vec![],
        is_canceled: false,
        kept: vec![],
    };
    let outcome = Outcome::new(&AppName::default(), &none, STARTED, Duration::ZERO);
    let of = |failed: Option<&str>| {
        let closed = Closed { listen: vec!["[::]:1".into()], failed: failed.map(str::to_owned) };
        Outcome { closed: Some(closed), ..outcome.clone() }
    };
    let (well, ill) = (of(None), of(Some("romuo@2.service was not reached")));
    assert!(well.is_well() && ill.is_done() && !ill.is_well());
    assert!(well.to_string().ends_with(" s; closed [::]:1"), "{well}");
    let said = "; but [::]:1 may still be open: romuo@2.service was not reached";
    assert!(ill.to_string().ends_with(said), "{ill}");
}
