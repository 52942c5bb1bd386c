//! Every fault of `examples/reliability`, each on a machine of its own; and the soak of `scripts/soak`,
//! with fewer rolls than it makes by itself.

use std::process::{Command, Output};

/// The document that shows the matrix.
const DOCUMENT: &str = include_str!("../../docs/reliability.md");

/// Runs the example. `cargo test` builds it, beside the folder of the tests.
fn reliability(arguments: &[&str]) -> Output {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().with_file_name("examples").join("reliability");
    let output = Command::new(&program).args(arguments).output();
    output.unwrap_or_else(|e| panic!("{}: {e}; `cargo build --examples`", program.display()))
}

/// What it said; fails where it failed.
fn ends_well(arguments: &[&str]) -> String {
    let output = reliability(arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Declares a test for each fault, and the list of them.
macro_rules! faults {
    ($($test:ident: $name:literal,)*) => {
        const TESTED: &[&str] = &[$($name),*];

        $(#[test]
        fn $test() {
            ends_well(&["matrix", $name]);
        })*
    };
}

faults! {
    a_roll_by_swap: "none-by-swap",
    a_roll_by_restart: "none-by-restart",
    a_roll_of_a_site: "none-site",
    the_operator_dies: "operator-dies",
    the_roller_dies: "roller-dies",
    a_daemon_reload: "daemon-reload",
    a_daemon_reexec: "daemon-reexec",
    a_daemon_reexec_by_swap: "daemon-reexec-by-swap",
    a_restart_of_dbus: "dbus-restart",
    a_restart_of_journald: "journald-restart",
    a_full_run: "run-full",
    a_full_run_by_swap: "run-full-by-swap",
    a_full_var: "var-full",
    an_instance_dies: "instance-dies",
    a_long_request: "long-request",
    an_instance_is_stopped_by_hand: "stopped-by-hand",
    an_instance_is_masked: "masked",
    a_unit_is_edited: "edited-unit",
    the_app_is_stopped: "stop",
    a_release_throws_by_swap: "release-throws-by-swap",
    a_release_throws_by_restart: "release-throws-by-restart",
    a_release_is_not_ready_by_swap: "release-not-ready-by-swap",
    a_release_is_not_ready_by_restart: "release-not-ready-by-restart",
    a_site_is_not_ready: "release-not-ready-site",
    a_release_is_unwell_by_swap: "release-unwell-by-swap",
    a_release_is_unwell_by_restart: "release-unwell-by-restart",
    a_roll_is_canceled: "cancel",
    a_second_reload_waits: "second-reload",
    a_second_reload_does_not_wait: "no-wait",
}

#[test]
fn every_fault_has_its_test_and_its_row() {
    let list = ends_well(&["list"]);
    let faults: Vec<Vec<&str>> = list.lines().map(|line| line.split('\t').collect()).collect();
    let names: Vec<_> = faults.iter().map(|fault| fault[0]).collect();
    assert_eq!(names, TESTED);
    let rows: Vec<_> = DOCUMENT.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), faults.len(), "scripts/reliability makes the table anew");
    for (row, fault) in rows.iter().zip(&faults) {
        let begin = format!("| {} | {} |", fault[1], fault[2]);
        assert!(row.starts_with(&begin), "{row}: scripts/reliability makes the table anew");
    }
}

#[test]
fn a_fault_that_nobody_knows_is_refused() {
    let output = reliability(&["matrix", "no-such-fault"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_short_soak_loses_nothing_that_it_must_not() {
    // A seed with quick faults of several kinds, an instance that dies, and both ways.
    let said = ends_well(&["soak", "237", "5"]);
    assert!(said.starts_with("seed 237\n"), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("5 rolls in ") && last.ends_with(" 0 lost otherwise"), "{said}");
}
