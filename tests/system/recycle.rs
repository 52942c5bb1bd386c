//! Instances that are started anew before the kernel ends them, under load.

use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use romuo::journal::Entry;
use romuo::load::{Body, Kind, Request};
use serde_json::Value;

use crate::apps::app::{App, PAGE, clients};
use crate::machine::{Machine, wait};

/// What a test waits for at the most: it takes a leak some time to fill a machine.
const DEADLINE: Duration = Duration::from_secs(180);

/// Every entry of the journal, in its order.
fn journal(machine: &Machine) -> Vec<Entry> {
    machine.sync_journal();
    let text = machine.run(&["journalctl", "--output=json", "--no-pager", "-q"]).ok();
    text.lines().filter_map(|line| Entry::parse(line).ok()).collect()
}

/// Waits until both instances say that they were recycled.
fn until_both_are_recycled(machine: &Machine, status: impl Fn() -> Value) -> Value {
    let end = Instant::now() + DEADLINE;
    loop {
        let status = status();
        let counts = [0, 1].map(|at| status["instances"][at]["recycled"]["count"].as_u64());
        let is_up = |at: usize| status["instances"][at]["state"] == "online";
        if is_up(0) && is_up(1) && counts.iter().all(Option::is_some) {
            return status;
        }
        assert!(Instant::now() < end, "never recycled: {status}\n{}", machine.journal());
    }
}

/// Waits until an instance has been up for so many seconds.
fn until_up_for(machine: &Machine, at: usize, seconds: u64) {
    let end = Instant::now() + DEADLINE;
    while machine.status()["instances"][at]["uptime_seconds"].as_u64() < Some(seconds) {
        assert!(Instant::now() < end, "{}", machine.status());
    }
}

/// Insists on each instance being ready again before another one is recycled; how many were.
fn expect_one_at_a_time(machine: &Machine) -> usize {
    let mut away: Option<String> = None;
    let mut count = 0;
    for Entry { unit, message, .. } in journal(machine) {
        let Some(unit) = unit.filter(|unit| unit.contains('@')) else { continue };
        if message.starts_with("recycled (") {
            assert_eq!(away, None, "{unit} did not wait\n{}", machine.journal());
            away = Some(unit);
            count += 1;
        } else if message.starts_with("ready, serving") && away.as_ref() == Some(&unit) {
            away = None;
        }
    }
    count
}

#[test]
fn an_app_that_leaks_is_recycled_before_the_kernel_ends_it_and_nothing_is_lost() {
    let app = App::boot("leaks").described_by("slowly.toml").start();
    if !app.machine.sandbox.memory_limits_work() {
        println!("SKIPPED: the memory controller cannot be had here, so MemoryMax= is ignored");
        return;
    }
    let (fronts, ms) = (app.mains(), Duration::from_millis);
    // A leak of some megabytes a second in each instance.
    let leak = Request::post(PathAndQuery::from_static("/"), b"x".to_vec());
    let leak = leak.expecting_body(Body::Exact(PAGE.into()));
    let mix = clients(Kind::KeepAlive { gap: ms(5) }, 4)
        .clients(Kind::NewConnection { gap: ms(20) }, 2, &crate::apps::app::page())
        .clients(Kind::KeepAlive { gap: ms(50) }, 4, &leak);
    let load = app.load(mix);
    let status = until_both_are_recycled(&app.machine, || {
        serde_json::from_str(&app.ctl(&["status", "-o", "json"]).output.stdout).unwrap()
    });
    app.finish(load);
    let last = status["instances"][0]["recycled"]["last"].as_str().unwrap();
    assert!(last.starts_with("memory at ") && last.ends_with(" % of 200M"), "{last}");
    assert!(expect_one_at_a_time(&app.machine) >= 2);
    let said = app.machine.journal();
    for trouble in ["SIGKILL", "OOM", "oom-kill", "ended too soon", "errored"] {
        assert!(!said.contains(trouble), "{trouble}\n{said}");
    }
    let mains = app.mains();
    assert!(mains.iter().zip(&fronts).all(|(now, before)| now != before), "{mains:?}");
    for id in [1, 2] {
        let guard =
            app.machine.sandbox.read(format!("/run/romuo/leaks-slowly/{id}.guard")).unwrap();
        let guard: Value = serde_json::from_slice(&guard).unwrap();
        assert_eq!(guard["crashes"], 0, "{guard}");
    }
    let text = app.ctl(&["status"]).output.stdout;
    // One of them may be away at this moment, for the next time.
    assert!(text.contains(".service was recycled "), "{text}");
}

