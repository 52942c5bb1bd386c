//! What an instance runs: a release that it is to try once, else the one that it is pinned to.

use serde_json::Value;

use crate::machine::{Machine, Ran};

/// Two releases, the older one first.
const OLD: &str = "20261126T001100Z-abc1234";
const NEW: &str = "20261126T002200Z-def5678";

/// An app that says which release it is of, and how it was configured.
const APP: &str = "
import http.server, os, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        text = f'{NAME} in {os.getcwd()}: {os.environ[\"GREETING\"]} {sys.argv[1:]}'.encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *args):
        pass
if 'LISTEN_FDS' in os.environ:
    assert os.environ['LISTEN_PID'] == str(os.getpid())
    server = http.server.ThreadingHTTPServer(('', 0), Handler, bind_and_activate=False)
    server.socket = socket.socket(fileno=3)
else:
    server = http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler)
server.serve_forever()
";

/// A machine on which an app has two releases.
struct Shop {
    machine: Machine,
    keys: &'static str,
}

impl Shop {
    /// Boots the machine; the older release is the current one, and no instance has a pin.
    fn serving(keys: &'static str) -> Self {
        let shop = Self { machine: Machine::boot(), keys };
        for (release, name) in [(OLD, "old"), (NEW, "new")] {
            let folder = format!("/var/lib/romuo/shop/releases/{release}");
            let app = format!("NAME = '{name}'\n{APP}");
            shop.machine.sandbox.write(format!("{folder}/app.py"), app).unwrap();
            shop.belongs(&folder, "/var/lib/romuo/shop/current", name);
        }
        shop.link("releases/20261126T001100Z-abc1234", "/var/lib/romuo/shop/current");
        shop.run(&["mkdir", "-p", "/var/lib/romuo/shop/instances"]).ok();
        shop.machine.configure(&shop.config("/var/lib/romuo/shop/current", "installed"));
        shop.machine.ctl(&["install-units", "--now"]).ok();
        shop
    }

    fn run(&self, command: &[&str]) -> Ran {
        self.machine.run(command)
    }

    /// The configuration of the app that lies in a folder.
    fn config(&self, folder: &str, greeting: &str) -> String {
        format!(
            "name = \"shop\"\ndirectory = \"{folder}\"\nlisten = [\"127.0.0.1:3000\"]\ninstances = 2\n\
             command = [\"/usr/bin/python3\", \"{folder}/app.py\"]\n{}\n\
             [environment]\nGREETING = \"{greeting}\"\n",
            self.keys
        )
    }

    /// Writes the configuration that belongs to a folder into it, for root only.
    fn belongs(&self, folder: &str, directory: &str, greeting: &str) {
        let path = format!("{folder}/.romuo.toml");
        self.machine.sandbox.write(&path, self.config(directory, greeting)).unwrap();
        self.run(&["chmod", "0600", &path]).ok();
    }

    fn link(&self, target: &str, path: &str) {
        self.run(&["ln", "-sfn", target, path]).ok();
    }

    fn pin(&self, instance: u16, release: &str) {
        let path = format!("/var/lib/romuo/shop/instances/{instance}");
        self.link(&format!("../releases/{release}"), &path);
    }

    fn offer(&self, release: &str) {
        self.run(&["mkdir", "-p", "/run/romuo/shop.trial"]).ok();
        let target = format!("/var/lib/romuo/shop/releases/{release}");
        self.link(&target, "/run/romuo/shop.trial/1");
    }

    fn restart(&self) {
        self.machine.systemctl(&["restart", "shop@1"]).ok();
    }

    /// Kills a process, and waits until what it was is back.
    fn kill(&self, pid: &str, is_back: &str) {
        let before = Machine::now();
        self.run(&["kill", "-KILL", pid]).ok();
        self.machine
            .until_journal_after(before, is_back, |entry| entry.message.starts_with(is_back));
    }

    /// Kills the main process of instance 1, and waits until systemd has started it again.
    fn kill_main(&self) {
        let pid = self.machine.property("shop@1.service", "MainPID");
        let before = Machine::now();
        self.run(&["kill", "-KILL", &pid]).ok();
        self.machine.until_started_after(before, "shop@1.service");
    }

    /// What instance 1 says of its health.
    fn health(&self) -> Value {
        let health = self.machine.ctl(&["health", "-o", "json"]).ok();
        let health: Value = serde_json::from_str(&health).unwrap();
        health["instances"][0].clone()
    }

