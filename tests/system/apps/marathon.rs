//! The marathon of `scripts/marathon`, with fewer rounds than it runs by itself.

use std::process::Command;

#[test]
fn swap_and_restart_marathon() {
    // `cargo test` builds the examples, beside the folder of the tests.
    let tests = std::env::current_exe().unwrap();
    let marathon = tests.parent().unwrap().with_file_name("examples").join("marathon");
    let output = Command::new(&marathon).args(["3", "2", "4"]).output();
    let output =
        output.unwrap_or_else(|e| panic!("{}: {e}; `cargo build --examples`", marathon.display()));
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let last = said.lines().last().unwrap();
    assert!(last.ends_with(" requests sent, 0 lost, 0 reconnects by swap"), "{said}");
}
