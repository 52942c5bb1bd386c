//! Status, health, logs: what a person and a script see.

use serde_json::Value;

use crate::machine::{ADDRESS, Machine};

#[test]
fn status_and_health_have_the_shapes_that_scripts_lean_on() {
    let machine = Machine::serving_as("version = \"1.2.3\"\nenv = \"staging\"\n", "");
    let status = machine.status();
    assert_eq!(status["app"], "romuo");
    assert_eq!(status["state"], "online");
    assert_eq!(status["listen"], serde_json::json!([ADDRESS.to_string()]));
    let instances = status["instances"].as_array().unwrap();
    assert_eq!(instances.len(), 2);
    for (instance, id) in instances.iter().zip(["1", "2"]) {
        assert_eq!(instance["id"], id);
        assert_eq!(instance["unit"], format!("romuo@{id}.service"));
        assert_eq!(instance["state"], "online");
        assert_eq!(instance["health"], "ok");
        assert_eq!(instance["pid"].to_string(), machine.pid(id.parse().unwrap()));
        assert_eq!(instance["memory_max_bytes"], 300 << 20);
        for figure in ["uptime_seconds", "restarts", "requests"] {
            assert!(instance[figure].is_u64(), "{figure} of {instance}");
        }
        // Where a controller cannot be had, systemd does not know.
        let (cpu, memory) = (&instance["cpu_percent"], &instance["memory_bytes"]);
        assert!(cpu.is_number() || cpu.is_null(), "{instance}");
        let is_unknown = memory.is_null() && !machine.sandbox.memory_limits_work();
        assert!(memory.is_u64() || is_unknown, "{instance}");
    }

    let health = machine.ctl(&["health", "-o", "json"]).ok();
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["status"], "ok");
    let one = &health["instances"][0];
    for (key, value) in
        [("instance", "1"), ("status", "ok"), ("version", "1.2.3"), ("env", "staging")]
    {
        assert_eq!(one[key], value, "{one}");
    }
    assert!(one["memory"]["used"].as_u64().unwrap() < one["memory"]["total"].as_u64().unwrap());

    // Who may not ask does not take that for an answer.
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "romuoctl"];
    let ran = machine.run(&[&nobody[..], &["--app", "romuo", "health"]].concat()).exits(1);
    assert!(ran.stderr.contains("it needs root"), "{}", ran.stderr);

    machine.systemctl(&["stop", "romuo@2.service"]).ok();
    let health = machine.ctl(&["health", "-o", "json"]).exits(3).stdout;
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["instances"][1]["status"], "down");
}

#[test]
fn the_public_port_answers_health_and_the_control_sockets_do_too() {
    let machine = Machine::serving("");
    let public = machine.run(&["curl", "-sf", &format!("http://{ADDRESS}/health")]).ok();
    let public: Value = serde_json::from_str(&public).unwrap();
    assert_eq!(public["status"], "ok");
    for id in ["1", "2"] {
        let socket = format!("/run/romuo/romuo/{id}.sock");
        let own = ["curl", "-sf", "--unix-socket", &socket, "http://romuo/health"];
        let own: Value = serde_json::from_str(&machine.run(&own).ok()).unwrap();
        assert_eq!(own["instance"], id);
    }
}

#[test]
fn status_takes_a_handful_of_calls_to_systemd() {
    let machine = Machine::serving("");
    let match_calls = "type='method_call',destination='org.freedesktop.systemd1'";
    let mut monitor = machine.spawn(&["dbus-monitor", "--system", match_calls]);
    let mut seen = std::io::BufReader::new(monitor.stdout.take().unwrap());
    // The monitor's own greeting from the bus: from here on it sees everything.
    let mut line = String::new();
    while !line.contains("NameLost") {
        line.clear();
        std::io::BufRead::read_line(&mut seen, &mut line).unwrap();
    }
    machine.ctl(&["status"]).ok();
    // A call that marks the end: the monitor sees calls in their order.
    machine
        .run(&[
            "busctl",
            "call",
            "org.freedesktop.systemd1",
            "/org/freedesktop/systemd1",
            "org.freedesktop.systemd1.Manager",
            "ListJobs",
        ])
        .ok();
    let mut calls = Vec::new();
    while !line.contains("member=ListJobs") {
        line.clear();
        std::io::BufRead::read_line(&mut seen, &mut line).unwrap();
        calls.extend(line.split("member=").nth(1).map(|member| member.trim().to_owned()));
    }
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    calls.pop();
    // One list, and one call for each unit: two instances, the socket, the roll.
    let kinds = ["ListUnitsByPatterns", "GetAll", "Get"]
        .map(|kind| calls.iter().filter(|call| *call == kind).count());
    assert_eq!((calls.len(), kinds), (5, [1, 2, 2]), "{calls:?}");
}