#[test]
fn an_instance_without_a_program_is_recycled_too_and_the_other_one_is_not() {
    let machine =
        Machine::serving("[limits]\nmemory = \"64M\"\nrecycle = \"70%\"\nmin_uptime = \"1s\"\n");
    if !machine.sandbox.memory_limits_work() {
        println!("SKIPPED: the memory controller cannot be had here, so MemoryMax= is ignored");
        return;
    }
    let load = machine.load(Machine::mixed());
    wait(load.until_each_answered(1)).unwrap();
    // Younger ones are taken for full from the start.
    until_up_for(&machine, 0, 10);
    let (pids, begun) = ([1, 2].map(|id| machine.pid(id)), Machine::now());
    let mut hog = machine.hog(&pids[0], 45);
    machine.until_started_after(begun, "romuo@1.service");
    assert!(!hog.wait().unwrap().success(), "it went with the instance");
    wait(load.until_each_answered(1)).unwrap();
    machine.expect_no_loss(&wait(load.stop()));
    let recycled = machine.status()["instances"][0]["recycled"].clone();
    assert_eq!(recycled["count"], 1, "{recycled}\n{}", machine.journal());
    assert_ne!(machine.pid(1), pids[0]);
    assert_eq!(machine.pid(2), pids[1]);
}

#[test]
fn a_release_that_does_not_come_up_costs_one_instance_and_no_other_one() {
    let limits = "[limits]\nmin_uptime = \"1s\"\nmax_age = \"2s\"\nmax_restarts = 2\n";
    let timeouts = "start_timeout = \"5s\"\nstop_timeout = \"2s\"\n";
    let machine = Machine::serving(&format!("{limits}{timeouts}"));
    machine.drop_in("romuo@.service", "[Service]\nExecStart=\nExecStart=/bin/false\n");
    let errored = machine.until_journal("one is errored", |entry| {
        entry.message.starts_with("Instance ") && entry.message.contains(" is errored")
    });
    let there = usize::from(errored.message.starts_with("Instance 1 "));
    let load = machine.load(Machine::mixed());
    wait(load.until_each_answered(1)).unwrap();
    // Its turn has been over for long, and so has its life.
    until_up_for(&machine, there, 30);
    machine.expect_no_loss(&wait(load.stop()));
    assert_eq!(machine.status()["instances"][there]["recycled"], Value::Null);
    assert!(machine.journal().contains("until the other instances are well"));
}

#[test]
fn old_instances_are_recycled_one_after_the_other_and_keep_out_of_the_way_of_a_roll() {
    let limits = "[limits]\nmin_uptime = \"1s\"\nmax_age = \"3s\"\n";
    let machine = Machine::serving(&format!("{limits}[reload]\nlinger = \"500ms\"\n"));
    let load = machine.load(Machine::mixed());
    wait(load.until_each_answered(1)).unwrap();
    let status = until_both_are_recycled(&machine, || machine.status());
    let last = status["instances"][1]["recycled"]["last"].as_str().unwrap();
    assert!(last.starts_with("up for "), "{last}");
    // Whether it comes in the middle of a recycling or not: both are rolled.
    for _ in 0..3 {
        let said = machine.ctl(&["reload"]).ok();
        assert!(said.starts_with("rolled 2 of 2 instances"), "{said}");
        assert!(!said.contains("stopped"), "{said}");
    }
    wait(load.until_each_answered(1)).unwrap();
    machine.expect_no_loss(&wait(load.stop()));
    assert!(expect_one_at_a_time(&machine) >= 2);
    assert!(!machine.journal().contains("ended too soon"));

    let mut rolling = false;
    let mut rolls = 0;
    for Entry { message, .. } in journal(&machine) {
        assert!(!(rolling && message.starts_with("recycled (")), "{}", machine.journal());
        if message.starts_with("0 of 2 instances rolled") {
            rolling = true;
        } else if message.starts_with("rolled 2 of 2") {
            (rolling, rolls) = (false, rolls + 1);
        }
    }
    assert_eq!(rolls, 3);
}
