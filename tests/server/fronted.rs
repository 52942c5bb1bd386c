//! Instances in front of an app, which knows nothing of it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use http::uri::PathAndQuery;
use romuo::health::Status;
use romuo::load::{self, Kind, Mix, Report, Request, Running};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::app::{QUICK, get, is_gone, kill, pid, swap_state, swapped, wait, wait_until};
use crate::instance::{Instance, Machine};
use crate::{ask, report, rest};

/// A kept connection to a server.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).unwrap())
    }

    /// Sends a request and reads the body of its answer.
    pub(crate) fn ask(&mut self, method: &str, path: &str) -> String {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        // In one piece: parts of it would wait for each other.
        self.0.write_all(head.as_bytes()).unwrap();
        self.answer()
    }

    pub(crate) fn answer(&mut self) -> String {
        let mut text = Vec::new();
        loop {
            let said = String::from_utf8_lossy(&text).into_owned();
            if let Some((head, body)) = said.split_once("\r\n\r\n") {
                let lines = head.to_ascii_lowercase();
                let length = lines.lines().find_map(|line| line.strip_prefix("content-length: "));
                if length.is_some_and(|length| body.len() >= length.parse().unwrap()) {
                    assert!(head.starts_with("HTTP/1.1 200"), "{said}");
                    return body.to_owned();
                }
            }
            let mut piece = [0; 4096];
            let count = self.0.read(&mut piece).unwrap();
            assert_ne!(count, 0, "the connection ended: {said}");
            text.extend_from_slice(&piece[..count]);
        }
    }
}

/// Clients that ask with GET, on kept and on new connections.
fn getters(address: SocketAddr) -> Running {
    let page = Request::get(PathAndQuery::from_static("/"));
    let gap = Duration::from_millis(2);
    let mix = Mix::new(address).clients(Kind::KeepAlive { gap }, 4, &page).clients(
        Kind::NewConnection { gap },
        2,
        &page,
    );
    load::start_on_thread(mix, || Ok(())).unwrap()
}

fn expect_no_loss(report: &Report) {
    assert_eq!(report.lost(), 0, "{report}");
}

#[test]
fn the_app_gets_its_own_environment_and_nothing_of_the_sockets() {
    let machine = Machine::of_app("[environment]\nTOKEN = \"secret\"\n");
    let _instance = machine.start_with("2", &[("WATCHDOG_USEC", "60000000"), ("KEPT", "yes")]);
    let environment: Value = serde_json::from_str(&get(&machine, "/environment")).unwrap();
    let environment = environment.as_object().unwrap();
    for (name, value) in [
        ("TOKEN", "secret"),
        ("KEPT", "yes"),
        ("HOST", "127.0.0.1"),
        ("NODE_ENV", "production"),
        ("ROMUO_INSTANCE", "2"),
        ("NODE_APP_INSTANCE", "1"),
    ] {
        assert_eq!(environment[name], value, "{name}");
    }
    let port: u16 = environment["PORT"].as_str().unwrap().parse().unwrap();
    assert_ne!(port, machine.address().port());
    let ours = ["LISTEN_", "NOTIFY_", "WATCHDOG_"];
    let leaked = environment.keys().find(|name| ours.iter().any(|ours| name.starts_with(ours)));
    assert_eq!(leaked, None);
}

