//! Instances that crashed too often: they are tried again, and until then clients are told so.

use std::time::Duration;

use http::uri::PathAndQuery;
use romuo::load::{Body, Kind, Mix, Request};

use crate::machine::{ADDRESS, Machine, wait};

/// An app that ends at once while there is a file for it, one of its instance or one of all.
const APP: &str = "
import http.server, os, sys
if any(os.path.exists('/srv/site/broken' + of) for of in ('', '-' + os.environ['ROMUO_INSTANCE'])):
    sys.exit('this app is broken')
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', '5')
        self.end_headers()
        self.wfile.write(b'hello')
    def log_message(self, *args):
        pass
";

/// Its end behind a front.
const FRONT: &str = "http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()\n";

/// And where it takes the socket itself.
const INHERIT: &str = "
import socket
server = http.server.ThreadingHTTPServer(('', 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.serve_forever()
";

/// Holds three hundred connections and never says a word.
const HOLDS: &str = "
import signal, socket
held = [socket.create_connection(('127.0.0.1', 3000)) for _ in range(300)]
print('held', flush=True)
signal.pause()
";

/// What the app answers.
const HELLO: &str = "hello";

const URL: &str = "http://127.0.0.1:3000/";

/// The files that break it.
const ALL: &str = "/srv/site/broken";
const FIRST: &str = "/srv/site/broken-1";

/// A machine with the app, installed and not started.
fn installed(mode: &str, limits: &str) -> Machine {
    let machine = Machine::boot();
    let end = if mode == "inherit" { INHERIT } else { FRONT };
    machine.sandbox.write("/srv/site/app.py", format!("{APP}{end}")).unwrap();
    machine.configure(&format!(
        "command = [\"/usr/bin/python3\", \"app.py\"]\nmode = \"{mode}\"\nlisten = [\"127.0.0.1:3000\"]\n\
         [limits]\nmax_restarts = 2\nrestart_delay = \"50ms\"\n{limits}"
    ));
    machine.ctl(&["install-units"]).ok();
    machine
}

fn breaks(machine: &Machine, file: &str) {
    machine.sandbox.write(file, "").unwrap();
}

fn mends(machine: &Machine, file: &str) {
    machine.run(&["rm", file]).ok();
}

/// Both instances of it, errored.
fn errored(mode: &str, limits: &str) -> Machine {
    let machine = installed(mode, limits);
    breaks(&machine, ALL);
    machine.ctl(&["start"]).exits(1);
    for unit in ["romuo@1.service", "romuo@2.service"] {
        machine.until_standing_in(unit);
    }
    machine
}

/// Head and body of an answer.
fn asked(machine: &Machine, options: &[&str]) -> String {
    machine.run(&[&["curl", "--silent", "--include"], options, &[URL]].concat()).ok()
}

fn is_turned_away(answer: &str) {
    let is_503 = answer.starts_with("HTTP/1.1 503 ") || answer.starts_with("HTTP/2 503");
    assert!(is_503 && answer.contains("retry-after: "), "{answer}");
    assert!(answer.contains("the app crashed too often; it is tried again in "), "{answer}");
}

/// Waits until an instance serves again by itself.
fn until_it_serves(machine: &Machine, after: i64) {
    machine.until_journal_after(after, "an instance is ready", |entry| {
        entry.message.starts_with("ready, serving") || entry.message.contains(" answers 200 OK on ")
    });
}

#[test]
fn clients_of_an_app_that_is_errored_get_503_and_it_comes_back_without_anybodys_hand() {
    let machine = errored("front", "retry_errored = \"1s\"\n");
    is_turned_away(&asked(&machine, &[]));
    is_turned_away(&asked(&machine, &["--http2-prior-knowledge"]));
    is_turned_away(&asked(&machine, &["--data", "a=b"]));
    // It is tried, fails again, and the next pause is twice as long.
    machine.until_journal("the second pause", |entry| {
        entry.message.ends_with("It is tried again in 2s.")
    });
    is_turned_away(&asked(&machine, &[]));
    let mended = Machine::now();
    mends(&machine, ALL);
    for unit in ["romuo@1.service", "romuo@2.service"] {
        machine.until_journal_after(mended, &format!("{unit} is ready"), |entry| {
            entry.unit.as_deref() == Some(unit) && entry.message.starts_with("ready, serving")
        });
    }
    assert!(asked(&machine, &[]).ends_with(HELLO));
    assert_eq!(machine.status()["state"], "online", "{}", machine.journal());
    machine.ctl(&["health"]).ok();
}

#[test]
fn an_app_that_takes_the_sockets_itself_is_stood_in_for_too() {
    let machine = errored("inherit", "retry_errored = \"2s\"\n");
    is_turned_away(&asked(&machine, &[]));
    let word = "exec 3<>/dev/tcp/127.0.0.1/3000; printf '*1\\r\\n' >&3; cat <&3";
    assert_eq!(machine.run(&["bash", "-c", word]).ok(), "", "no HTTP: closed without a word");
    let mended = Machine::now();
    mends(&machine, ALL);
    until_it_serves(&machine, mended);
    assert!(asked(&machine, &[]).ends_with(HELLO));
}

#[test]
fn an_errored_instance_is_said_to_be_one_and_anybody_may_start_it_at_once() {
    let machine = errored("front", "retry_errored = \"1h\"\n");
    let status = machine.status();
    assert_eq!(status["state"], "errored", "{status}");
    for instance in status["instances"].as_array().unwrap() {
        assert_eq!(
            (&instance["state"], &instance["health"]),
            (&"errored".into(), &"unknown".into())
        );
        let why = instance["why"].as_str().unwrap();
        assert!(
            why.starts_with("crashed 2 times in a row, each time too soon; next try in "),
            "{why}"
        );
    }
    let text = machine.ctl(&["status"]).exits(3).stdout;
    assert!(
        text.contains("; next try in ") && text.contains("`romuoctl restart 1` tries"),
        "{text}"
    );
    assert!(machine.ctl(&["health"]).exits(3).stdout.contains("; next try in "));
    assert_eq!(machine.property("romuo@1.service", "NRestarts"), "2");
    let failed = machine.systemctl(&["--failed", "--no-legend"]).ok();
    assert!(!failed.contains("romuo"), "{failed}");
    // It needs next to nothing.
    let process = machine.run(&["cat", &format!("/proc/{}/status", machine.pid(1))]).ok();
    let own = process.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap().trim();
    println!("memory of a stand-in: {own}");
    assert!(own.trim_end_matches(" kB").parse::<u64>().unwrap() < 4 << 10, "{own}");

    // Those who hold connections and say nothing keep nobody from an answer.
    let (mut mute, said) = machine.spawn_until_heard(&["python3", "-c", HOLDS]);
    assert_eq!(said, "held\n");
    is_turned_away(&asked(&machine, &[]));
    mute.kill().unwrap();
    mute.wait().unwrap();

    // None of these waits for the hour: there is no job in the way.
    assert_eq!(machine.systemctl(&["list-jobs", "--no-legend"]).ok(), "");
    machine.systemctl(&["start", "romuo.target"]).ok();
    machine.systemctl(&["start", "romuo"]).ok();
    is_turned_away(&asked(&machine, &[]));
    // A roll restarts them as it does any that are down, and halts at the first that is broken.
    let asked_for = Machine::now();
    machine.systemctl(&["reload", "romuo.service"]).exits(1);
    machine.until_standing_in_after(asked_for, "romuo@1.service");
    let rolled = Machine::now();
    let said = machine.ctl(&["reload"]).exits(1);
    assert!(said.stderr.contains("exited with code 1"), "{said:?}");
    machine.until_standing_in_after(rolled, "romuo@1.service");
    for unit in ["romuo@1.service", "romuo@2.service"] {
        machine.systemctl(&["stop", unit]).ok();
    }
    assert_eq!(machine.status()["state"], "stopped");
    let begun = Machine::now();
    machine.ctl(&["start"]).exits(1);
    machine.until_journal_after(begun, "it is counted anew", |entry| {
        entry.message == "Instance 1 ended too soon (exit-code): crash 1 in a row."
    });
    machine.until_standing_in_after(begun, "romuo@1.service");
    machine.until_standing_in_after(begun, "romuo@2.service");

    // The whole app again by one command each.
    mends(&machine, ALL);
    machine.ctl(&["start"]).ok();
    assert_eq!(machine.status()["state"], "online");
    for command in [
        &["romuoctl", "reload"][..],
        &["romuoctl", "restart"],
        &["systemctl", "restart", "romuo.target"],
        &["systemctl", "restart", "romuo"],
    ] {
        breaks(&machine, ALL);
        let broken = Machine::now();
        machine.ctl(&["restart"]).exits(1);
        machine.until_standing_in_after(broken, "romuo@1.service");
        machine.until_standing_in_after(broken, "romuo@2.service");
        mends(&machine, ALL);
        machine.run(command).ok();
        assert!(asked(&machine, &[]).ends_with(HELLO), "{command:?}");
    }
    machine.ctl(&["stop"]).ok();
    machine.run(&["curl", "--silent", URL]).exits(7);
}

#[test]
fn while_one_instance_serves_no_client_is_turned_away_for_the_others_sake() {
    let machine = installed("front", "retry_errored = \"1s\"\n");
    machine.ctl(&["start"]).ok();
    breaks(&machine, FIRST);
    machine.systemctl(&["restart", "romuo@1.service"]).exits(1);
    machine.until_standing_in("romuo@1.service");
    let hello =
        Request::get(PathAndQuery::from_static("/")).expecting_body(Body::Exact(HELLO.into()));
    let gap = Duration::from_millis(2);
    let load = machine.load(Mix::new(ADDRESS).clients(Kind::NewConnection { gap }, 8, &hello));
    wait(load.until_each_answered(50)).unwrap();
    // Through a pause, a try and the next pause.
    machine.until_journal("the next pause", |entry| {
        entry.message.ends_with("It is tried again in 2s.")
    });
    // Also while the other one is restarted they wait for it.
    machine.systemctl(&["restart", "romuo@2.service"]).ok();
    wait(load.until_each_answered(50)).unwrap();
    assert_eq!(machine.status()["state"], "degraded");
    let mended = Machine::now();
    mends(&machine, FIRST);
    until_it_serves(&machine, mended);
    wait(load.until_each_answered(50)).unwrap();
    machine.expect_no_loss(&wait(load.stop()));
    assert_eq!(machine.status()["state"], "online");
}

#[test]
fn with_off_an_errored_instance_stays_down_until_somebody_starts_it() {
    let machine = installed("front", "retry_errored = \"off\"\n");
    breaks(&machine, ALL);
    machine.ctl(&["start"]).exits(1);
    for unit in ["romuo@1.service", "romuo@2.service"] {
        machine.until_errored(unit);
        assert_eq!(machine.property(unit, "ActiveState"), "inactive");
        assert_eq!(machine.property(unit, "Result"), "exec-condition");
    }
    assert_eq!(machine.status()["state"], "errored");
    machine.ctl(&["health"]).exits(3);
    // Nobody takes it out of the queue: 28, out of time.
    machine.run(&["curl", "--silent", "--max-time", "1", URL]).exits(28);
    mends(&machine, ALL);
    machine.ctl(&["start"]).ok();
    assert!(asked(&machine, &[]).ends_with(HELLO));
}

#[test]
fn an_instance_that_always_runs_out_of_memory_is_errored_and_tried_again() {
    let machine = installed("front", "memory = \"48M\"\nretry_errored = \"1s\"\n");
    if !machine.sandbox.memory_limits_work() {
        println!("SKIPPED: the memory controller cannot be had here, so MemoryMax= is ignored");
        return;
    }
    let takes = "import os\nif not os.path.exists('/srv/site/mended'):\n    hoard = [b'x' * (1 << 20) + bytes([i]) for i in range(200)]\n";
    machine.sandbox.write("/srv/site/app.py", format!("{takes}{APP}{FRONT}")).unwrap();
    machine.ctl(&["start"]).exits(1);
    machine.until_standing_in("romuo@1.service");
    machine.until_standing_in("romuo@2.service");
    is_turned_away(&asked(&machine, &[]));
    let mended = Machine::now();
    machine.sandbox.write("/srv/site/mended", "").unwrap();
    until_it_serves(&machine, mended);
    assert!(asked(&machine, &[]).ends_with(HELLO));
}

#[test]
fn a_stand_in_that_is_killed_comes_back_and_its_pause_goes_on() {
    let machine = errored("front", "retry_errored = \"1h\"\n");
    let killed = Machine::now();
    let pid = machine.pid(1);
    machine.run(&["kill", "-KILL", &pid]).ok();
    machine.until_standing_in_after(killed, "romuo@1.service");
    assert_ne!(machine.pid(1), pid);
    let why = machine.status()["instances"][0]["why"].as_str().unwrap().to_owned();
    assert!(why.starts_with("crashed 2 times in a row"), "{why}");
    is_turned_away(&asked(&machine, &[]));
}

#[test]
fn an_app_that_was_well_and_is_killed_again_and_again_is_errored_and_tried_again() {
    let machine = installed("front", "retry_errored = \"2s\"\nmin_uptime = \"1h\"\n");
    machine.ctl(&["start"]).ok();
    let mut killed = 0;
    for _ in 0..2 {
        let app = machine.status()["instances"][0]["app_pid"].to_string();
        killed = Machine::now();
        machine.run(&["kill", "-KILL", &app]).ok();
        // Its front starts it again, but for the last time.
        machine.until_journal_after(killed, "it is well again, or given up", |entry| {
            entry.unit.as_deref() == Some("romuo@1.service")
                && (entry.message == "the app is well"
                    || entry.message.contains(" and is given up"))
        });
    }
    machine.until_standing_in_after(killed, "romuo@1.service");
    assert!(asked(&machine, &[]).ends_with(HELLO), "the other one serves");
    until_it_serves(&machine, killed);
    assert_eq!(machine.status()["state"], "online");
}
