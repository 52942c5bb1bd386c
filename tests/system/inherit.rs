//! Apps that take the listening sockets themselves: `mode = "inherit"`.

use std::time::Duration;

use http::uri::PathAndQuery;
use romuo::load::{Body, Kind, Mix, Request};
use serde_json::Value;

use crate::machine::{ADDRESS, Machine, wait};

/// What the apps answer.
const HELLO: &str = "hello";

/// A Node server that drains as it should: on SIGTERM it accepts no more, says with each further
/// answer that it is the last of its connection, and leaves idle connections two seconds to ask.
const NODE: &str = "
const http = require('http');
const net = require('net');
let stopping = false;
const server = http.createServer((request, response) => {
  if (stopping) response.setHeader('Connection', 'close');
  if (request.url === '/argv') {
    response.end(JSON.stringify([process.argv.slice(2), process.env]));
  } else {
    request.resume().on('end', () => response.end('hello'));
  }
});
server.keepAliveTimeout = 60000;
server.listen({ fd: 3 });
process.on('SIGTERM', () => {
  stopping = true;
  // Not server.close(): since Node 19 that closes idle connections at once, under their clients.
  net.Server.prototype.close.call(server, () => process.exit(0));
  setTimeout(() => server.closeIdleConnections(), 2000).unref();
});
";