    /// Kills the app behind the front of instance 1, and waits until it is well again.
    fn kill_child(&self) {
        let pid = self.health()["app"]["pid"].to_string();
        self.kill(&pid, "the app is well");
    }

    /// What the app of instance 1 says, without its folder; and the release that stands in `/health`.
    fn front(&self) -> (String, String) {
        let health = self.health();
        let release = health["release"].as_str().unwrap_or("none").to_owned();
        let pid = health["app"]["pid"].to_string();
        (self.process(&pid), release)
    }

    /// A process of the app: its folder, its program and its greeting.
    fn process(&self, pid: &str) -> String {
        let look = "readlink /proc/$0/cwd; tr '\\0' ' ' < /proc/$0/cmdline; echo; \
                    tr '\\0' '\\n' < /proc/$0/environ | grep ^GREETING=";
        let said = self.run(&["sh", "-c", look, pid]).ok();
        said.lines().map(str::trim).collect::<Vec<_>>().join("; ")
    }
}

/// What a process of the app is in a folder.
fn in_folder(folder: &str, greeting: &str) -> String {
    format!("{folder}; /usr/bin/python3 {folder}/app.py; GREETING={greeting}")
}

/// What it is in a release.
fn in_release(release: &str, greeting: &str) -> String {
    in_folder(&format!("/var/lib/romuo/shop/releases/{release}"), greeting)
}

#[test]
fn a_trial_lasts_for_one_start_and_a_crash_goes_back_to_the_pin_with_its_configuration() {
    let shop = Shop::serving("reload.method = \"swap\"");
    let old = |greeting| (in_release(OLD, greeting), OLD.to_owned());
    let new = |greeting| (in_release(NEW, greeting), NEW.to_owned());
    // Nothing is pinned and nothing is offered: no credential is there, and the defaults do.
    assert_eq!(shop.front(), old("installed"));
    shop.pin(1, OLD);
    shop.pin(2, OLD);
    shop.restart();
    assert_eq!(shop.front(), old("old"));

    shop.offer(NEW);
    shop.restart();
    assert_eq!(shop.front(), new("new"));
    shop.kill_main();
    assert_eq!(shop.front(), old("old"));

    // The app alone ends: its front goes back too.
    shop.offer(NEW);
    shop.restart();
    assert_eq!(shop.front(), new("new"));
    shop.kill_child();
    assert_eq!(shop.front(), old("old"));

    // A swap brings in new code, and the configuration stays.
    shop.offer(NEW);
    shop.machine.systemctl(&["reload", "shop@1"]).ok();
    assert_eq!(shop.front().1, NEW);
    shop.kill_child();
    assert_eq!(shop.front(), old("old"));

    // Verified: from now on it is run.
    shop.offer(NEW);
    shop.restart();
    shop.pin(1, NEW);
    shop.kill_child();
    assert_eq!(shop.front(), new("new"));
    shop.kill_main();
    assert_eq!(shop.front(), new("new"));

    // What was there before the first release lies where its own configuration says.
    shop.run(&["cp", "-r", "/var/lib/romuo/shop/releases/20261126T001100Z-abc1234", "/srv/shop"])
        .ok();
    shop.run(&["mkdir", "/var/lib/romuo/shop/base"]).ok();
    shop.belongs("/var/lib/romuo/shop/base", "/srv/shop", "base");
    shop.link("../base", "/var/lib/romuo/shop/instances/1");
    shop.restart();
    assert_eq!(shop.front(), (in_folder("/srv/shop", "base"), "none".into()));

    // The sibling was left alone by all of this, and no secret can be read by it.
    let said =
        shop.run(&["stat", "-c", "%a %u", "/var/lib/romuo/shop/instances/2/.romuo.toml"]).ok();
    assert_eq!(said.trim(), "600 0");
}

#[test]
fn an_app_that_takes_the_sockets_itself_tries_a_release_once_too() {
    let shop = Shop::serving("mode = \"inherit\"\nhealth.path = \"/\"");
    let main = || shop.process(&shop.machine.property("shop@1.service", "MainPID"));
    assert_eq!(main(), in_release(OLD, "installed"));
    shop.pin(1, OLD);
    shop.offer(NEW);
    shop.restart();
    assert_eq!(main(), in_release(NEW, "new"));
    shop.kill_main();
    assert_eq!(main(), in_release(OLD, "old"));
    let said = shop.run(&["curl", "--silent", "--fail", "http://127.0.0.1:3000/"]).ok();
    assert!(said.contains("/var/lib/romuo/shop/releases/"), "{said}");
}
