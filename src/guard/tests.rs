use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const MIN_UPTIME: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> BootTime {
    BootTime::after_boot(Duration::from_secs(seconds))
}

fn crash(state: State, max_restarts: u32) -> (State, Verdict) {
    state.after_stop(at(0), &ServiceResult::ExitCode, MIN_UPTIME).before_start(max_restarts)
}

#[test]
fn the_start_after_so_many_quick_crashes_is_refused_and_the_one_after_that_is_not() {
    let (mut state, mut verdict) = State::default().before_start(3);
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
    assert_eq!(state.before_start(3), (State::default(), Verdict::Start));
}

#[test]
fn an_instance_that_was_ready_for_long_enough_had_a_good_start() {
    let (state, _) = crash(State::default(), 10);
    let ready = state.ready(at(100));
    let early = ready.after_stop(at(109), &ServiceResult::Signal, MIN_UPTIME);
    assert_eq!(early.crashes, 2);
    let late = ready.after_stop(at(110), &ServiceResult::Signal, MIN_UPTIME);
    assert_eq!(late, State::default());
}

#[test]
fn an_old_readiness_does_not_count_for_the_next_start() {
    let (state, _) = State::default().ready(at(0)).before_start(10);
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
    assert_eq!(state.after_stop(at(0), &ServiceResult::Success, MIN_UPTIME), State::default());
}

#[test]
fn with_no_restarts_allowed_the_first_start_still_is() {
    let (state, verdict) = State::default().before_start(0);
    assert_eq!(verdict, Verdict::Start);
    assert_eq!(crash(state, 0).1, Verdict::Errored { crashes: 1 });
}

#[test]
fn a_crash_of_a_fronts_child_is_counted_once() {
    let (state, _) = State::default().ready(at(0)).child_ended(at(1), MIN_UPTIME).before_start(9);
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
        assert_eq!(before(dir.path(), id, 2), Outcome { code: 0, message: None });
        assert_eq!(after(dir.path(), id, &ServiceResult::Signal, MIN_UPTIME).code, 0);
    }
    assert_eq!(before(dir.path(), id, 2).code, 1);
    assert!(Guard::at(dir.path(), id).state().errored);
    assert_eq!(before(dir.path(), "2".parse().unwrap(), 2).code, 0, "the sibling is not concerned");
    assert_eq!(before(dir.path(), id, 2).code, 0);
    assert_eq!(Guard::at(dir.path(), id).state(), State::default());
}

#[test]
fn a_folder_that_is_gone_never_keeps_an_instance_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = before(&dir.path().join("gone"), "1".parse().unwrap(), 2);
    assert_eq!(outcome.code, 0);
    assert!(outcome.message.unwrap().contains("1.guard"));
}

proptest! {
    #[test]
    fn whatever_is_in_the_file_the_instance_starts_or_is_errored(text in any::<Vec<u8>>()) {
        let dir = tempfile::tempdir().unwrap();
        let id = "1".parse().unwrap();
        fs::write(dir.path().join("1.guard"), &text).unwrap();
        prop_assert_eq!(before(dir.path(), id, 5).code, 0);
    }

    #[test]
    fn an_instance_is_errored_exactly_after_max_restarts_quick_crashes(max in 1u32..50) {
        let mut starts = 0;
        let (mut state, mut verdict) = State::default().before_start(max);
        while verdict == Verdict::Start {
            starts += 1;
            (state, verdict) = crash(state, max);
        }
        prop_assert_eq!(starts, max);
        prop_assert!(state.errored);
    }
}
