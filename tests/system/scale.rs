//! More and fewer instances, under load.

use std::io::{BufRead, BufReader, Read};
use std::process::Child;

use serde_json::{Value, json};

use crate::apps::app::{App, mixed};
use crate::machine::{CONFIG, Machine, PAGE, builder, wait};

/// Holds up a start until somebody writes to this pipe.
const GATE: &str = "/srv/gate";

/// The ids that `status` tells.
fn ids(machine: &Machine) -> Vec<String> {
    let status = machine.status();
    let instances = status["instances"].as_array().unwrap();
    instances.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// Makes the start of an instance wait at the gate.
fn hold_up(machine: &Machine, instance: u16) {
    machine.run(&["mkfifo", "--mode=644", GATE]).ok();
    let text = format!("[Service]\nExecStartPre=/bin/sh -c 'read go < {GATE}'\n");
    machine.drop_in(&format!("romuo@{instance}.service"), &text);
}

/// Waits until that start is at the gate, or on its way there.
fn until_held_up(machine: &Machine, after: i64, instance: u16) {
    let unit = format!("romuo@{instance}.service");
    machine.until_journal_after(after, "the start begins", |entry| {
        entry.unit.as_deref() == Some(&unit) && entry.message.starts_with("Starting ")
    });
}

fn open(machine: &Machine) {
    machine.run(&["sh", "-c", &format!("echo go > {GATE}")]).ok();
}

/// The exit code of a command in the background, and what it said on both streams.
fn ended(mut child: Child) -> (Option<i32>, String) {
    let code = child.wait().unwrap().code();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (code, said)
}

#[test]
fn up_and_down_under_mixed_load_loses_nothing() {
    let machine = Machine::serving("");
    let pids = [machine.pid(1), machine.pid(2)];
    let load = machine.load(Machine::mixed());
    wait(load.until_each_answered(1)).unwrap();
    let said = machine.ctl(&["scale", "4"]).ok();
    assert_eq!(said, "scaled romuo from 2 to 4 instances: started 3, 4\n");
    assert_eq!(machine.status()["state"], "online");
    assert_eq!(ids(&machine), ["1", "2", "3", "4"]);
    wait(load.until_each_answered(1)).unwrap();

    let said: Value =
        serde_json::from_str(&machine.ctl(&["scale", "1", "-o", "json"]).ok()).unwrap();
    let wanted = json!({"app": "romuo", "instances": 1, "started": [], "stopped": ["2", "3", "4"]});
    assert_eq!(said, wanted);
    for unit in ["romuo@2.service", "romuo@3.service", "romuo@4.service"] {
        assert_eq!(machine.property(unit, "ActiveState"), "inactive");
        machine.systemctl(&["is-enabled", unit]).exits(1);
    }
    assert_eq!(machine.pid(1), pids[0], "the first one was not touched");
    wait(load.until_each_answered(1)).unwrap();
    machine.ctl(&["scale", "+1"]).ok();
    assert_ne!(machine.pid(2), pids[1]);
    wait(load.until_each_answered(1)).unwrap();
    let said = machine.ctl(&["scale", "-1"]).ok();
    assert_eq!(said, "scaled romuo from 2 to 1 instance: stopped 2\n");
    wait(load.until_each_answered(1)).unwrap();
    let report = wait(load.stop());
    println!("{report}");
    machine.expect_no_loss(&report);
    assert_eq!(machine.ctl(&["scale", "1"]).ok(), "romuo has 1 instance already\n");
    let ran = machine.ctl(&["scale", "-1"]).exits(2);
    assert!(ran.stderr.contains("one has to stay"), "{}", ran.stderr);
    machine.ctl(&["scale", "0"]).exits(2);
    assert_eq!(ids(&machine), ["1"]);
}

#[test]
fn an_app_behind_its_fronts_is_scaled_under_mixed_load_without_loss() {
    let app = App::serving("node-http");
    let load = app.load(mixed());
    let said = app.ctl(&["scale", "4"]).ok();
    assert_eq!(said, "scaled node-http from 2 to 4 instances: started 3, 4\n");
    wait(load.until_each_answered(1)).unwrap();
    let health: Value = serde_json::from_str(&app.ctl(&["health", "-o", "json"]).ok()).unwrap();
    let each = health["instances"].as_array().unwrap();
    assert!(each.iter().all(|one| one["app"]["healthy"] == true), "{health}");
    assert_eq!(each.len(), 4, "{health}");
    let said = app.ctl(&["scale", "1"]).ok();
    assert_eq!(said, "scaled node-http from 4 to 1 instance: stopped 2, 3, 4\n");
    app.finish(load);
}

#[test]
fn a_new_instance_that_does_not_come_up_leaves_all_as_it_was() {
    let machine = Machine::serving("");
    let pids = [machine.pid(1), machine.pid(2)];
    let broken = "[Service]\nExecStart=\nExecStart=/bin/sh -c 'echo no luck; exit 7'\n";
    machine.drop_in("romuo@3.service", broken);
    let load = machine.load(Machine::mixed());
    wait(load.until_each_answered(1)).unwrap();
    let ran = machine.ctl(&["scale", "4", "-o", "json"]).exits(1);
    assert_eq!(ran.stdout, "");
    for part in
        ["romuo was left at 2 instances: romuo@3.service exited with code 7", "no luck", "logs"]
    {
        assert!(ran.stderr.contains(part), "{part:?} is not in {}", ran.stderr);
    }
    wait(load.until_each_answered(1)).unwrap();
    machine.expect_no_loss(&wait(load.stop()));
    assert_eq!([machine.pid(1), machine.pid(2)], pids);
    assert_eq!(ids(&machine), ["1", "2"]);
    for unit in ["romuo@3.service", "romuo@4.service"] {
        assert_eq!(machine.property(unit, "ActiveState"), "inactive");
        machine.systemctl(&["is-enabled", unit]).exits(1);
    }
    machine.remove_drop_in("romuo@3.service");
    machine.ctl(&["scale", "3"]).ok();
    assert_eq!(machine.status()["state"], "online");
}

#[test]
fn the_scale_outlasts_an_install_and_a_boot() {
    let image = tempfile::tempdir().unwrap();
    let boot = || {
        let folder = |path: &str| {
            let there = image.path().join(path);
            std::fs::create_dir_all(&there).unwrap();
            there
        };
        let sandbox = builder()
            .bind(folder("site"), "/srv/site")
            .bind(folder("romuo"), "/etc/romuo")
            .bind(folder("units"), "/etc/systemd/system")
            .boot();
        Machine { sandbox: sandbox.unwrap_or_else(|error| panic!("{error}")) }
    };
    let machine = boot();
    machine.sandbox.write("/srv/site/public/index.html", PAGE).unwrap();
    machine.configure(CONFIG);
    machine.ctl(&["install-units", "--now"]).ok();
    machine.ctl(&["scale", "4"]).ok();
    machine.ctl(&["scale", "-1"]).ok();
    let said = machine.ctl(&["install-units", "--now"]).ok();
    assert!(said.contains("nothing to change"), "{said}");
    machine.configure(&format!("{CONFIG}[health]\nfailures = 4\n"));
    machine.ctl(&["install-units"]).ok();
    assert_eq!(ids(&machine), ["1", "2", "3"]);
    machine.sandbox.shutdown().unwrap();

    let machine = boot();
    let status = machine.status();
    assert_eq!(status["state"], "online", "{status}");
    assert_eq!(ids(&machine), ["1", "2", "3"]);
    machine.configure(&format!("instances = \"max\"\n{CONFIG}"));
    machine.ctl(&["install-units"]).ok();
    machine.ctl(&["scale", "+2"]).ok();
    let scaled = ids(&machine);
    machine.ctl(&["install-units", "--now"]).ok();
    assert_eq!(ids(&machine), scaled, "an unchanged \"max\" changes nothing");
}

#[test]
fn a_scale_waits_for_a_roll_or_says_who_rolls() {
    let machine = Machine::serving("[limits]\nstart_timeout = \"60s\"\n");
    hold_up(&machine, 1);
    let begun = Machine::now();
    let roll = machine.spawn(&["romuoctl", "--app", "romuo", "reload"]);
    until_held_up(&machine, begun, 1);
    let ran = machine.ctl(&["scale", "3", "--no-wait"]).exits(1);
    assert!(ran.stderr.contains("romuo is being rolled already: process "), "{}", ran.stderr);
    assert_eq!(ids(&machine), ["1", "2"]);

    let mut scale = machine.spawn(&["romuoctl", "--app", "romuo", "scale", "3"]);
    let mut words = BufReader::new(scale.stderr.take().unwrap());
    let mut waits = String::new();
    words.read_line(&mut waits).unwrap();
    assert!(waits.starts_with("waiting: process "), "{waits}");
    assert_eq!(ids(&machine), ["1", "2"]);
    open(&machine);
    scale.stderr = Some(words.into_inner());
    let (code, said) = ended(roll);
    assert!(code == Some(0) && said.contains("rolled 2 of 2"), "{said}");
    let (code, said) = ended(scale);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("scaled romuo from 2 to 3 instances: started 3\n"), "{said}");
    assert_eq!(ids(&machine), ["1", "2", "3"]);
}

