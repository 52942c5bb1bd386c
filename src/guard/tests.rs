use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::Retry;

const MIN_UPTIME: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> BootTime {
    BootTime::after_boot(Duration::from_secs(seconds))
}

/// The first pause.
const PAUSE: Duration = Duration::from_secs(60);

fn start(state: State, max_restarts: u32) -> (State, Verdict) {
    state.before_start(at(0), max_restarts, Retry::Off)
}

fn crash(state: State, max_restarts: u32) -> (State, Verdict) {
    start(state.after_stop(at(0), &ServiceResult::ExitCode, MIN_UPTIME), max_restarts)
}

/// An instance that runs, of which nothing bad is known.
fn started() -> State {
    State { started: true, ..State::default() }
}

/// One that ended well at this time.
fn ended(seconds: u64) -> State {
    State { ended_at: Some(at(seconds)), ..State::default() }
}

#[test]
fn the_start_after_so_many_quick_crashes_is_refused_and_the_one_after_that_is_not() {
    let (mut state, mut verdict) = start(State::default(), 3);
    for _ in 0..2 {
        assert_eq!(verdict, Verdict::Start);
        (state, verdict) = crash(state, 3);
    }
    assert_eq!(verdict, Verdict::Start);
    (state, verdict) = crash(state, 3);
    assert_eq!(verdict, Verdict::Errored { crashes: 3 });
    // systemd runs ExecStopPost= after a refusal too, on some versions.
    state = state.after_stop(at(0), &ServiceResult::ExecCondition, MIN_UPTIME);
    assert!(state.errored);
    assert_eq!(start(state, 3), (started(), Verdict::Start));
}

#[test]
fn an_instance_that_was_ready_for_long_enough_had_a_good_start() {
    let (state, _) = crash(State::default(), 10);
    let ready = state.ready(at(100));
    let early = ready.after_stop(at(109), &ServiceResult::Signal, MIN_UPTIME);
    assert_eq!(early.crashes, 2);
    let late = ready.after_stop(at(110), &ServiceResult::Signal, MIN_UPTIME);
    assert_eq!(late, ended(110));
}

#[test]
fn an_old_readiness_does_not_count_for_the_next_start() {
    let (state, _) = start(State::default().ready(at(0)), 10);
    assert_eq!(state.after_stop(at(1000), &ServiceResult::Timeout, MIN_UPTIME).crashes, 1);
}

#[test]
fn the_file_of_a_guard_is_known_by_its_name() {
    let id = |name: &str| Guard::id_of(&Path::new("/run/romuo/shop").join(name));
    assert_eq!(id("12.guard"), Some("12".parse().unwrap()));
    for other in ["1.guard.new", "1.sock", "x.guard", "turn", ".guard"] {
        assert_eq!(id(other), None, "{other}");
    }
}

#[test]
fn a_stop_by_hand_resets_the_count() {
    let (state, _) = crash(State::default(), 10);
    assert_eq!(state.after_stop(at(0), &ServiceResult::Success, MIN_UPTIME), ended(0));
}

#[test]
fn with_no_restarts_allowed_the_first_start_still_is() {
    let (state, verdict) = start(State::default(), 0);
    assert_eq!(verdict, Verdict::Start);
    assert_eq!(crash(state, 0).1, Verdict::Errored { crashes: 1 });
}

#[test]
fn a_crash_of_a_fronts_child_is_counted_once() {
    let (state, _) = start(State::default().ready(at(0)).child_ended(at(1), MIN_UPTIME), 9);
    assert_eq!(state.crashes, 1);
    let state = State::default().ready(at(0)).child_ended(at(1), MIN_UPTIME);
    // The front gives up and exits: that is the same crash.
    let after = state.after_stop(at(2), &ServiceResult::ExitCode, MIN_UPTIME);
    assert_eq!(after.crashes, 1);
    // It does not, the child comes up again, and then the front itself crashes.
    let after = state.ready(at(2)).after_stop(at(3), &ServiceResult::Signal, MIN_UPTIME);
    assert_eq!(after.crashes, 2);
    assert_eq!(state.ready(at(2)).child_ended(at(20), MIN_UPTIME).crashes, 0);
}

#[test]
fn the_count_is_kept_from_one_process_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let id = "1".parse().unwrap();
    for _ in 0..2 {
        assert_eq!(before(dir.path(), id, 2, Retry::Off), Outcome { code: 0, message: None });
        assert_eq!(after(dir.path(), id, &ServiceResult::Signal, MIN_UPTIME).code, 0);
    }
    assert_eq!(before(dir.path(), id, 2, Retry::Off).code, 1);
    assert!(Guard::at(dir.path(), id).state().errored);
    assert_eq!(
        before(dir.path(), "2".parse().unwrap(), 2, Retry::Off).code,
        0,
        "the sibling is not concerned"
    );
    assert_eq!(before(dir.path(), id, 2, Retry::Off).code, 0);
    assert_eq!(Guard::at(dir.path(), id).state(), started());
}

#[test]
fn a_folder_that_is_gone_never_keeps_an_instance_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = before(&dir.path().join("gone"), "1".parse().unwrap(), 2, Retry::Off);
    assert_eq!(outcome.code, 0);
    assert!(outcome.message.unwrap().contains("1.guard"));
}

/// An instance that crashed once too often at this time, and its stand-in.
fn errored(seconds: u64) -> State {
    let crashed = started().after_stop(at(seconds), &ServiceResult::OomKill, MIN_UPTIME);
    let (state, verdict) = crashed.before_start(at(seconds), 1, Retry::After(PAUSE));
    let retry_at = at(seconds).after(PAUSE);
    assert_eq!(verdict, Verdict::StandIn(Errored { crashes: 1, retry_at }));
    state
}

