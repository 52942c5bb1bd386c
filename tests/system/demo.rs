//! The demo of the README, with fewer requests than it sends by itself.

use std::process::Command;

#[test]
fn the_demo_ends_well_and_reports_what_was_sent_and_lost() {
    // `cargo test` builds the examples, beside the folder of the tests.
    let tests = std::env::current_exe().unwrap();
    let demo = tests.parent().unwrap().with_file_name("examples").join("demo");
    let output = Command::new(&demo).arg("1000").output();
    let output =
        output.unwrap_or_else(|e| panic!("{}: {e}; `cargo build --examples`", demo.display()));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let last = said.lines().last().unwrap();
    assert!(last.ends_with(" requests sent, 0 lost"), "{said}");
}