#[test]
fn a_roll_waits_for_a_scale_and_an_interrupted_one_leaves_all_as_it_was() {
    let machine = Machine::serving("[limits]\nstart_timeout = \"60s\"\n");
    hold_up(&machine, 3);
    let begun = Machine::now();
    let typed = "echo $$; exec romuoctl --app romuo scale 3";
    let mut scale = machine.spawn(&["sh", "-c", typed]);
    let mut words = BufReader::new(scale.stdout.take().unwrap());
    let mut pid = String::new();
    words.read_line(&mut pid).unwrap();
    scale.stdout = Some(words.into_inner());
    until_held_up(&machine, begun, 3);
    let ran = machine.ctl(&["reload", "--no-wait"]).exits(1);
    let who = format!("romuo is being scaled by process {}", pid.trim());
    assert!(ran.stderr.contains(&who), "{}", ran.stderr);
    let ran = machine.ctl(&["reload", "--cancel"]).exits(1);
    assert!(ran.stderr.contains("no roll of romuo is under way"), "{}", ran.stderr);

    machine.run(&["kill", "-INT", pid.trim()]).ok();
    let (code, said) = ended(scale);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("romuo was left at 2 instances: it was interrupted"), "{said}");
    assert_eq!(machine.property("romuo@3.service", "ActiveState"), "inactive");
    assert_eq!(ids(&machine), ["1", "2"]);
    assert!(machine.ctl(&["reload"]).ok().contains("rolled 2 of 2"));
}

