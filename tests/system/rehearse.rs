//! The rehearsal of a release: a candidate beside the instances, of which nothing is left.

use crate::machine::{Machine, Ran};

/// An app that listens as it is told, and is as bad as it is told.
const APP: &str = "
import http.server, os, signal, socket, sys, threading, time
deed = sys.argv[1]
print('this is', os.environ['ROMUO_INSTANCE'], 'in', os.getcwd(), flush=True)
if deed == 'throw':
    raise Exception('this release is broken')
if deed == 'sleep':
    time.sleep(3600)
asked = []
def freeze():
    os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(1.2)
    os.kill(os.getppid(), signal.SIGCONT)
    print('its front was frozen for a moment', flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if deed == 'ill' else 200)
        self.end_headers()
        asked.append(self.path)
        if deed == 'crash' and len(asked) == 2:
            os._exit(3)
        if deed == 'freeze' and len(asked) == 2:
            threading.Thread(target=freeze).start()
    def log_message(self, *args):
        pass
if 'LISTEN_FDS' in os.environ:
    server = http.server.ThreadingHTTPServer(('', 0), Handler, bind_and_activate=False)
    server.socket = socket.socket(fileno=3)
else:
    server = http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler)
server.serve_forever()
";

/// A release that comes out well.
const GOOD: &str = "20261126T001100Z-abc1234";

/// One whose front is frozen for a moment, as on a machine that has a lot to do.
const FROZEN: &str = "20261126T001200Z-eeeeeee";

/// Deeds of releases that do not, each as a release of its own.
const BAD: [(&str, &str); 4] = [
    ("throw", "20261126T002200Z-aaaaaaa"),
    ("sleep", "20261126T002300Z-bbbbbbb"),
    ("ill", "20261126T002400Z-ccccccc"),
    ("crash", "20261126T002500Z-ddddddd"),
];

struct Shop(Machine);

impl Shop {
    /// A machine with releases of an app that is not installed.
    fn boot(keys: &str) -> Self {
        let shop = Self(Machine::boot());
        let current = "/var/lib/romuo/shop/current";
        for (deed, release) in BAD.into_iter().chain([("serve", GOOD), ("freeze", FROZEN)]) {
            let folder = format!("/var/lib/romuo/shop/releases/{release}");
            let config = format!("{folder}/.romuo.toml");
            shop.0.sandbox.write(format!("{folder}/app.py"), APP).unwrap();
            // The second question comes long before the last answer that is wanted.
            let soon = "[health]\ninterval = \"500ms\"\nfailures = 10\n[reload]\nprobes = 30\n";
            let more = if matches!(deed, "crash" | "freeze") { soon } else { "" };
            // As long as the test has to wait where it is not well, and else as a busy machine may need.
            let patience = match deed {
                "sleep" => "2s",
                "ill" => "6s",
                _ => "30s",
            };
            let text = format!(
                "name = \"shop\"\ndirectory = \"{current}\"\nlisten = [\"127.0.0.1:3000\"]\n\
                 command = [\"/usr/bin/python3\", \"{current}/app.py\", \"{deed}\"]\n{keys}\n\
                 [limits]\nstart_timeout = \"{patience}\"\nrestart_delay = \"10ms\"\n{more}"
            );
            shop.0.sandbox.write(&config, text).unwrap();
            shop.0.run(&["chmod", "0600", &config]).ok();
        }
        shop
    }

    fn rehearse(&self, release: &str) -> Ran {
        self.0.run(&["romuoctl", "--app", "shop", "candidate", release])
    }

    /// Fails where something of a candidate is left.
    fn expect_nothing_left(&self) {
        let units = self.0.systemctl(&["list-units", "--all", "--no-legend", "shop.candidate*"]);
        assert_eq!(units.ok().trim(), "");
        let find = ["find", "/run/systemd/system", "/run/romuo", "-name", "*candidate*"];
        // The folder may be missing.
        assert_eq!(self.0.run(&find).output.stdout.trim(), "");
    }

    fn bad(deed: &str) -> &'static str {
        BAD.iter().find(|(name, _)| *name == deed).unwrap().1
    }

    /// Rehearses a bad release, and says why it is not fit.
    fn refused(&self, deed: &str) -> String {
        let said = self.rehearse(Self::bad(deed)).exits(1).stderr;
        self.expect_nothing_left();
        let start = format!("release {} is not fit to serve: ", Self::bad(deed));
        assert!(said.contains(&start), "{said}");
        assert!(said.contains("no instance was touched"), "{said}");
        said
    }
}

#[test]
fn a_release_is_rehearsed_behind_a_front_and_leaves_nothing() {
    let shop = Shop::boot("");
    let said = shop.rehearse(GOOD).ok();
    assert!(said.contains(&format!("release {GOOD} is fit to serve")), "{said}");
    let place = format!("this is candidate in /var/lib/romuo/shop/releases/{GOOD}");
    shop.0.until_journal("the candidate says what it is", |entry| entry.message == place);
    shop.expect_nothing_left();

    let said = shop.refused("throw");
    assert!(said.contains("the app exited with code 1 after"), "{said}");
    // The journal knows whether its line came late, or as nobody's.
    let journal = || shop.0.run(&["journalctl", "--no-pager", "--output=json"]).ok();
    assert!(said.contains("Exception: this release is broken"), "{said}\n{}", journal());
    let said = shop.refused("sleep");
    assert!(said.contains("the app was not well within 2s"), "{said}");
    assert!(!said.contains("this release is broken"), "of another rehearsal: {said}");
    let said = shop.refused("ill");
    assert!(said.contains("500"), "{said}");
    let said = shop.refused("crash");
    assert!(said.contains("its program") && said.contains("the app exited with code 3"), "{said}");
    shop.rehearse(GOOD).ok();
    shop.expect_nothing_left();
}

