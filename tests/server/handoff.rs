//! Idle connections that go on at a sibling when their instance ends.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use romuo::health::Status;
use rustix::process::{Pid, Signal, kill_process};

use crate::fronted::Client;
use crate::instance::{DEADLINE, Instance, Machine};
use crate::{HALF, LONG, report};

/// More than fit one message.
const MANY: usize = 300;

/// Idle connections of one instance: it is the only one yet.
fn idle(address: SocketAddr, id: &str, count: usize) -> Vec<Client> {
    (0..count)
        .map(|_| {
            let mut client = Client::new(address);
            assert_eq!(answering(&mut client), id);
            client
        })
        .collect()
}

/// Which instance answers on a connection.
fn answering(client: &mut Client) -> String {
    let report: serde_json::Value = serde_json::from_str(&client.ask("GET", "/health")).unwrap();
    report["instance"].as_str().unwrap().to_owned()
}

fn expect_closed(client: &mut Client) {
    client.0.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(client.0.read(&mut [0; 1]).unwrap(), 0);
}

/// Ends an instance; most of these have a linger of an hour.
fn end(instance: Instance) {
    instance.signal(Signal::TERM);
    assert!(instance.wait().success());
}

#[test]
fn idle_connections_outlive_every_instance_of_a_roll_and_no_drain_waits_for_them() {
    let machine = Machine::new(LONG);
    let mut first = machine.ready("1");
    let mut clients = idle(machine.address(), "1", MANY);
    let mut second = machine.ready("2");
    let mode = std::fs::metadata(machine.idle_door("2")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for _ in 0..2 {
        end(first);
        assert!(!machine.idle_door("1").exists());
        for client in &mut clients {
            assert_eq!(answering(client), "2");
        }
        first = machine.ready("1");
        end(second);
        for client in &mut clients {
            assert_eq!(answering(client), "1");
        }
        second = machine.ready("2");
    }
    assert_eq!(report(&machine.control("1")).taken_over, MANY as u64);
    assert_eq!(report(&machine.control("2")).taken_over, 0, "it is a new one");
}

#[test]
fn a_request_in_hand_is_answered_and_its_connection_goes_on_at_a_sibling() {
    let machine = Machine::new(LONG);
    let first = machine.ready("1");
    let mut client = Client::new(machine.address());
    client.0.write_all(HALF[0]).unwrap();
    machine.wait_until_accepted(&first);
    let _second = machine.ready("2");
    first.signal(Signal::TERM);
    first.wait_for_message("STOPPING=1\n");
    client.0.write_all(HALF[1]).unwrap();
    assert_eq!(client.answer(), "hello");
    assert!(first.wait().success());
    assert_eq!(answering(&mut client), "2");
}

#[test]
fn the_clients_of_an_app_go_on_at_the_app_of_a_sibling() {
    let machine = Machine::of_app(LONG);
    let first = machine.ready("1");
    let app = |id| report(&machine.control(id)).app.unwrap().pid.unwrap().to_string();
    let old = app("1");
    let mut clients: Vec<Client> = (0..10).map(|_| Client::new(machine.address())).collect();
    for client in &mut clients {
        assert_eq!(client.ask("GET", "/"), old);
    }
    let _second = machine.ready("2");
    end(first);
    for client in &mut clients {
        assert_eq!(client.ask("POST", "/"), app("2"));
    }
}

#[test]
fn a_sibling_whose_app_is_down_gets_nothing() {
    let tables = "[reload]\nlinger = \"300ms\"\n[limits]\nrestart_delay = \"1h\"\n";
    let machine = Machine::of_app(tables);
    let first = machine.ready("1");
    let mut client = Client::new(machine.address());
    client.ask("GET", "/");
    let _second = machine.ready("2");
    let app = report(&machine.control("2")).app.unwrap().pid.unwrap();
    kill_process(Pid::from_raw(app.cast_signed()).unwrap(), Signal::KILL).unwrap();
    while report(&machine.control("2")).status != Status::Failing {
        std::thread::yield_now();
    }
    end(first);
    expect_closed(&mut client);
}

#[test]
fn where_all_instances_end_at_once_idle_connections_are_closed_after_the_linger() {
    let machine = Machine::new("[reload]\nlinger = \"300ms\"\n");
    let first = machine.ready("1");
    let mut clients = idle(machine.address(), "1", 10);
    let second = machine.ready("2");
    for instance in [&first, &second] {
        instance.signal(Signal::TERM);
    }
    for instance in [first, second] {
        assert!(instance.wait().success());
    }
    for client in &mut clients {
        expect_closed(client);
    }
}

#[test]
fn with_siblings_that_take_nothing_idle_connections_get_their_linger() {
    // One has no door, as an older version has none; the other never answers.
    for is_silent in [false, true] {
        let machine = Machine::new("[reload]\nlinger = \"300ms\"\n");
        let first = machine.ready("1");
        let mut client = idle(machine.address(), "1", 1).remove(0);
        let _second = machine.ready("2");
        std::fs::remove_file(machine.idle_door("2")).unwrap();
        let _door = is_silent.then(|| UnixListener::bind(machine.idle_door("2")).unwrap());
        first.signal(Signal::TERM);
        assert!(first.wait().success());
        expect_closed(&mut client);
    }
}
