//! Every fault and every deploy of `examples/reliability`, each on a machine of its own; and the soak of
//! `scripts/soak`, with fewer rolls than it makes by itself.

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
    ($tested:ident, $verb:literal: $($test:ident: $name:literal,)*) => {
        const $tested: &[&str] = &[$($name),*];

        $(#[test]
        fn $test() {
            ends_well(&[$verb, $name]);
        })*
    };
}

faults! {
    FAULTS, "matrix":
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

faults! {
    DEPLOYS, "deploys":
    a_good_release: "good",
    a_good_release_with_another_configuration: "good-configured",
    a_release_that_throws: "throws",
    a_release_that_never_answers: "deaf",
    a_release_that_is_unwell: "unwell",
    a_release_that_crashes: "crashes",
    a_release_that_crashes_as_an_instance: "crashes-instance",
    a_release_that_leaks: "leaks",
    a_release_that_is_misconfigured: "misconfigured",
    a_release_that_throws_in_an_instance: "throws-in-two",
    a_release_that_throws_in_an_instance_with_another_configuration: "throws-in-two-configured",
    a_release_whose_hook_fails: "fails-before",
    a_rollback: "rollback",
    a_second_deploy_is_refused: "second",
    a_deploy_is_killed_in_the_checkout: "killed-check",
    a_deploy_is_killed_in_the_build: "killed-build",
    a_deploy_is_killed_in_the_copy: "killed-stage",
    a_deploy_is_killed_in_the_rehearsal: "killed-rehearse",
    a_deploy_is_killed_in_its_hook: "killed-before",
    a_deploy_is_killed_with_its_roll_before_that_begins: "killed-asked",
    a_deploy_is_killed_before_its_roll_begins: "killed-waiting",
    a_deploy_is_killed_in_its_roll: "killed-roll",
    a_deploy_is_killed_after_its_roll: "killed-after",
    the_roller_of_a_deploy_is_killed: "killed-roller",
    the_roller_of_a_deploy_is_killed_on_the_way_back: "killed-roller-back",
}

/// Fails where what the example knows is not what is tested here, or not what the table shows that begins
/// with `begin`.
fn has_its_tests_and_rows(of: &str, tested: &[&str], begin: &str) {
    let list = ends_well(&["list", of]);
    let faults: Vec<Vec<&str>> = list.lines().map(|line| line.split('\t').collect()).collect();
    let names: Vec<_> = faults.iter().map(|fault| fault[0]).collect();
    assert_eq!(names, tested);
    let (_, table) = DOCUMENT.split_once(begin).unwrap();
    let (table, _) = table.split_once("<!-- end of table -->").unwrap();
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), faults.len(), "scripts/reliability makes the table anew");
    for (row, fault) in rows.iter().zip(&faults) {
        let begin = format!("| {} | {} |", fault[1], fault[2]);
        assert!(row.starts_with(&begin), "{row}: scripts/reliability makes the table anew");
    }
}

#[test]
fn every_fault_has_its_test_and_its_row() {
    has_its_tests_and_rows("matrix", FAULTS, "<!-- table: made by scripts/reliability -->");
}

#[test]
fn every_deploy_has_its_test_and_its_row() {
    has_its_tests_and_rows("deploys", DEPLOYS, "<!-- deploys: made by scripts/reliability -->");
}

#[test]
fn a_fault_that_nobody_knows_is_refused() {
    for verb in ["matrix", "deploys"] {
        let output = reliability(&[verb, "no-such-fault"]);
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn a_short_soak_loses_nothing_that_it_must_not() {
    // A seed with quick faults of several kinds, an instance that dies, and both ways.
    let said = ends_well(&["soak", "237", "5"]);
    assert!(said.starts_with("seed 237\n"), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("5 rolls in ") && last.ends_with(" 0 lost otherwise"), "{said}");
}
