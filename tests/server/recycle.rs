//! Instances that are started anew before they get too old, one at a time.

use std::path::Path;
use std::time::{Duration, Instant};

use romuo::health::may_swap;
use romuo::recycle::RollLock;

use crate::instance::{self, Machine};
use crate::report;

/// What a test waits for at the most.
const DEADLINE: Duration = Duration::from_secs(30);

/// As old as an instance may get in these tests.
const SHORT: &str = "[reload]\nlinger = \"0s\"\n[limits]\nmin_uptime = \"0s\"\nmax_age = \"1s\"\n";

/// Pings as a clock that goes on beside the instance: one for each tick of its accept loop, a second.
const PINGS: [(&str, &str); 1] = [("WATCHDOG_USEC", "200000")];

/// So many pings take longer than an instance may get old.
const LONGER: usize = 6;

/// Lets time pass, in which an instance must not begin to end.
fn goes_on(instance: &instance::Instance) {
    let mut pings = 0;
    while pings < LONGER {
        let message = instance.next_message();
        assert!(!message.starts_with("STOPPING"), "{message}");
        pings += usize::from(message.starts_with("WATCHDOG=1"));
    }
}

fn runtime(machine: &Machine) -> std::path::PathBuf {
    machine.control("1").parent().map(Path::to_owned).unwrap()
}

#[test]
fn an_old_instance_drains_ends_well_and_its_successor_says_so() {
    let machine = Machine::new(SHORT);
    for count in 0..3 {
        // It does not get away while it is asked.
        let roll = RollLock::take(&runtime(&machine)).unwrap().unwrap();
        let instance = machine.ready("1");
        match report(&machine.control("1")).recycled {
            Some(recycled) => {
                assert_eq!(recycled.count, count);
                assert!(recycled.last.starts_with("up for "), "{}", recycled.last);
            }
            None => assert_eq!(count, 0),
        }
        drop(roll);
        instance.wait_for_message("STOPPING=1\n");
        assert!(instance.wait().success(), "the crash guard counts no success");
    }
}

#[test]
fn two_old_instances_take_turns() {
    let machine = Machine::new(SHORT);
    let [first, second] = ["1", "2"].map(|id| machine.start_with(id, &PINGS));
    // Either may be the first one.
    let (leaving, staying, id) = loop {
        let turn = std::fs::read_to_string(runtime(&machine).join("turn")).unwrap_or_default();
        if turn.contains(r#""instance":"1""#) {
            break (first, second, "1");
        }
        if turn.contains(r#""instance":"2""#) {
            break (second, first, "2");
        }
        std::thread::yield_now();
    };
    assert!(leaving.wait().success());
    goes_on(&staying);
    // The successor is ready: now it is the turn of the other one.
    let _successor = machine.start_with(id, &PINGS);
    staying.wait_for_message("STOPPING=1\n");
    assert!(staying.wait().success());
}

#[test]
fn nothing_is_recycled_during_a_roll() {
    let machine = Machine::new(SHORT);
    let roll = RollLock::take(&runtime(&machine)).unwrap().unwrap();
    let instance = machine.start_with("1", &PINGS);
    goes_on(&instance);
    drop(roll);
    instance.wait_for_message("STOPPING=1\n");
    assert!(instance.wait().success());
}

#[test]
fn without_being_told_to_an_instance_gets_as_old_as_it_likes() {
    let machine = Machine::new(&SHORT.replace("max_age = \"1s\"\n", ""));
    goes_on(&machine.start_with("1", &PINGS));
}

#[test]
fn a_new_program_that_does_not_come_up_leaves_the_old_one_and_is_not_tried_over_and_over() {
    let machine = Machine::of_app(SHORT);
    let roll = RollLock::take(&runtime(&machine)).unwrap().unwrap();
    let instance = machine.start_with("1", &PINGS);
    instance.wait_for_message("READY=1\n");
    std::fs::write(machine.file("app.py"), "raise SystemExit(1)\n").unwrap();
    drop(roll);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let control = machine.control("1");
    let state = || runtime.block_on(may_swap(&control, DEADLINE)).unwrap();
    let end = Instant::now() + DEADLINE;
    while state().swaps == 0 {
        assert!(Instant::now() < end, "never tried");
    }
    goes_on(&instance);
    let state = state();
    assert_eq!((state.swaps, state.last.unwrap().swapped), (1, false));
    let report = report(&control);
    assert_eq!((report.recycled, report.app.unwrap().generation), (None, 1));
}

#[test]
fn behind_a_front_the_program_is_swapped_and_the_front_stays() {
    let machine = Machine::of_app(SHORT);
    let instance = machine.ready("1");
    let control = machine.control("1");
    let end = Instant::now() + DEADLINE;
    let recycled = loop {
        let now = report(&control);
        if let Some(recycled) = now.recycled
            && now.app.is_some_and(|app| app.generation > 1)
        {
            break recycled;
        }
        assert!(Instant::now() < end, "never recycled");
    };
    assert!(recycled.last.starts_with("up for "), "{}", recycled.last);
    let app = report(&control).app.unwrap();
    assert_eq!(app.restarts, 0, "a swap is no restart");
    instance.signal(rustix::process::Signal::TERM);
    instance.wait_for_message("STOPPING=1\n");
    assert!(instance.wait().success());
}
