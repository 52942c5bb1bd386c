//! The rows of `tests/hostile` that take a moment each, with fewer clients than `scripts/hostile` sends: against a
//! site and a front, on one machine for all rows of each.

use std::process::{Command, Output};

/// The document that shows all rows.
const DOCUMENT: &str = include_str!("../../docs/security.md");

/// Runs the example. `cargo test` builds it, beside the folder of the tests.
fn hostile(arguments: &[&str]) -> Output {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().with_file_name("examples").join("hostile");
    let output = Command::new(&program).args(arguments).output();
    output.unwrap_or_else(|e| panic!("{}: {e}; `cargo build --examples`", program.display()))
}

/// What it said; fails where it failed.
fn ends_well(arguments: &[&str]) -> String {
    let output = hostile(arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn a_site_bears_hostile_clients() {
    ends_well(&["run", "--quick", "--memory", "8M", "--against", "site"]);
}

#[test]
fn a_front_bears_hostile_clients_and_a_hostile_app() {
    ends_well(&["run", "--quick", "--memory", "8M", "--against", "front"]);
}

#[test]
fn an_app_that_took_the_sockets_bears_what_kills_it() {
    ends_well(&["run", "--quick", "--against", "inherit"]);
}

/// The table is made by a full run, which takes hours: until the next one it may lack new rows.
#[test]
fn the_document_shows_no_row_that_is_none() {
    let list = ends_well(&["list"]);
    let begins: Vec<_> = list.lines().filter_map(|line| Some(line.split_once('\t')?.1)).collect();
    assert!(!begins.is_empty());
    let (_, table) = DOCUMENT.split_once("<!-- table: made by scripts/hostile -->").unwrap();
    let (table, _) = table.split_once("<!-- end of table -->").unwrap();
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let is_known = begins.iter().any(|begin| row.starts_with(begin));
        assert!(is_known, "{row}: scripts/hostile makes the table anew");
    }
}

#[test]
fn a_row_that_nobody_knows_is_refused() {
    assert_eq!(hostile(&["run", "no-such-row"]).status.code(), Some(2));
}
