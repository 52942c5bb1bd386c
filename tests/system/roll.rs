//! Rolls under load, by clients that never retry.

use std::time::Duration;

use romuo::load::{Kind, Mix};
use serde_json::Value;

use crate::machine::{ADDRESS, Machine, timed, wait};

/// Idle connections: more than one message between instances carries.
const PARKED: usize = 400;

/// open(2); in octal as the kernel prints it.
const O_NONBLOCK: i32 = 0o4000;

#[test]
fn a_roll_under_mixed_load_loses_nothing() {
    let machine = Machine::serving("");
    let load = machine.load(Machine::mixed());
    wait(load.until_each_answered(1)).unwrap();
    let pids = [machine.pid(1), machine.pid(2)];
    timed("roll", || machine.systemctl(&["reload", "romuo.target"]).ok());
    assert_ne!(machine.pid(1), pids[0], "instance 1 was restarted");
    assert_ne!(machine.pid(2), pids[1], "instance 2 was restarted");
    wait(load.until_each_answered(1)).unwrap();
    let report = wait(load.stop());
    println!("{report}");
    machine.expect_no_loss(&report);
}

/// Clients of which most have nothing to say for longer than the linger.
fn keeping() -> Mix {
    let small = Machine::site().small;
    let kept = |gap| Kind::KeepAlive { gap: Duration::from_millis(gap) };
    Mix::new(ADDRESS).clients(kept(3000), PARKED, &small).clients(kept(20), 8, &small).clients(
        Kind::NewConnection { gap: Duration::from_millis(20) },
        4,
        &small,
    )
}

#[test]
fn no_client_has_to_reconnect_in_a_roll_by_restart() {
    let machine = Machine::serving("");
    let load = machine.load(keeping());
    wait(load.until_each_answered(1)).unwrap();
    for _ in 0..2 {
        let pids = [machine.pid(1), machine.pid(2)];
        timed("roll", || machine.systemctl(&["reload", "romuo.target"]).ok());
        assert!(machine.pid(1) != pids[0] && machine.pid(2) != pids[1], "both were restarted");
        wait(load.until_each_answered(1)).unwrap();
    }
    let report = wait(load.stop());
    println!("{report}");
    machine.expect_no_loss(&report);
    for kind in report.by_kind().iter().filter(|kind| kind.keep_alive) {
        assert_eq!(
            kind.figures.connections,
            kind.clients as u64,
            "{report}\n{}",
            machine.journal()
        );
    }
    // Those of the one that was restarted last are all at the other one.
    let said = |start: &str| {
        let journal = machine.journal();
        let lines = journal.lines().filter_map(|line| line.split_once(start)?.1.split(' ').next());
        lines.map(|count| count.parse().unwrap()).collect::<Vec<usize>>()
    };
    let (handed, took) = (said(": handed "), said(": took "));
    assert_eq!((handed.len(), took.len()), (4, 4), "{}", machine.journal());
    assert_eq!(handed.iter().sum::<usize>(), took.iter().sum::<usize>());
    assert!(handed[1] >= PARKED, "{handed:?}");
}

#[test]
fn all_three_commands_roll_and_say_how_it_went() {
    let machine = Machine::serving("[reload]\nlinger = \"100ms\"\n");
    for command in [
        &["romuoctl", "reload"][..],
        &["systemctl", "reload", "romuo"],
        &["systemctl", "reload", "romuo.target"],
    ] {
        let before = [machine.pid(1), machine.pid(2)];
        machine.run(command).ok();
        let after = [machine.pid(1), machine.pid(2)];
        assert!(before.iter().zip(&after).all(|(b, a)| b != a), "{command:?} rolled both");
    }
    let said = machine.ctl(&["reload"]).ok();
    assert!(said.starts_with("rolled 2 of 2 instances of romuo in "), "{said}");
    // A flag of the shared socket, which whoever is given it can turn off: then an accept blocks.
    let info = machine.run(&["cat", &format!("/proc/{}/fdinfo/3", machine.pid(1))]).ok();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
    assert_ne!(i32::from_str_radix(flags, 8).unwrap() & O_NONBLOCK, 0, "{info}");
    let outcome: Value =
        serde_json::from_str(&machine.ctl(&["reload", "-o", "json"]).ok()).unwrap();
    assert_eq!(outcome["rolled"], serde_json::json!(["1", "2"]), "{outcome}");
    let text = machine.property("romuo.service", "StatusText");
    assert!(text.starts_with("rolled 2 of 2"), "{text}");
}