/// Python's own server on the descriptor; it ends at once on SIGTERM.
pub(crate) const PYTHON: &str = "
import http.server, socket
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', '5')
        self.end_headers()
        self.wfile.write(b'hello')
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(('', 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.serve_forever()
";

/// Runs the Node server.
const NODE_COMMAND: &str = r#"["/usr/bin/node", "server.js"]"#;

/// A text as TOML.
fn toml_text(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

/// A machine with an app of these files, which runs `command` and takes the sockets.
fn machine(command: &str, keys: &str, files: &[(&str, &str)]) -> Machine {
    let machine = Machine::boot();
    for (name, text) in files {
        machine.sandbox.write(format!("/srv/site/{name}"), *text).unwrap();
    }
    configure(&machine, command, keys);
    machine
}

fn configure(machine: &Machine, command: &str, keys: &str) {
    machine.configure(&format!(
        "command = {command}\nmode = \"inherit\"\nlisten = [\"127.0.0.1:3000\"]\n{keys}"
    ));
}

fn hello() -> Request {
    Request::get(PathAndQuery::from_static("/")).expecting_body(Body::Exact(HELLO.into()))
}

/// Clients that keep their connections and clients that make a new one each time.
fn clients() -> Mix {
    Mix::new(ADDRESS)
        .clients(Kind::KeepAlive { gap: Duration::from_millis(5) }, 8, &hello())
        .clients(Kind::KeepAlive { gap: Duration::from_millis(500) }, 8, &hello())
        .clients(Kind::NewConnection { gap: Duration::from_millis(5) }, 4, &hello())
}

/// The Node app, installed and started.
fn node(keys: &str) -> Machine {
    let machine = machine(NODE_COMMAND, keys, &[("server.js", NODE)]);
    machine.ctl(&["install-units", "--now"]).ok();
    machine
}

/// What an instance says of its arguments and its environment.
fn seen(machine: &Machine) -> (Value, Value) {
    let said = machine.run(&["curl", "--silent", "--fail", "http://127.0.0.1:3000/argv"]).ok();
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Rolls the app under load, a few times.
fn rolled_without_loss(machine: &Machine) {
    let load = machine.load(clients());
    wait(load.until_each_answered(5)).unwrap();
    for _ in 0..3 {
        let before = [machine.pid(1), machine.pid(2)];
        machine.ctl(&["reload"]).ok();
        let after = [machine.pid(1), machine.pid(2)];
        assert!(before.iter().zip(&after).all(|(b, a)| b != a), "both were restarted");
    }
    wait(load.until_each_answered(5)).unwrap();
    let report = wait(load.stop());
    println!("{report}");
    machine.expect_no_loss(&report);
    assert_eq!(machine.status()["state"], "online");
}

#[test]
fn an_app_that_drains_is_rolled_under_load_without_loss() {
    let machine = node("");
    rolled_without_loss(&machine);
    let asked = "Instance 2 answers 200 OK on 127.0.0.1:3000: GET /health";
    let journal = machine.journal();
    assert!(journal.contains(asked), "{journal}");
}

#[test]
fn an_app_that_drains_is_scaled_under_load_without_loss() {
    // A new instance has to get hold of a connection in the midst of its siblings, and four of them
    // and their clients share the processors of the machine: so there is time, and there are few.
    let machine = node("[limits]\nstart_timeout = \"5min\"\n");
    let ms = Duration::from_millis;
    let few = Mix::new(ADDRESS).clients(Kind::KeepAlive { gap: ms(500) }, 8, &hello()).clients(
        Kind::NewConnection { gap: ms(50) },
        2,
        &hello(),
    );
    let load = machine.load(few);
    wait(load.until_each_answered(5)).unwrap();
    let said = machine.ctl(&["scale", "4"]).ok();
    assert_eq!(said, "scaled romuo from 2 to 4 instances: started 3, 4\n");
    wait(load.until_each_answered(5)).unwrap();
    let said = machine.ctl(&["scale", "1"]).ok();
    assert_eq!(said, "scaled romuo from 4 to 1 instance: stopped 2, 3, 4\n");
    wait(load.until_each_answered(5)).unwrap();
    machine.expect_no_loss(&wait(load.stop()));
    assert_eq!(machine.status()["state"], "online");
}

#[test]
fn an_app_without_a_network_of_its_own_passes_the_gate_too() {
    let machine = node("network = \"none\"\n");
    let namespace = |pid: &str| machine.run(&["readlink", &format!("/proc/{pid}/ns/net")]).ok();
    assert_ne!(namespace(&machine.pid(1)), namespace("1"), "its network is its own");
    rolled_without_loss(&machine);
}

#[test]
fn a_unix_socket_and_a_second_address_are_asked_as_well() {
    let two = NODE.replace("server.listen({ fd: 3 });", "server.listen({ fd: 3 }); other();")
        + "function other() { http.createServer((q, r) => r.end('hello')).listen({ fd: 4 }); }";
    let machine = machine(NODE_COMMAND, "", &[("server.js", &two)]);
    let listen = r#"["/run/shop/http.sock", "127.0.0.1:3001"]"#;
    machine.configure(&format!(
        "command = [\"/usr/bin/node\", \"server.js\"]\nmode = \"inherit\"\nlisten = {listen}\n\
         [limits]\nstart_timeout = \"5s\"\nmax_restarts = 1\n"
    ));
    machine.ctl(&["install-units", "--now"]).ok();
    let ask = ["curl", "--silent", "--fail", "--unix-socket", "/run/shop/http.sock", "http://x/"];
    assert_eq!(machine.run(&ask).ok(), HELLO);

    // An app that takes the first one only leaves the clients of the second one hanging.
    machine.sandbox.write("/srv/site/server.js", NODE).unwrap();
    machine.systemctl(&["restart", "romuo@1.service"]).exits(1);
    let journal = machine.journal();
    for part in [
        "nobody of this instance accepted a connection on 127.0.0.1:3001 within 5s",
        "descriptor 4?",
    ] {
        assert!(journal.contains(part), "{part:?} is not in {journal}");
    }
}

#[test]
fn an_instance_that_never_accepts_fails_its_start_is_counted_and_the_sibling_serves() {
    let machine =
        node("[limits]\nstart_timeout = \"5s\"\nmax_restarts = 2\nrestart_delay = \"3s\"\n");
    machine.sandbox.write("/srv/site/mute.js", "setInterval(() => {}, 1000)").unwrap();
    let two = machine.pid(2);
    let load = machine.load(clients());
    wait(load.until_each_answered(2)).unwrap();
    machine.drop_in("romuo@1.service", "[Service]\nExecStart=\nExecStart=/usr/bin/node mute.js\n");
    let ran = machine.ctl(&["reload"]).exits(1);
    for part in ["romuo@1.service did not pass its start", "instance 2 was not touched"] {
        assert!(ran.stderr.contains(part), "{part:?} is not in {}", ran.stderr);
    }
    machine.until_errored("romuo@1.service");
    let journal = machine.journal();
    assert!(journal.contains("Instance 1 is errored: it crashed 2 times"), "{journal}");
    let sentence = "nobody of this instance accepted a connection on 127.0.0.1:3000 within 5s";
    for part in [sentence, "does the app take the socket that systemd hands it as descriptor 3?"] {
        assert!(journal.contains(part), "{part:?} is not in {journal}");
    }
    wait(load.until_each_answered(2)).unwrap();
    machine.expect_no_loss(&wait(load.stop()));
    assert_eq!(machine.pid(2), two, "the sibling was not touched");
    assert_eq!(machine.status()["instances"][0]["state"], "errored");

    // A start by hand clears it.
    machine.remove_drop_in("romuo@1.service");
    machine.ctl(&["restart", "1"]).ok();
    assert_eq!(machine.status()["state"], "online");
}

#[test]
fn an_app_that_ends_at_boot_is_found_at_once_and_counted() {
    let toml = "[limits]\nstart_timeout = \"5min\"\nmax_restarts = 1\n";
    let machine = machine(r#"["/usr/bin/node", "-e", "process.exit(7)"]"#, toml, &[]);
    machine.ctl(&["install-units"]).ok();
    machine.ctl(&["start"]).exits(1);
    machine.until_standing_in("romuo@1.service");
    let journal = machine.journal();
    let sentence = "the app ended before it answered GET /health on 127.0.0.1:3000";
    assert!(journal.contains(sentence), "{journal}");
}

#[test]
fn an_unhealthy_answer_is_named() {
    let toml = "[limits]\nstart_timeout = \"5s\"\nmax_restarts = 1\n";
    let command = r#"["/usr/bin/node", "-e", "require('http').createServer((q, r) => { r.statusCode = 404; r.end(); }).listen({ fd: 3 })"]"#;
    let machine = machine(command, toml, &[]);
    machine.ctl(&["install-units"]).ok();
    machine.ctl(&["start"]).exits(1);
    let journal = machine.journal();
    let sentence = "it answered 404 Not Found on 127.0.0.1:3000 to GET /health";
    assert!(journal.contains(sentence), "{journal}");
}

#[test]
fn secrets_reach_the_app_and_show_nowhere_else() {
    let secret = "s3cr3t $HOME ${PATH} `id` \"q\" 'z' \\ %i # ; line\n two\t";
    let environment_of =
        |secret: &str| format!("[environment]\nTOKEN = {}\nBOTH = \"ours\"\n", toml_text(secret));
    let environment = environment_of(secret);
    let keys = format!("env = \"staging\"\nenv_file = \".env file*\"\n{environment}");
    let from_file = "FROM_FILE=f1le\nBOTH=theirs\n";
    let machine = machine(NODE_COMMAND, &keys, &[("server.js", NODE), (".env file*", from_file)]);
    machine.ctl(&["install-units", "--now"]).ok();
    let (_, environment) = seen(&machine);
    assert_eq!(environment["TOKEN"], secret);
    assert_eq!(environment["FROM_FILE"], "f1le");
    assert_eq!(environment["BOTH"], "ours");
    assert_eq!(environment["NODE_ENV"], "staging");
    let id = environment["ROMUO_INSTANCE"].as_str().unwrap();
    assert!(["1", "2"].contains(&id), "{id}");

    let mut shown = machine.systemctl(&["show", "romuo@1.service"]).ok();
    shown += &machine.systemctl(&["cat", "romuo@1.service"]).ok();
    shown += &machine.run(&["cat", &format!("/proc/{}/cmdline", machine.pid(1))]).ok();
    shown += &machine.journal();
    assert!(!shown.contains("s3cr3t") && !shown.contains("f1le"), "{shown}");

    // Without an env_file systemd itself hands them over, from a file of root's.
    configure(&machine, NODE_COMMAND, &environment_of(secret));
    machine.ctl(&["install-units"]).ok();
    machine.ctl(&["reload"]).ok();
    assert_eq!(seen(&machine).1["TOKEN"], secret);
    let mode = machine.run(&["stat", "--format=%a %U", "/etc/romuo/romuo.env"]).ok();
    assert_eq!(mode.trim(), "600 root");

    // A second install changes nothing, one without variables removes the file.
    let said = machine.ctl(&["install-units"]).ok();
    assert!(said.contains("nothing to change"), "{said}");
    configure(&machine, NODE_COMMAND, "");
    let said = machine.ctl(&["install-units"]).ok();
    assert!(said.contains("remove /etc/romuo/romuo.env"), "{said}");
}

#[test]
fn an_app_whose_env_file_is_missing_is_not_started_at_all() {
    let machine = machine(NODE_COMMAND, "env_file = \".env\"\n", &[("server.js", NODE)]);
    machine.ctl(&["install-units"]).ok();
    machine.ctl(&["start"]).exits(1);
    let journal = machine.journal();
    assert!(journal.contains("Assertion failed"), "{journal}");
    assert!(!journal.contains("Instance 1"), "nothing of it ran: {journal}");
}

#[test]
fn an_env_file_is_read_as_the_user_of_the_instances_and_not_as_root() {
    let keys = "env_file = \".env\"\n[limits]\nmax_restarts = 1\nretry_errored = \"off\"\n";
    let machine = machine(NODE_COMMAND, keys, &[("server.js", NODE), (".env", "A=1 # one\n")]);
    let secret = "/etc/only-root";
    machine.sandbox.write(secret, "SECRET=s3cr3t\n").unwrap();
    machine.run(&["chmod", "600", secret]).ok();
    machine.ctl(&["install-units", "--now"]).ok();
    assert_eq!(seen(&machine).1["A"], "1", "by the rules of a front");
    machine.run(&["ln", "-sf", secret, "/srv/site/.env"]).ok();
    machine.ctl(&["restart", "1"]).exits(1);
    machine.until_errored("romuo@1.service");
    let journal = machine.journal();
    assert!(
        journal.contains("cannot read the env_file /srv/site/.env: Permission denied"),
        "{journal}"
    );
    assert!(!journal.contains("s3cr3t"), "{journal}");
}

#[test]
fn each_word_of_the_command_arrives_as_it_was_written() {
    let words = [
        "", ";", "a b", "$HOME", "${HOME}", "$$", "%i", "%%", "\\x41", "\"q\"", "'", "-x=\\",
        "a\nb\tc", "\u{e9}",
    ];
    let given: Vec<String> = words.iter().map(|word| toml_text(word)).collect();
    let command = format!("[\"/usr/bin/node\", \"server.js\", {}]", given.join(", "));
    let machine = machine(&command, "", &[("server.js", NODE)]);
    machine.ctl(&["install-units", "--now"]).ok();
    assert_eq!(seen(&machine).0, serde_json::json!(words));
}

#[test]
fn python_takes_the_descriptor_and_a_restart_keeps_the_port_open() {
    let machine = machine(r#"["/usr/bin/python3", "app.py"]"#, "", &[("app.py", PYTHON)]);
    machine.ctl(&["install-units", "--now"]).ok();
    // It ends at once on SIGTERM, so only clients that have nothing in hand lose nothing.
    for _ in 0..3 {
        machine.ctl(&["reload"]).ok();
        let said = machine.run(&["curl", "--silent", "--fail", "http://127.0.0.1:3000/"]).ok();
        assert_eq!(said, HELLO);
    }
}
