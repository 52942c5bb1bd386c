//! What an app's journal tells: explanations of known messages, and its two streams.

use serde_json::Value;

use crate::machine::Machine;

/// Makes instance 1 run a shell line instead, which fails, and waits until it is given up.
fn broken(machine: &Machine, line: &str) {
    let text = format!("[Service]\nExecStart=\nExecStart=/bin/sh -c '{line}'\n");
    machine.drop_in("romuo@1.service", &text);
    machine.systemctl(&["restart", "romuo@1.service"]).exits(1);
    machine.until_errored("romuo@1.service");
}

const ONE_TRY: &str = "[limits]\nmax_restarts = 1\nrestart_delay = \"50ms\"\n";

#[test]
fn a_write_to_what_is_read_only_is_explained_by_status_logs_and_the_start() {
    let machine = Machine::serving(ONE_TRY);
    assert_eq!(machine.status()["hints"], serde_json::json!([]), "all is well");
    broken(&machine, "exec touch /srv/site/upload.txt");

    let status = machine.status();
    let hint = &status["hints"][0];
    assert_eq!(hint["cause"], "read-only", "{status}");
    assert_eq!(hint["instances"], serde_json::json!(["1"]));
    assert!(hint["line"].as_str().unwrap().contains("/srv/site/upload.txt"), "{status}");
    let wanted = "writable = [\"/srv/site\"]";
    assert!(hint["hint"].as_str().unwrap().contains(wanted), "{status}");
    let text = machine.ctl(&["status"]).exits(3).stdout;
    assert!(text.contains(wanted), "{text}");

    let logs = machine.ctl(&["logs", "--instance", "1", "--lines", "50"]).exits(0);
    assert!(logs.stderr.contains(wanted), "{logs:?}");
    assert_eq!(logs.stderr.matches(wanted).count(), 1, "once: {logs:?}");
    assert!(!logs.stdout.contains(wanted), "standard output has the lines only");
    let json = machine.ctl(&["logs", "--instance", "1", "-o", "json"]).exits(0);
    serde_json::from_str::<Value>(&json.stdout).unwrap();

    let start = machine.ctl(&["restart", "1"]).exits(1);
    assert!(start.stderr.contains(wanted), "{start:?}");
}

#[test]
fn a_program_that_is_gone_is_explained_by_the_roll() {
    let machine = Machine::serving("");
    let text = "[Service]\nExecStart=\nExecStart=/opt/gone/node /srv/site\n";
    machine.drop_in("romuo@.service", text);
    let ran = machine.ctl(&["reload"]).exits(1);
    for part in ["the roll of romuo halted", "/opt/gone/node is not there", "install-units"] {
        assert!(ran.stderr.contains(part), "{part:?} is not in {}", ran.stderr);
    }
}

#[test]
fn logs_tells_the_streams_of_a_program_apart() {
    let machine = Machine::serving("");
    // The priorities that a front gives to the streams of its program.
    let line = "echo \"<6>fine today\"; echo \"<3>not so fine\"";
    let text = format!("[Service]\nExecStartPre=/bin/sh -c '{line}'\n");
    machine.drop_in("romuo@1.service", &text);
    machine.ctl(&["restart", "1"]).ok();
    machine.sync_journal();
    let said = |option: &str| machine.ctl(&["logs", option, "--since", "-1h"]).ok();
    let (out, err) = (said("--stdout"), said("--stderr"));
    assert!(out.contains("| fine today") && !out.contains("not so fine"), "{out}");
    assert!(err.contains("| not so fine") && !err.contains("fine today"), "{err}");
    assert!(!out.contains("Started ") && !err.contains("Started "), "systemd's own are neither");

    let json = machine.ctl(&["logs", "--since", "-1h", "-o", "json"]).ok();
    let entries: Vec<Value> = serde_json::from_str(&json).unwrap();
    let stream = |message: &str| {
        let entry = entries.iter().find(|entry| entry["message"] == message);
        entry.unwrap_or_else(|| panic!("{message} is not in {json}"))["stream"].clone()
    };
    assert_eq!(stream("fine today"), "stdout");
    assert_eq!(stream("not so fine"), "stderr");
}
