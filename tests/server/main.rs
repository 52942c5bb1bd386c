//! `romuo-server` as a process: what systemd sees of it, and what its clients see of a roll.

// Helpers of tests may fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod app;
mod faults;
mod fronted;
mod handoff;
mod instance;
mod load;
mod recycle;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use instance::{DEADLINE, Instance, Machine};
use romuo::health::{Report, Status, probe};
use rustix::process::{Pid, Signal, kill_process};

/// A drain that ends only when a test lets it.
const LONG: &str = "[reload]\nlinger = \"1h\"\n[limits]\nstop_timeout = \"2h\"\n";

const HALF: [&[u8]; 2] = [b"GET / HTTP/1.1\r\nHo", b"st: x\r\n\r\n"];

/// Sends one request and reads until the server closes.
fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    rest(&mut stream)
}

fn rest(stream: &mut impl std::io::Read) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Asks a control socket.
fn report(control: &Path) -> Report {
    app::wait(probe(control, DEADLINE)).unwrap()
}

#[test]
fn an_instance_tells_systemd_each_step_of_its_life_in_order() {
    let machine = Machine::new("");
    let instance = machine.start("1");
    let address = machine.address();
    assert_eq!(instance.next_message(), format!("READY=1\nSTATUS=serving {address}\n"));
    instance.signal(Signal::TERM);
    // stop_timeout and the way out: 10 + 2 s.
    assert_eq!(
        instance.next_message(),
        "STOPPING=1\nSTATUS=draining: 0 connections left\nEXTEND_TIMEOUT_USEC=12000000\n"
    );
    assert!(instance.wait().success());
}

#[test]
fn pings_come_where_systemd_asks_for_them_and_go_on_during_the_drain() {
    let machine = Machine::new(LONG);
    let instance = machine.start_with("1", &[("WATCHDOG_USEC", "200000")]);
    assert!(instance.next_message().starts_with("READY=1\n"));
    for _ in 0..3 {
        assert_eq!(instance.next_message(), "WATCHDOG=1\n");
    }
    instance.signal(Signal::TERM);
    instance.wait_for_message("STOPPING=1\n");
    for _ in 0..3 {
        instance.wait_for_message("WATCHDOG=1\n");
    }
}