#[test]
fn one_that_does_not_answer_for_a_moment_is_asked_again() {
    let shop = Shop::boot("");
    shop.rehearse(FROZEN).ok();
    let frozen = "its front was frozen for a moment";
    shop.0.until_journal("it did not answer", |entry| entry.message == frozen);
    shop.expect_nothing_left();
}

#[test]
fn a_release_that_takes_the_sockets_itself_is_rehearsed_too() {
    let shop = Shop::boot("mode = \"inherit\"");
    shop.rehearse(GOOD).ok();
    let place = format!("this is candidate in /var/lib/romuo/shop/releases/{GOOD}");
    shop.0.until_journal("the candidate says what it is", |entry| entry.message == place);
    shop.expect_nothing_left();
    assert!(shop.refused("throw").contains("this release is broken"));
    shop.refused("sleep");
    assert!(shop.refused("ill").contains("500"));
}

#[test]
fn an_interrupted_rehearsal_leaves_nothing_and_what_a_killed_one_left_goes() {
    let shop = Shop::boot("");
    for signal in ["INT", "KILL"] {
        let begun = Machine::now();
        let release = Shop::bad("sleep");
        let child = shop.0.spawn(&["romuoctl", "--app", "shop", "candidate", release]);
        shop.0.until_journal_after(begun, "the candidate starts", |entry| {
            entry.message.starts_with("this is candidate")
        });
        let found = shop.0.run(&["pgrep", "--exact", "romuoctl"]).ok();
        shop.0.run(&["kill", &format!("-{signal}"), found.trim()]).ok();
        let output = child.wait_with_output().unwrap();
        if signal == "INT" {
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains("was interrupted"), "{said}");
            shop.expect_nothing_left();
        }
    }
    shop.rehearse(GOOD).ok();
    shop.expect_nothing_left();
}

#[test]
fn the_instances_do_not_notice_a_rehearsal() {
    let shop = Shop::boot("");
    let current = "/var/lib/romuo/shop/current";
    let folder = format!("/var/lib/romuo/shop/releases/{GOOD}");
    shop.0.run(&["ln", "-s", &format!("releases/{GOOD}"), current]).ok();
    let text = shop.0.sandbox.read(format!("{folder}/.romuo.toml")).unwrap();
    shop.0.configure(std::str::from_utf8(&text).unwrap());
    shop.0.ctl(&["install-units", "--now"]).ok();
    let mains = || [1, 2].map(|id| shop.0.property(&format!("shop@{id}.service"), "MainPID"));
    let before = mains();
    shop.refused("throw");
    shop.rehearse(GOOD).ok();
    shop.expect_nothing_left();
    assert_eq!(mains(), before);
    let health = shop.0.ctl(&["health", "-o", "json"]).ok();
    assert!(health.contains("\"restarts\":0") || health.contains("\"restarts\": 0"), "{health}");
    assert_eq!(shop.0.property("shop.socket", "ActiveState"), "active");
}

#[test]
fn a_site_is_rehearsed_and_tried_too() {
    let machine = Machine::boot();
    let (current, releases) = ("/var/lib/romuo/web/current", "/var/lib/romuo/web/releases");
    let config = format!(
        "name = \"web\"\ndirectory = \"{current}\"\nlisten = [\"127.0.0.1:3000\"]\ninstances = 1\n\
         [static]\nroot = \"{current}/public\"\n"
    );
    let new = "20261126T002200Z-aaaaaaa";
    for release in [GOOD, new] {
        let folder = format!("{releases}/{release}");
        machine.sandbox.write(format!("{folder}/.romuo.toml"), &config).unwrap();
        machine.sandbox.write(format!("{folder}/public/index.html"), release).unwrap();
        machine.run(&["chmod", "0600", &format!("{folder}/.romuo.toml")]).ok();
    }
    machine.run(&["romuoctl", "--app", "web", "candidate", new]).ok();
    // Without its folder it does not come up.
    machine.run(&["mv", &format!("{releases}/{new}/public"), "/srv/public"]).ok();
    let said = machine.run(&["romuoctl", "--app", "web", "candidate", new]).exits(1).stderr;
    assert!(said.contains("is not fit to serve: the site's folder"), "{said}");
    machine.run(&["mv", "/srv/public", &format!("{releases}/{new}/public")]).ok();

    machine.run(&["ln", "-s", &format!("releases/{GOOD}"), current]).ok();
    machine.configure(&config);
    machine.ctl(&["install-units", "--now"]).ok();
    let page = || machine.run(&["curl", "--silent", "--fail", "http://127.0.0.1:3000/"]).ok();
    assert_eq!(page(), GOOD);
    machine.run(&["mkdir", "/run/romuo/web.trial"]).ok();
    machine.run(&["ln", "-s", &format!("{releases}/{new}"), "/run/romuo/web.trial/1"]).ok();
    machine.systemctl(&["restart", "web@1"]).ok();
    assert_eq!(page(), new);
    assert!(machine.ctl(&["health", "-o", "json"]).ok().contains(new));
    let (pid, before) = (machine.property("web@1.service", "MainPID"), Machine::now());
    machine.run(&["kill", "-KILL", &pid]).ok();
    machine.until_started_after(before, "web@1.service");
    assert_eq!(page(), GOOD);
}
