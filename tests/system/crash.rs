//! Crashes, hangs, memory: what happens to one instance must not happen to the others.

use std::time::Duration;

use romuo::load::{Kind, Mix};

use crate::machine::{ADDRESS, Machine, wait};

/// Clients of the tests below that lose what a killed instance has in hand.
const CLIENTS: usize = 16;

fn keep_alive() -> Mix {
    let steady = Kind::KeepAlive { gap: Duration::from_millis(5) };
    Mix::new(ADDRESS).clients(steady, CLIENTS, &Machine::site().small)
}

#[test]
fn a_killed_instance_loses_what_it_has_in_hand_and_nothing_afterwards() {
    let machine = Machine::serving("");
    let load = machine.load(keep_alive());
    wait(load.until_each_answered(100)).unwrap();
    let killed_at = Machine::now();
    machine.run(&["kill", "-KILL", &machine.pid(1)]).ok();
    machine.until_started_after(killed_at, "romuo@1.service");
    let in_hand = load.requests_lost();
    assert!(in_hand <= CLIENTS as u64, "{in_hand} lost, by {CLIENTS} clients");
    wait(load.until_each_answered(2000)).unwrap();
    assert_eq!(load.requests_lost(), in_hand, "nothing is lost afterwards");
    assert_eq!(machine.status()["instances"][0]["restarts"], 1);
    wait(load.stop());
}

#[test]
fn a_crash_looping_instance_becomes_errored_and_neither_socket_nor_sibling_suffers() {
    let machine = Machine::serving(
        "[limits]\nmax_restarts = 3\nrestart_delay = \"50ms\"\nretry_errored = \"off\"\n",
    );
    machine.drop_in("romuo@1.service", "[Service]\nExecStart=\nExecStart=/bin/false\n");
    let two = machine.pid(2);
    let load = machine.load(Machine::mixed());
    wait(load.until_each_answered(1)).unwrap();

    machine.systemctl(&["restart", "romuo@1.service"]).exits(1);
    machine.until_errored("romuo@1.service");
    wait(load.until_each_answered(1)).unwrap();
    machine.expect_no_loss(&wait(load.stop()));

    let status = machine.status();
    assert_eq!(status["state"], "degraded");
    assert_eq!(status["instances"][0]["state"], "errored");
    assert_eq!(status["instances"][1]["state"], "online");
    assert_eq!(machine.pid(2), two, "the sibling was not touched");
    assert_eq!(machine.property("romuo.socket", "ActiveState"), "active");
    machine.ctl(&["status"]).exits(3);
    machine.ctl(&["health"]).exits(3);

    // A start by hand clears it; the crashes count anew.
    machine.ctl(&["restart", "1"]).exits(1);
    machine.remove_drop_in("romuo@1.service");
    machine.ctl(&["restart", "1"]).ok();
    assert_eq!(machine.status()["state"], "online");
}

#[test]
fn a_hanging_instance_is_restarted_by_its_watchdog() {
    let machine = Machine::serving("[health]\ninterval = \"2s\"\ntimeout = \"2s\"\nfailures = 1\n");
    let (hung, hung_at) = (machine.pid(1), Machine::now());
    machine.run(&["kill", "-STOP", &hung]).ok();
    machine.until_started_after(hung_at, "romuo@1.service");
    assert_ne!(machine.pid(1), hung);
    let journal = machine.journal();
    assert!(journal.contains("Watchdog timeout"), "{journal}");
    assert_eq!(machine.status()["state"], "online");
}

#[test]
fn an_instance_over_its_memory_limit_is_killed_and_restarted() {
    let machine = Machine::serving("[limits]\nmemory = \"48M\"\n");
    if !machine.sandbox.memory_limits_work() {
        println!("SKIPPED: the memory controller cannot be had here, so MemoryMax= is ignored");
        return;
    }
    machine.drop_in("romuo@1.service", "[Service]\nOOMScoreAdjust=1000\n");
    machine.ctl(&["restart", "1"]).ok();
    let load = machine.load(keep_alive());
    wait(load.until_each_answered(10)).unwrap();
    let (pid, begun) = (machine.pid(1), Machine::now());
    // Not this, but the instance is to be killed for it.
    let mut hog = machine.hog(&pid, 200);
    machine.until_started_after(begun, "romuo@1.service");
    assert!(!hog.wait().unwrap().success(), "it went with the instance");
    let journal = machine.journal();
    assert!(journal.contains("code=killed, status=9/KILL"), "{journal}");
    assert_ne!(machine.pid(1), pid);
    wait(load.until_each_answered(100)).unwrap();
    assert!(load.requests_lost() <= CLIENTS as u64, "{} lost", load.requests_lost());
    assert_eq!(machine.status()["state"], "online");
    wait(load.stop());
}