#[test]
fn more_instances_are_listed_than_a_bus_lets_one_ask_for_at_a_time() {
    let machine = Machine::boot();
    machine.configure(&format!("instances = 200\n{}", crate::machine::CONFIG));
    machine.ctl(&["install-units"]).ok();
    // Nobody has to serve.
    let idle = "[Unit]\nBefore=romuo.target\n[Service]\nExecStart=sleep infinity\n";
    machine.sandbox.write("/etc/systemd/system/romuo@.service", idle).unwrap();
    machine.systemctl(&["daemon-reload"]).ok();
    machine.systemctl(&["start", "romuo.target"]).ok();
    let instances = machine.status()["instances"].clone();
    let states = instances.as_array().unwrap().iter().map(|instance| &instance["state"]);
    assert_eq!(states.filter(|state| *state == "online").count(), 200, "{instances}");
}

#[test]
fn logs_come_in_the_format_of_the_seed() {
    let machine = Machine::serving("");
    let text = machine.ctl(&["logs", "--instance", "1", "--lines", "50"]).ok();
    assert!(text.contains("Started romuo"), "{text}");
    for line in text.lines() {
        let (time, message) = line.split_once(" | ").unwrap_or_else(|| panic!("{line:?}"));
        let shape: String =
            time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00 00:00:00 +00:00", "{line:?}");
        assert!(!message.is_empty(), "{line:?}");
    }
    let json = machine.ctl(&["logs", "-n", "5", "-o", "json"]).ok();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 5);
    let since = machine.ctl(&["logs", "--since", "-1h", "--instance", "2"]).ok();
    assert!(since.contains("Started romuo"), "{since}");
    // Every entry of an instance carries the app and the instance.
    let tagged = machine.run(&["journalctl", "-o", "cat", "ROMUO_APP=romuo", "ROMUO_INSTANCE=2"]);
    assert!(tagged.ok().contains("ready, serving"), "the server's own lines are tagged");
}

#[test]
fn logs_follow_what_comes() {
    use std::io::{BufRead, BufReader};

    let machine = Machine::serving("");
    let mut child = machine.spawn(&["romuoctl", "-a", "romuo", "logs", "--follow", "-n", "1"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains(" | "), "the last line so far");
    machine.systemctl(&["restart", "romuo@2.service"]).ok();
    let stopped = lines.map_while(Result::ok).find(|line| line.contains("Stopping romuo"));
    assert!(stopped.is_some());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_app_is_found_by_name_by_folder_or_by_being_the_only_one() {
    let machine = Machine::serving("");
    machine.run(&["romuoctl", "status"]).ok();
    machine.run(&["romuoctl", "--app", "romuo", "status"]).ok();
    machine.run(&["romuoctl", "-c", "/srv/site/romuo.toml", "status"]).ok();
    let other = machine.run(&["romuoctl", "--app", "shop", "reload"]).exits(2);
    assert!(other.stderr.contains("shop is not installed"), "{}", other.stderr);
}

/// An app that says something on both of its streams before it serves.
const TALKER: &str = "import http.server, os, sys
for number in range(30): print('line', number, flush=True)
print('trouble', file=sys.stderr, flush=True)
class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Silent).serve_forever()
";

#[test]
fn logs_tell_who_said_a_line_and_leave_out_what_the_app_did_not_say() {
    let machine = Machine::boot();
    machine.sandbox.write("/srv/site/app.py", TALKER).unwrap();
    let config = "listen = [\"127.0.0.1:3000\"]\ncommand = [\"python3\", \"app.py\"]\n\
                  [health]\npath = \"/\"\n";
    machine.configure(config);
    machine.ctl(&["install-units", "--now"]).ok();
    machine.run(&["journalctl", "--sync"]).ok();
    let all = machine.ctl(&["logs", "--lines", "300"]).ok();
    assert!(all.contains("Started ") && all.contains("| 1 | line 3\n"), "{all}");
    assert!(all.contains("| 2 | trouble\n"), "{all}");
    let own = machine.ctl(&["logs", "--lines", "300", "--app-only"]).ok();
    let is_own = |line: &str| line.contains(" | line ") || line.ends_with(" | trouble");
    assert!(own.lines().all(is_own), "{own}");
    assert_eq!(own.lines().count(), 62, "{own}");
    // The last ones, also of those since a time.
    for format in ["text", "json"] {
        let words = ["logs", "1", "--out", "--since", "-1h", "--lines", "2", "-o", format];
        let last = machine.ctl(&words).ok();
        for (line, there) in [("line 28", true), ("line 29", true), ("line 27", false)] {
            assert_eq!(last.contains(line), there, "{line} in {last}");
        }
    }
    let none = machine.ctl(&["logs", "--out", "--since", "2100-01-01"]).exits(0);
    assert_eq!((none.stdout.as_str(), none.stderr.trim()), ("", "nothing of the kind was said"));
}