#[test]
fn sigint_drains_as_sigterm_does() {
    for signal in [Signal::TERM, Signal::INT] {
        let machine = Machine::new("");
        let instance = machine.ready("1");
        let mut stream = TcpStream::connect(machine.address()).unwrap();
        stream.write_all(HALF[0]).unwrap();
        machine.wait_until_accepted(&instance);
        instance.signal(signal);
        instance.wait_for_message("STOPPING=1\n");
        stream.write_all(HALF[1]).unwrap();
        let answer = rest(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        drop(stream);
        assert!(instance.wait().success());
    }
}

#[test]
fn what_is_left_at_the_cap_is_cut() {
    let machine = Machine::new("[limits]\nstop_timeout = \"300ms\"\n[reload]\nlinger = \"0s\"\n");
    let instance = machine.ready("1");
    let mut stream = TcpStream::connect(machine.address()).unwrap();
    stream.write_all(HALF[0]).unwrap();
    machine.wait_until_accepted(&instance);
    instance.signal(Signal::TERM);
    assert!(instance.wait().success());
    assert_eq!(stream.read(&mut [0; 64]).unwrap_or(0), 0);
}

#[test]
fn without_a_sibling_it_goes_on_accepting_for_the_linger() {
    let machine = Machine::new(LONG);
    let instance = machine.ready("1");
    instance.signal(Signal::TERM);
    instance.wait_for_message("STOPPING=1\n");
    // That it leaves is said on its control socket alone: the app is well.
    let answer = ask(machine.address(), "/health");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(r#""status":"ok""#), "{answer}");
    assert_eq!(report(&machine.control("1")).status, Status::Draining);
}

#[test]
fn with_a_sibling_a_drain_with_nothing_open_ends_without_the_linger() {
    let machine = Machine::new(LONG);
    let first = machine.ready("1");
    let _second = machine.ready("2");
    first.signal(Signal::TERM);
    assert!(first.wait().success());
    let answer = ask(machine.address(), "/health");
    assert!(answer.contains(r#""instance":"2""#), "{answer}");
}

#[test]
fn a_draining_sibling_is_no_reason_to_leave() {
    let machine = Machine::new(LONG);
    let both = [machine.ready("1"), machine.ready("2")];
    // A half-sent request holds one of them in its drain.
    let mut stream = TcpStream::connect(machine.address()).unwrap();
    stream.write_all(HALF[0]).unwrap();
    let holder = machine.wait_for_holder(&both);
    let (holding, other) = (&both[holder], &both[1 - holder]);
    holding.signal(Signal::TERM);
    holding.wait_for_message("STOPPING=1\n");
    other.signal(Signal::TERM);
    other.wait_for_message("STOPPING=1\n");
    let answer = ask(machine.address(), "/health");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let id = answer.split(r#""instance":""#).nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(report(&machine.control(id)).status, Status::Draining);
}

#[test]
fn the_control_socket_answers_for_its_instance_until_the_end() {
    let machine = Machine::new("");
    let instance = machine.ready("7");
    let control = machine.control("7");
    let mode = std::fs::metadata(&control).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let healthy = report(&control);
    assert_eq!((healthy.status, healthy.instance.as_deref()), (Status::Ok, Some("7")));
    assert_eq!(healthy.requests, 0, "neither probes nor the control socket are counted");

    let mut stream = TcpStream::connect(machine.address()).unwrap();
    stream.write_all(HALF[0]).unwrap();
    machine.wait_until_accepted(&instance);
    instance.signal(Signal::TERM);
    instance.wait_for_message("STOPPING=1\n");
    assert_eq!(report(&control).status, Status::Draining);
    stream.write_all(HALF[1]).unwrap();
    rest(&mut stream);
    drop(stream);
    assert!(instance.wait().success());
    assert!(!control.exists());
}

#[test]
fn a_dead_control_socket_is_replaced_and_a_live_one_is_not() {
    let machine = Machine::new("");
    machine.ready("7").kill();
    assert!(machine.control("7").exists());
    let _instance = machine.ready("7");
    let error = machine.refused("7", &[]);
    assert!(error.contains("7.sock"), "{error}");
    assert_eq!(report(&machine.control("7")).status, Status::Ok);
}

#[test]
fn only_the_sockets_named_http_are_served_on() {
    let machine = Machine::new("");
    let error = machine.refused("1", &[("LISTEN_FDNAMES", "mail")]);
    assert!(error.contains("`mail`"), "{error}");
    assert!(error.contains("FileDescriptorName=http"), "{error}");
}

#[test]
fn started_by_hand_it_binds_by_itself_says_where_and_replaces_a_stale_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    // A listener that is gone leaves its file behind; one that was gone before leaves its port.
    drop(UnixListener::bind(&path).unwrap());
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = folder.path().join("romuo.toml");
    let listen = format!("listen = [\"{address}\", \"{}\"]\n", path.display());
    std::fs::write(&config, format!("name = \"romuo\"\n{listen}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_romuo-server"));
    command.arg("--config").arg(&config).stderr(Stdio::piped());

    let mut server = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains(&format!("http://{address}")), "{line}");
    assert!(line.contains(&path.display().to_string()), "{line}");
    assert!(ask(address, "/").starts_with("HTTP/1.1 200 OK"));
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    assert!(rest(&mut stream).starts_with("HTTP/1.1 200 OK"));

    let second = command.output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(error.contains(&format!("could not listen on {address}")), "{error}");

    kill_process(Pid::from_child(&server), Signal::INT).unwrap();
    assert!(server.wait().unwrap().success());
    assert!(!path.exists());
}

#[test]
fn a_wrong_configuration_is_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("romuo.toml");
    std::fs::write(&config, "name = \"romuo\"\nlisen = 1\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_romuo-server"))
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("lisen"));
}

#[test]
fn a_roll_of_two_instances_under_every_kind_of_load_loses_no_request() {
    let machine = Machine::new("[reload]\nlinger = \"500ms\"\n");
    let ids = ["1", "2"];
    let mut instances = ids.map(|id| machine.ready(id));
    let load = load::start(machine.address());
    for _ in 0..3 {
        for (instance, id) in instances.iter_mut().zip(ids) {
            load.wait_for_more();
            instance.signal(Signal::TERM);
            assert!(std::mem::replace(instance, Instance::none()).wait().success());
            *instance = machine.ready(id);
        }
    }
    load.wait_for_more();
    for outcome in load.stop() {
        println!("{}: {} answered", outcome.kind, outcome.answered);
        assert_eq!(outcome.lost, Vec::<String>::new(), "{}", outcome.kind);
    }
}