#[test]
fn a_release_that_never_gets_ready_halts_the_roll_and_nothing_is_lost() {
    let machine = Machine::serving("[limits]\nstart_timeout = \"3s\"\n");
    let two = machine.pid(2);
    machine.drop_in("romuo@.service", "[Service]\nExecStart=\nExecStart=/bin/sleep infinity\n");
    let load = machine.load(Machine::mixed());
    wait(load.until_each_answered(1)).unwrap();

    let ran = machine.ctl(&["reload"]).exits(1);
    for part in [
        "the roll of romuo halted",
        "romuo@1.service did not get ready in time",
        "instance 2 was not touched",
        "start operation timed out",
    ] {
        assert!(ran.stderr.contains(part), "{part:?} is not in {}", ran.stderr);
    }
    wait(load.until_each_answered(1)).unwrap();
    machine.expect_no_loss(&wait(load.stop()));
    assert_eq!(machine.pid(2), two, "the sibling was not touched");

    // The same roll by systemd's own commands: only the service's can fail.
    machine.systemctl(&["reload", "romuo"]).exits(1);
    machine.systemctl(&["reload", "romuo.target"]).exits(0);
    assert_eq!(machine.pid(2), two, "the sibling was not touched");

    // With the old release back, a roll begins with the broken instance and mends it.
    machine.remove_drop_in("romuo@.service");
    machine.ctl(&["reload"]).ok();
    assert_eq!(machine.status()["state"], "online");
}

#[test]
fn a_restart_of_everything_under_load_loses_nothing() {
    // On a busy machine a download over 3 s takes longer than the 10 s that a stop may take by default.
    let machine = Machine::serving("[limits]\nstop_timeout = \"40s\"\n");
    let load = machine.load(Machine::mixed());
    wait(load.until_each_answered(1)).unwrap();
    timed("restart", || machine.systemctl(&["restart", "romuo.target"]).ok());
    wait(load.until_each_answered(1)).unwrap();
    timed("restart", || machine.ctl(&["restart"]).ok());
    wait(load.until_each_answered(1)).unwrap();
    let report = wait(load.stop());
    println!("{report}");
    machine.expect_no_loss(&report);
}

#[test]
fn one_instance_alone_is_rolled_without_loss() {
    let machine = Machine::serving("");
    machine.configure(&format!("instances = 1\n{}", crate::machine::CONFIG));
    machine.ctl(&["install-units"]).ok();
    machine.systemctl(&["stop", "romuo@2.service"]).ok();
    let load = machine.load(Machine::mixed());
    wait(load.until_each_answered(1)).unwrap();
    machine.ctl(&["reload"]).ok();
    wait(load.until_each_answered(1)).unwrap();
    machine.expect_no_loss(&wait(load.stop()));
}

#[test]
fn a_stopped_instance_is_left_stopped_by_a_roll() {
    let machine = Machine::serving("[reload]\nlinger = \"100ms\"\n");
    machine.systemctl(&["stop", "romuo@2.service"]).ok();
    let said = machine.ctl(&["reload"]).ok();
    assert!(said.contains("left stopped: 2"), "{said}");
    assert_eq!(machine.property("romuo@2.service", "ActiveState"), "inactive");
}

#[test]
fn the_roll_goes_on_when_the_one_who_asked_for_it_goes_away() {
    let machine = Machine::serving("");
    // Clients that keep the drain busy, so that there is a roll to be seen.
    let slow = Kind::SlowDownload { over: Duration::from_secs(2) };
    let load = machine.load(Mix::new(ADDRESS).clients(slow, 4, &Machine::site().large));
    wait(load.until_each_answered(1)).unwrap();
    let mut asked = machine.spawn(&["romuoctl", "--app", "romuo", "reload"]);
    machine.until_journal("the roll begins", |entry| {
        entry.message.contains("restarting romuo@1.service")
    });
    asked.kill().unwrap();
    asked.wait().unwrap();
    assert_eq!(machine.status()["state"], "rolling");
    machine.until_journal("the roll ends", |entry| entry.message.starts_with("rolled 2 of 2"));
    machine.expect_no_loss(&wait(load.stop()));
}

#[test]
fn a_swap_is_none_where_the_drop_ins_of_the_unit_were_removed_with_their_folder() {
    let machine = Machine::boot();
    let app = "require('http').createServer((_, answer) => answer.end()).listen(process.env.PORT)";
    machine.sandbox.write("/srv/site/app.js", app).unwrap();
    machine.configure("command = [\"node\", \"app.js\"]\n");
    machine.drop_in("romuo@.service", "[Service]\nNice=5\n");
    machine.ctl(&["install-units", "--now"]).ok();
    let rolled = || machine.ctl(&["reload"]).ok();
    let said = rolled();
    assert!(said.contains(": swapped 1, 2"), "{said}");
    machine.run(&["rm", "-r", "/etc/systemd/system/romuo@.service.d"]).ok();
    machine.systemctl(&["daemon-reload"]).ok();
    let said = rolled();
    assert!(said.contains(": restarted 1, 2, because their unit changed"), "{said}");
    let said = rolled();
    assert!(said.contains(": swapped 1, 2"), "{said}");
}
