//! What keeps a roll from hurting: extra instances, batches, the canary, another try, one roll at a
//! time.

use std::time::Duration;

use http::uri::PathAndQuery;
use romuo::load::{Kind, Mix, Request, Running};
use serde_json::{Value, json};

use crate::machine::{ADDRESS, Machine, builder, wait};

/// Answers well, unless a file says otherwise at its start: then only its health is good.
const MOODY: &str = "
const bad = require('fs').existsSync('/srv/site/bad');
require('http').createServer((request, response) => {
  response.statusCode = bad && request.url !== '/health' ? 500 : 200;
  response.end('It serves.\\n');
}).listen(process.env.PORT);
";

/// Clients that keep a drain busy, so that there is a roll to be seen, also on a busy machine: so many
/// downloads that each instance has some in hand, which take longer than anybody needs to cancel.
fn busy(machine: &Machine) -> Running {
    let slow = Kind::SlowDownload { over: Duration::from_secs(5) };
    let load = machine.load(Mix::new(ADDRESS).clients(slow, 16, &Machine::site().large));
    wait(load.until_each_answered(1)).unwrap();
    load
}

fn outcome(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn one_instance_alone_has_an_extra_one_beside_it_while_it_is_restarted() {
    let machine = Machine::boot();
    machine.configure(&format!("instances = 1\n{}[reload]\nsurge = 1\n", crate::machine::CONFIG));
    machine.ctl(&["install-units", "--now"]).ok();
    let old = machine.pid(1);
    let load = machine.load(Machine::mixed());
    wait(load.until_each_answered(1)).unwrap();
    machine.ctl(&["reload"]).ok();
    wait(load.until_each_answered(1)).unwrap();
    machine.expect_no_loss(&wait(load.stop()));
    assert_ne!(machine.pid(1), old);
    assert_eq!(machine.property("romuo@2.service", "ActiveState"), "inactive");
    let journal = machine.journal();
    let place = |text: &str| journal.find(text).unwrap_or_else(|| panic!("{text}: {journal}"));
    let order = [
        "starting the extra instance romuo@2.service",
        "restarting romuo@1.service",
        "stopping the extra instance romuo@2.service",
    ];
    assert!(order.map(place).is_sorted(), "{journal}");
    assert_eq!(machine.status()["instances"].as_array().unwrap().len(), 1);
}

#[test]
fn extra_instances_that_do_not_come_up_end_the_roll_before_anything_is_touched() {
    let machine = Machine::serving("[reload]\nsurge = 1\n[limits]\nmax_restarts = 1\n");
    let old = [machine.pid(1), machine.pid(2)];
    machine.drop_in("romuo@3.service", "[Service]\nExecStart=\nExecStart=/bin/false\n");
    let ran = machine.ctl(&["reload"]).exits(1);
    for part in ["an extra instance, by reload.surge", "instances 1, 2 were not touched"] {
        assert!(ran.stderr.contains(part), "{part:?} is not in {}", ran.stderr);
    }
    assert_eq!([machine.pid(1), machine.pid(2)], old);
}

#[test]
fn batches_are_rolled_without_loss_and_as_many_at_a_time_as_is_said() {
    let machine = Machine::serving_as("instances = 4\n", "[reload]\nmax_unavailable = \"50%\"\n");
    let load = machine.load(Machine::mixed());
    wait(load.until_each_answered(1)).unwrap();
    let said = outcome(&machine.ctl(&["reload", "-o", "json"]).ok());
    wait(load.until_each_answered(1)).unwrap();
    machine.expect_no_loss(&wait(load.stop()));
    let mut rolled: Vec<_> = said["rolled"].as_array().unwrap().clone();
    rolled.sort_by_key(ToString::to_string);
    assert_eq!(Value::from(rolled), json!(["1", "2", "3", "4"]));
    // Both of the first batch begin before either has ended.
    let journal = machine.journal();
    for id in [1, 2] {
        let begun = format!("0 of 4 instances rolled, restarting romuo@{id}.service");
        assert!(journal.contains(&begun), "{journal}");
    }
    assert!(!journal.contains("0 of 4 instances rolled, restarting romuo@3.service"), "{journal}");
}

#[test]
fn an_instance_that_fails_once_is_restarted_once_more_and_the_roll_halts() {
    let machine = Machine::serving("");
    let two = machine.pid(2);
    let once = "[Service]\nRestart=no\n\
        ExecStartPre=+/bin/sh -c 'test -e /run/once || { touch /run/once; exit 1; }'\n";
    machine.drop_in("romuo@1.service", once);
    let ran = machine.ctl(&["reload"]).exits(1);
    let said = "instance 1 was restarted once more, and serves; instance 2 was not touched";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert_eq!(machine.status()["state"], "online");
    assert_eq!(machine.pid(2), two);
}

#[test]
fn a_canary_that_is_worse_than_its_sibling_halts_the_roll() {
    let sandbox = builder().boot().unwrap_or_else(|error| panic!("{error}"));
    let machine = Machine { sandbox };
    machine.sandbox.write("/srv/site/app.js", MOODY).unwrap();
    machine.configure("command = [\"node\", \"app.js\"]\n[reload]\nwatch = \"20s\"\n");
    machine.ctl(&["install-units", "--now"]).ok();
    let page = Request::get(PathAndQuery::from_static("/"));
    let gap = Duration::from_millis(5);
    let load = machine.load(Mix::new(ADDRESS).clients(Kind::NewConnection { gap }, 4, &page));
    wait(load.until_each_answered(1)).unwrap();
    machine.sandbox.write("/srv/site/bad", "").unwrap();
    let ran = machine.ctl(&["reload"]).exits(1);
    for part in ["romuo@1.service is worse than its siblings", "instance 2 was not touched"] {
        assert!(ran.stderr.contains(part), "{part:?} is not in {}", ran.stderr);
    }
    // It is as good as any: the roll goes on when it has been watched.
    machine.run(&["rm", "/srv/site/bad"]).ok();
    machine.configure("command = [\"node\", \"app.js\"]\n[reload]\nwatch = \"1s\"\n");
    machine.ctl(&["install-units"]).ok();
    machine.ctl(&["reload"]).ok();
    let journal = machine.journal();
    assert!(journal.contains("watching romuo@1.service beside its siblings"), "{journal}");
    assert_eq!(machine.status()["state"], "online");
    wait(load.stop());
}

#[test]
fn a_roller_that_is_killed_is_told_of_and_its_roll_is_finished() {
    let machine = Machine::serving("");
    let load = busy(&machine);
    let mut asked = machine.spawn(&["romuoctl", "--app", "romuo", "reload"]);
    machine.until_journal("the roll begins", |entry| {
        entry.message.contains("restarting romuo@1.service")
    });
    let no_wait = machine.ctl(&["reload", "--no-wait"]).exits(1);
    assert!(no_wait.stderr.contains("romuo is being rolled already: process "), "{no_wait:?}");
    let roller = machine.property("romuo.service", "ControlPID");
    machine.run(&["kill", "-9", &roller]).ok();
    assert!(!asked.wait().unwrap().success());
    let said = machine.status()["roll"].to_string();
    // On a busy machine the first one may be rolled by now.
    let far = if said.contains("at 0 of 2") { "0 of 2" } else { "1 of 2" };
    let interrupted = format!("interrupted at {far}; `romuoctl reload` finishes it");
    assert!(said.contains(&interrupted), "{said}");
    machine.ctl(&["reload"]).ok();
    let journal = machine.journal();
    let told = format!("the roll before was interrupted at {far}: this one finishes it");
    assert!(journal.contains(&told), "{journal}");
    let said = machine.status()["roll"].to_string();
    assert!(said.contains("rolled 2 of 2"), "{said}");
    machine.expect_no_loss(&wait(load.stop()));
}

#[test]
fn a_roll_is_canceled_after_the_instance_at_hand_and_a_stop_wins_over_it() {
    let machine = Machine::serving("");
    let none = machine.ctl(&["reload", "--cancel"]).exits(1);
    assert!(none.stderr.contains("no roll of romuo is under way"), "{none:?}");
    let load = busy(&machine);
    let two = machine.pid(2);
    let mut asked = machine.spawn(&["romuoctl", "--app", "romuo", "reload"]);
    machine.until_journal("the roll begins", |entry| {
        entry.message.contains("restarting romuo@1.service")
    });
    machine.ctl(&["reload", "--cancel"]).ok();
    assert_eq!(asked.wait().unwrap().code(), Some(1));
    let said = machine.status()["roll"].to_string();
    assert!(said.contains("the roll of romuo was canceled at 1 of 2"), "{said}");
    assert_eq!(machine.pid(2), two, "it was not touched");
    machine.expect_no_loss(&wait(load.stop()));
    machine.ctl(&["restart"]).ok();
    assert!(machine.status()["roll"].is_null(), "all is well since: {}", machine.status());

    let load = busy(&machine);
    let begun = Machine::now();
    let mut asked = machine.spawn(&["systemctl", "reload", "romuo"]);
    machine.until_journal_after(begun, "another roll begins", |entry| {
        entry.message.contains("restarting romuo@1.service")
    });
    machine.systemctl(&["stop", "romuo.target"]).ok();
    wait(load.stop());
    assert!(!asked.wait().unwrap().success());
    machine.ctl(&["stop"]).ok();
    for unit in ["romuo@1.service", "romuo@2.service", "romuo.service", "romuo.socket"] {
        assert_eq!(machine.property(unit, "ActiveState"), "inactive", "{unit}");
    }
}