#[test]
fn the_app_is_asked_to_end_only_after_its_last_client_was_answered() {
    let machine = Machine::of_app(QUICK);
    let instance = machine.ready("1");
    let mut client = Client::new(machine.address());
    let app = client.ask("GET", "/");
    client.0.write_all(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    machine.wait_until_accepted(&instance);
    instance.signal(Signal::TERM);
    instance.wait_for_message("STOPPING=1\n");
    assert!(!machine.file("terminated").exists(), "it still has a request");
    fs::write(machine.file("go"), "").unwrap();
    assert_eq!(client.answer(), app);
    assert!(instance.wait().success());
    assert_eq!(fs::read_to_string(machine.file("terminated")).unwrap(), format!("{app}\n"));
    assert!(is_gone(&app), "it is gone");
}

#[test]
fn an_app_that_ignores_its_end_is_killed_at_the_cap() {
    let machine = Machine::of_app("[reload]\nlinger = \"0s\"\n[limits]\nstop_timeout = \"50ms\"\n");
    fs::write(machine.file("stubborn"), "").unwrap();
    let instance = machine.ready("1");
    let app = get(&machine, "/");
    instance.signal(Signal::TERM);
    assert!(instance.wait().success());
    assert!(machine.file("terminated").exists(), "it was asked first");
    assert!(is_gone(&app), "it is gone");
}

#[test]
fn a_kill_of_a_lone_app_under_load_loses_no_get() {
    let machine = Machine::of_app(QUICK);
    let _instance = machine.ready("1");
    let load = getters(machine.address());
    for _ in 0..3 {
        wait(load.until_each_answered(10)).unwrap();
        let app = get(&machine, "/");
        kill(&app);
        assert_ne!(get(&machine, "/"), app);
    }
    wait(load.until_each_answered(10)).unwrap();
    expect_no_loss(&wait(load.stop()));
    let app = report(&machine.control("1")).app.unwrap();
    assert_eq!((app.restarts, app.generation, app.healthy), (3, 4, true));
}

#[test]
fn while_its_app_is_down_an_instance_leaves_its_requests_to_its_sibling() {
    let machine = Machine::of_app("[limits]\nrestart_delay = \"1h\"\n");
    let first = machine.ready("1");
    let mut client = Client::new(machine.address());
    let app = client.ask("GET", "/");
    let _second = machine.ready("2");
    let sibling = report(&machine.control("2")).app.unwrap().pid.unwrap().to_string();
    kill(&app);
    // On its kept connection, whatever the method: nothing of it was sent before.
    while report(&machine.control("1")).status != Status::Failing {
        std::thread::yield_now();
    }
    assert_eq!(client.ask("GET", "/"), sibling);
    assert_eq!(client.ask("POST", "/"), sibling);
    // New ones stay in the queue, which the sibling takes from.
    for _ in 0..10 {
        assert_eq!(get(&machine, "/"), sibling);
    }
    drop(first);
}

/// The states of a process's threads (proc(5)); none: it has ended.
fn threads_of(pid: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    let of = |stat: String| Some(stat.rsplit_once(") ")?.1.split(' ').next()?.to_owned());
    stats.filter_map(of).collect()
}

#[test]
fn a_stopped_app_is_found_and_its_requests_are_answered_by_the_next_one() {
    let machine = Machine::of_app(
        "[health]\ninterval = \"50ms\"\ntimeout = \"50ms\"\nfailures = 2\n[limits]\nrestart_delay = \"1ms\"\n",
    );
    let _instance = machine.ready("1");
    let app = get(&machine, "/");
    kill_process(pid(&app), Signal::STOP).unwrap();
    // The signal meets one of its threads, and the others a little later (signal(7)).
    wait_until("the app is stopped", || threads_of(&app).iter().all(|state| state == "T"));
    assert_ne!(get(&machine, "/"), app);
}

#[test]
fn a_swap_under_load_closes_no_connection_and_takes_all_of_the_old_app_with_it() {
    let machine = Machine::of_app(QUICK);
    let _instance = machine.ready("1");
    let mut client = Client::new(machine.address());
    let old = client.ask("GET", "/");
    let worker = client.ask("GET", "/fork");
    let load = getters(machine.address());
    for round in 1..=3 {
        wait(load.until_each_answered(10)).unwrap();
        let answer = swapped(&machine);
        assert!(answer.swapped, "{answer:?}");
        assert_eq!(answer.generation, Some(round + 1));
    }
    wait(load.until_each_answered(10)).unwrap();
    let report = wait(load.stop());
    expect_no_loss(&report);
    for kind in report.by_kind().iter().filter(|kind| kind.keep_alive) {
        assert_eq!(kind.figures.connections, kind.clients as u64, "{report}");
    }
    assert_ne!(client.ask("GET", "/"), old, "on the same connection");
    for gone in [old, worker] {
        assert!(is_gone(&gone), "{gone} is still there");
    }
    let state = swap_state(&machine);
    assert!(state.possible);
    assert_eq!(state.swaps, 3);
}

#[test]
fn the_version_is_that_of_the_app_that_serves() {
    let machine = Machine::of_app(QUICK);
    let package = |version: &str| {
        fs::write(machine.file("package.json"), format!("{{\"version\": \"{version}\"}}")).unwrap();
    };
    let version = || report(&machine.control("1")).version;
    package("1.0.0");
    let _instance = machine.ready("1");
    package("2.0.0");
    assert_eq!(version(), "1.0.0");
    assert!(swapped(&machine).swapped);
    assert_eq!(version(), "2.0.0");
}

#[test]
fn a_new_app_that_does_not_come_up_leaves_the_old_one_serving() {
    let machine = Machine::of_app(QUICK);
    let _instance = machine.ready("1");
    let old = get(&machine, "/");
    fs::write(machine.file("broken"), "").unwrap();
    let answer = swapped(&machine);
    assert!(!answer.swapped && !answer.restart, "{answer:?}");
    let reason = answer.reason.unwrap();
    assert!(reason.starts_with("the new app exited with code 1"), "{reason}");
    assert_eq!(get(&machine, "/"), old);
    // The helper of the unit's reload says so by its exit code.
    let helper = machine.server(&["swap", "1"]).output().unwrap();
    assert_eq!(helper.status.code(), Some(1));
    let said = String::from_utf8(helper.stderr).unwrap();
    assert!(said.starts_with("the app was not swapped: the new app exited with code 1"), "{said}");
    fs::remove_file(machine.file("broken")).unwrap();
    assert!(machine.server(&["swap", "1"]).status().unwrap().success());
    assert_ne!(get(&machine, "/"), old);
}

#[test]
fn two_apps_that_do_not_fit_are_not_swapped_and_a_restart_is_recommended() {
    let machine = Machine::of_app("[limits]\nmemory = \"12M\"\n");
    let _instance = machine.ready("1");
    let answer = swapped(&machine);
    assert!(!answer.swapped && answer.restart, "{answer:?}");
    assert!(answer.reason.unwrap().contains("limits.memory"));
}

#[test]
fn the_code_of_a_swap_tells_a_broken_app_from_one_that_cannot_be_swapped() {
    let code = |machine: &Machine| {
        let mut stream = UnixStream::connect(machine.control("1")).unwrap();
        stream.write_all(b"POST /swap HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        rest(&mut stream)[..12].to_owned()
    };
    let machine = Machine::of_app(QUICK);
    let _instance = machine.ready("1");
    assert_eq!(code(&machine), "HTTP/1.1 200");
    fs::write(machine.file("broken"), "").unwrap();
    assert_eq!(code(&machine), "HTTP/1.1 500");
    let small = Machine::of_app("[limits]\nmemory = \"12M\"\n");
    let _instance = small.ready("1");
    assert_eq!(code(&small), "HTTP/1.1 409");
}

#[test]
fn an_app_that_crashes_again_and_again_is_given_up_and_each_crash_is_counted_once() {
    let machine = Machine::of_app(
        "[reload]\nlinger = \"0s\"\n[limits]\nmax_restarts = 2\nmin_uptime = \"1h\"\nrestart_delay = \"1ms\"\n",
    );
    let instance = machine.ready("1");
    for _ in 0..2 {
        let app = get(&machine, "/");
        kill(&app);
    }
    assert_eq!(instance.wait().code(), Some(1));
    let after = ["guard", "after", "1", "--min-uptime", "1h", "--result", "exit-code"];
    assert!(machine.server(&after).status().unwrap().success());
    let before = ["guard", "before", "1", "--max-restarts", "2"];
    let said = machine.server(&before).output().unwrap();
    assert_eq!(said.status.code(), Some(1));
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("crashed 2 times in a row"), "{said}");
}

#[test]
fn an_app_that_listens_elsewhere_is_told_where() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Long enough for the app to listen there on a machine that is busy.
    let machine = Machine::of_app("[limits]\nstart_timeout = \"5s\"\n");
    fs::write(machine.file("port"), elsewhere.port().to_string()).unwrap();
    let said = machine.refused("1", &[]);
    assert!(said.contains(&format!("but on {elsewhere}")), "{said}");
    assert!(said.contains("PORT"), "{said}");
}

#[test]
fn an_app_that_takes_its_sockets_itself_is_none_of_ours() {
    let machine = Machine::of_app("");
    let config: PathBuf = machine.file("romuo.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("mode = \"inherit\"\n{text}")).unwrap();
    let said = machine.refused("1", &[]);
    assert!(said.contains("takes its sockets itself"), "{said}");
    assert!(ask_is_unanswered(&machine));
}

/// Nobody accepts: the connection stays in the queue.
fn ask_is_unanswered(machine: &Machine) -> bool {
    let mut stream = TcpStream::connect(machine.address()).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.read(&mut [0; 1]).is_err()
}

/// For the last of its tests: an instance is dropped with its app.
#[test]
fn nothing_of_a_fronted_instance_outlives_its_test() {
    let machine = Machine::of_app("");
    let instance: Instance = machine.ready("1");
    let answer = ask(machine.address(), "/");
    let app = answer.rsplit("\r\n").next().unwrap();
    drop(instance);
    // At the most its end is still to be taken note of.
    let environment = fs::read(format!("/proc/{app}/environ")).unwrap_or_default();
    assert!(environment.is_empty());
}