#[test]
fn a_stand_in_that_is_killed_is_no_crash_and_does_not_shorten_the_pause() {
    let retry = Retry::After(PAUSE);
    let mut state = errored(100);
    for now in [110, 120] {
        let killed = state.standing_in().after_stop(at(now), &ServiceResult::OomKill, MIN_UPTIME);
        let (again, verdict) = killed.before_start(at(now), 1, retry);
        let Verdict::StandIn(until) = verdict else { panic!("{verdict:?}") };
        assert_eq!((until.crashes, until.retry_at), (1, at(160)));
        state = again;
    }
    let killed = state.standing_in().after_stop(at(161), &ServiceResult::Signal, MIN_UPTIME);
    let (tried, verdict) = killed.before_start(at(161), 1, retry);
    assert_eq!((verdict, tried.crashes, tried.pauses), (Verdict::Start, 1, 1));
}

#[test]
fn what_never_said_that_it_stands_in_is_not_started_again_and_again() {
    // A drop-in has replaced the program of the unit.
    let state = errored(0).after_stop(at(0), &ServiceResult::ExitCode, MIN_UPTIME);
    let (state, verdict) = state.before_start(at(0), 1, Retry::After(PAUSE));
    assert_eq!(verdict, Verdict::Errored { crashes: 1 });
    let (state, verdict) = state.before_start(at(0), 1, Retry::After(PAUSE));
    assert_eq!((state, verdict), (started(), Verdict::Start), "a person did that");
}

#[test]
fn a_stand_in_does_not_get_ready_and_a_stop_ends_it_for_good() {
    let state = errored(0).standing_in();
    assert_eq!(state.ready(at(1)), state);
    assert_eq!(state.pause_over(at(59)), state, "too early");
    assert_eq!(state.after_stop(at(30), &ServiceResult::Success, MIN_UPTIME), ended(30));
}

#[test]
fn clients_wait_for_one_that_is_or_comes_up_and_not_for_one_that_was_given_up_or_stopped() {
    let up = started().ready(at(5));
    assert!(started().may_serve(at(0)) && up.may_serve(at(6)));
    // As an older version wrote it.
    let old: State = serde_json::from_str(r#"{"crashes":0,"errored":false,"ready_at":5}"#).unwrap();
    assert!(old.may_serve(at(6)));
    let stopped = up.after_stop(at(10), &ServiceResult::Success, MIN_UPTIME);
    assert!(stopped.may_serve(at(11)), "the second half of a restart may come");
    assert!(!stopped.may_serve(at(20)));
    let state = errored(0);
    let due = state.standing_in().pause_over(at(60));
    let (tried, _) = due.before_start(at(60), 1, Retry::After(PAUSE));
    assert!(![state, due, tried].iter().any(|state| state.may_serve(at(60))));
    assert!(tried.ready(at(61)).may_serve(at(61)));
    assert!(!State::default().may_serve(at(0)));
}

#[test]
fn a_file_of_an_older_version_is_read() {
    let text = r#"{"crashes":3,"errored":true,"ready_at":null}"#;
    let state: State = serde_json::from_str(text).unwrap();
    assert_eq!(state.stand_in(), None);
    // It was given up for good, so that somebody has started it.
    let (state, verdict) = state.before_start(at(0), 3, Retry::After(PAUSE));
    assert_eq!((state, verdict), (started(), Verdict::Start));
}

#[test]
fn the_stand_in_finds_out_by_the_file_that_it_is_one_and_when_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let id = "1".parse().unwrap();
    let (guard, retry) = (Guard::at(dir.path(), id), Retry::After(Duration::ZERO));
    assert_eq!(before(dir.path(), id, 1, retry).code, 0);
    assert_eq!(guard.stand_in().unwrap(), None);
    assert_eq!(after(dir.path(), id, &ServiceResult::Signal, MIN_UPTIME).code, 0);
    let said = before(dir.path(), id, 1, retry);
    assert_eq!(said.code, 0, "it starts as its own stand-in");
    let sentence = "Instance 1 is errored: it crashed 1 times in a row, each time too soon. It is tried again in ";
    assert!(said.message.unwrap().starts_with(sentence));
    let until = guard.stand_in().unwrap().unwrap();
    assert!(guard.state().stands_in);
    let siblings: Vec<_> = Guard::siblings(dir.path(), "2".parse().unwrap()).collect();
    assert_eq!(siblings, [(id, guard.state())]);
    assert_eq!(Guard::siblings(dir.path(), id).count(), 0);
    guard.pause_over(until.retry_at).unwrap();
    assert_eq!(
        after(dir.path(), id, &ServiceResult::Success, MIN_UPTIME),
        Outcome { code: 0, message: None }
    );
    assert_eq!(before(dir.path(), id, 1, retry), Outcome { code: 0, message: None });
    assert_eq!((guard.state().crashes, guard.stand_in().unwrap()), (1, None), "the try");
}

proptest! {
    #[test]
    fn whatever_is_in_the_file_the_instance_starts_or_is_errored(text in any::<Vec<u8>>()) {
        let dir = tempfile::tempdir().unwrap();
        let id = "1".parse().unwrap();
        fs::write(dir.path().join("1.guard"), &text).unwrap();
        prop_assert_eq!(before(dir.path(), id, 5, Retry::Off).code, 0);
    }

    #[test]
    fn an_instance_is_errored_exactly_after_max_restarts_quick_crashes(max in 1u32..50) {
        let mut starts = 0;
        let (mut state, mut verdict) = start(State::default(), max);
        while verdict == Verdict::Start {
            starts += 1;
            (state, verdict) = crash(state, max);
        }
        prop_assert_eq!(starts, max);
        prop_assert!(state.errored);
    }
}