#[test]
fn what_someone_stopped_counts_and_the_last_that_serves_is_not_taken_away() {
    let machine = Machine::serving("[limits]\nmemory = \"1T\"\n");
    machine.systemctl(&["stop", "romuo@2.service"]).ok();
    let said = machine.ctl(&["scale", "3"]).exits(0);
    assert_eq!(said.stdout, "scaled romuo from 2 to 3 instances: started 3\n");
    let warning = "warning: 3 instances may take 3T of memory (1T each, by limits.memory), and the";
    assert!(said.stderr.contains(warning), "{}", said.stderr);
    assert_eq!(machine.property("romuo@2.service", "ActiveState"), "inactive");

    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let ran = machine.run(&[&nobody[..], &["romuoctl", "-a", "romuo", "scale", "4"]].concat());
    let said = ran.exits(1).stderr;
    assert!(said.contains("cannot scale romuo: ") && said.contains("root"), "{said}");

    machine.systemctl(&["stop", "romuo@1.service"]).ok();
    let ran = machine.ctl(&["scale", "2"]).exits(1);
    let sentence = "romuo was left as it is: none of the instances that would stay serves (1, 2)";
    assert!(ran.stderr.contains(sentence), "{}", ran.stderr);
    machine.pid(3);
    assert_eq!(ids(&machine), ["1", "2", "3"]);
}

#[test]
fn a_stopped_app_is_scaled_for_its_next_start() {
    let machine = Machine::boot();
    let ran = machine.run(&["romuoctl", "--app", "romuo", "scale", "3"]).exits(2);
    assert!(ran.stderr.contains("romuo is not installed"), "{}", ran.stderr);
    // Nothing has ever run: there is no runtime folder yet.
    machine.ctl(&["install-units"]).ok();
    let said = machine.ctl(&["scale", "3"]).ok();
    assert_eq!(said, "scaled romuo from 2 to 3 instances: with 3; it is stopped\n");
    assert_eq!(machine.status()["state"], "stopped");
    assert_eq!(machine.property("romuo.socket", "ActiveState"), "inactive");
    machine.ctl(&["start"]).ok();
    assert_eq!(ids(&machine), ["1", "2", "3"]);
    assert_eq!(machine.status()["state"], "online");
}
