//! What of a configuration changes with a deploy: addresses, which open before the roll and close after it,
//! and the rest; and what does not change with an install.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http::uri::PathAndQuery;
use romuo::load::{Kind, Mix, Request, Running};
use serde_json::Value;

use crate::machine::{Machine, Ran, builder, wait};

/// An app that says which version it is and where it is asked for its health.
const SERVER: &str = "const VERSION = 'one'
require('http').createServer((request, response) => {
  if (request.url === '/large') return response.end(Buffer.alloc(4 << 20))
  response.statusCode = request.url === '/ill' ? 500 : 200
  response.end(VERSION + ' ' + process.env.COLOUR)
  if (request.url === '/well') console.log('asked for /well')
}).listen(process.env.PORT)
";

/// What a release adds to be one that comes up as a candidate, but not as the second instance.
const BROKEN: &str = "if (process.env.ROMUO_INSTANCE === '2') throw new Error('not two')";

/// Keeps a port in the hands of somebody else.
const TAKE: [&str; 6] = [
    "systemd-run",
    "--quiet",
    "--unit=taker",
    "--socket-property=ListenStream=127.0.0.1:3001",
    "/bin/sleep",
    "infinity",
];

struct Shop(Machine);

impl Shop {
    /// A machine on which the app runs a release, on port 3000.
    fn boot() -> Self {
        let shop = Self(Machine::boot());
        shop.install();
        shop
    }

    fn install(&self) {
        self.version("");
        self.configure(&["127.0.0.1:3000"], "", "");
        self.ctl(&["install-units", "--now"]).ok();
        self.deploy();
    }

    fn version(&self, more: &str) {
        self.0.sandbox.write("/srv/shop/server.js", format!("{SERVER}{more}")).unwrap();
    }

    fn configure(&self, listen: &[&str], keys: &str, tables: &str) {
        let mut text = format!("name = \"shop\"\ncommand = [\"node\", \"server.js\"]\n{keys}\n");
        write!(text, "listen = {listen:?}\n[deploy]\nwatch = \"0s\"\n{tables}").unwrap();
        self.0.sandbox.write("/srv/shop/romuo.toml", text).unwrap();
    }

    fn command(arguments: &[&'static str]) -> Vec<&'static str> {
        [&["env", "--chdir=/srv/shop", "romuoctl"], arguments].concat()
    }

    fn ctl(&self, arguments: &[&'static str]) -> Ran {
        self.0.run(&Self::command(arguments))
    }

    /// Ships a release that is to come out well; what is said.
    fn deploy(&self) -> String {
        let ran = self.ctl(&["deploy"]);
        assert_eq!(ran.output.code, Some(0), "{ran:?}\n{}", self.0.journal());
        ran.output.stderr
    }

    /// Ships one that is not.
    fn fails(&self, code: i32) -> String {
        self.ctl(&["deploy"]).exits(code).stderr
    }

    /// What is answered on a port; none: it is closed.
    fn says(&self, port: u16) -> Option<String> {
        let url = format!("http://127.0.0.1:{port}/");
        let Ran { output, .. } = self.0.run(&["curl", "-sS", "--max-time", "5", &url]);
        // 7: could not connect.
        assert!(matches!(output.code, Some(0 | 7)), "{output:?}");
        output.success().then_some(output.stdout)
    }

    /// Which of the ports are open.
    fn open(&self) -> Vec<u16> {
        (3000..3004).filter(|port| self.says(*port).is_some()).collect()
    }

    fn load(&self, port: u16) -> Running {
        let get = Request::get(PathAndQuery::from_static("/"));
        let large = Request::get(PathAndQuery::from_static("/large"));
        let (gap, over) = (Duration::from_millis(10), Duration::from_secs(2));
        let mix = Mix::new(SocketAddr::from(([127, 0, 0, 1], port)))
            .clients(Kind::KeepAlive { gap }, 8, &get)
            .clients(Kind::NewConnection { gap }, 4, &get)
            .clients(Kind::SlowDownload { over }, 4, &large);
        let load = self.0.load(mix);
        wait(load.until_each_answered(1)).unwrap();
        load
    }

    /// Ends a load; fails where it has lost one request.
    fn no_loss(&self, load: Running) {
        let report = wait(load.stop());
        println!("{report}");
        self.0.expect_no_loss(&report);
    }

    fn runs(&self) -> [String; 2] {
        [1, 2].map(|id| self.0.property(&format!("shop@{id}.service"), "InvocationID"))
    }

    /// Units of addresses that came while the app ran, of which there is a file.
    fn more(&self) -> Vec<String> {
        let find = ["find", "/run/systemd/system", "-name", "shop.more*.socket"];
        self.0.run(&find).ok().lines().map(str::to_owned).collect()
    }
}

#[test]
fn addresses_come_and_go_with_deploys_and_nothing_is_lost() {
    let shop = Shop::boot();
    let old = shop.load(3000);
    shop.configure(&["127.0.0.1:3000", "127.0.0.1:3001"], "", "");
    let said = shop.ctl(&["deploy", "--dry-run"]).ok();
    assert!(said.contains("opens 127.0.0.1:3001 before the first instance"), "{said}");
    assert_eq!(shop.open(), [3000]);
    shop.deploy();
    assert_eq!(shop.open(), [3000, 3001]);

    // Another one in the place of the first: that is served until the last instance runs what is new.
    let stays = shop.load(3001);
    // It takes both rolls a while, so that its clients have left when the second one comes to the last instance.
    let slowly = "[reload]\nprobes = 20\n";
    shop.configure(&["127.0.0.1:3001", "127.0.0.1:3002"], "", slowly);
    let begun = Machine::now();
    let deploy = shop.0.spawn(&Shop::command(&["deploy"]));
    shop.0.until_journal_after(begun, "3000 closes", |entry| {
        entry.message == "closing 127.0.0.1:3000"
    });
    shop.no_loss(old);
    let output = deploy.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}\n{}", shop.0.journal());
    for part in ["opens 127.0.0.1:3002", "closes 127.0.0.1:3000", "; closed 127.0.0.1:3000"] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert_eq!(shop.open(), [3001, 3002]);
    shop.no_loss(stays);

    // A crash changes nothing, whichever unit an address came with.
    shop.0.systemctl(&["kill", "--signal=KILL", "shop@1.service"]).exits(0);
    shop.0.until_started_after(begun, "shop@1.service");
    assert_eq!(shop.open(), [3001, 3002]);

    // One that goes; and back.
    let stays = shop.load(3001);
    shop.configure(&["127.0.0.1:3001"], "", "");
    shop.deploy();
    assert_eq!(shop.open(), [3001]);
    shop.ctl(&["rollback"]).ok();
    assert_eq!(shop.open(), [3001, 3002]);
    wait(stays.until_each_answered(1)).unwrap();
    shop.0.systemctl(&["restart", "shop.target"]).ok();
    wait(stays.until_each_answered(1)).unwrap();
    shop.no_loss(stays);

    // From the next start on one unit has all.
    assert_eq!(shop.more().len(), 2, "{:?}", shop.more());
    shop.ctl(&["stop"]).ok();
    assert_eq!((shop.open(), shop.more()), (vec![], vec![]));
    shop.ctl(&["start"]).ok();
    assert_eq!((shop.open(), shop.more()), (vec![3001, 3002], vec![]));
    shop.configure(&["127.0.0.1:3000"], "", "");
    shop.deploy();
    assert_eq!((shop.open(), shop.more().len()), (vec![3000], 1));
    shop.0.systemctl(&["restart", "shop.socket"]).ok();
    shop.ctl(&["start"]).ok();
    assert_eq!((shop.open(), shop.more()), (vec![3000], vec![]));
    shop.ctl(&["uninstall-units"]).ok();
    assert_eq!(shop.open(), [0; 0]);
}

#[test]
fn a_release_that_is_not_well_takes_its_addresses_with_it() {
    let shop = Shop::boot();
    let load = shop.load(3000);
    shop.version(BROKEN);
    shop.configure(&["127.0.0.1:3001"], "", "");
    let said = shop.fails(4);
    println!("{said}");
    wait(load.until_each_answered(1)).unwrap();
    assert_eq!((shop.open(), shop.more()), (vec![3000], vec![]));
    shop.no_loss(load);
    assert_eq!(shop.0.status_of("shop")["listen"], serde_json::json!(["127.0.0.1:3000"]));
}

#[test]
fn a_port_that_cannot_be_opened_fails_before_anything_is_touched() {
    let shop = Shop::boot();
    let before = shop.runs();
    shop.0.run(&TAKE).ok();
    shop.configure(&["127.0.0.1:3000", "127.0.0.1:3001"], "", "");
    let said = shop.fails(1);
    assert!(said.contains("127.0.0.1:3001 cannot be opened"), "{said}");
    shop.0.systemctl(&["stop", "taker.socket"]).ok();

    // Taken right before the roll.
    let hook = format!("before = [{:?}]", TAKE.join(" "));
    shop.configure(&["127.0.0.1:3000", "127.0.0.1:3001"], "", &hook);
    println!("{}", shop.fails(1));
    shop.0.until_journal("the roller says so", |entry| {
        entry.message.contains("127.0.0.1:3001 cannot be opened")
    });
    assert_eq!(shop.runs(), before);
    let socket = shop.0.run(&["cat", "/etc/systemd/system/shop.socket"]).ok();
    assert!(!socket.contains("3001"), "{socket}");
    assert_eq!(shop.more(), [""; 0]);
    shop.0.systemctl(&["stop", "taker.socket"]).ok();
    shop.configure(&["127.0.0.1:3000", "127.0.0.1:3001"], "", "");
    shop.deploy();
    assert_eq!(shop.open(), [3000, 3001]);

    // What needs a new start of the socket is said beforehand.
    let before = shop.runs();
    shop.configure(&["0.0.0.0:3000", "127.0.0.1:3001"], "", "");
    let refused = "0.0.0.0:3000 cannot open while 127.0.0.1:3000 is open";
    for arguments in [&["deploy", "--dry-run"][..], &["deploy"]] {
        let said = shop.ctl(arguments).exits(2).stderr;
        assert!(said.contains(refused) && said.contains("romuoctl stop"), "{said}");
    }
    assert_eq!(shop.runs(), before);
    shop.ctl(&["stop"]).ok();
    shop.ctl(&["deploy"]).ok();
    shop.ctl(&["start"]).ok();
    assert_eq!(shop.0.status_of("shop")["listen"][0], "0.0.0.0:3000");
    assert_eq!(shop.open(), [3000, 3001]);
}

#[test]
fn a_killed_roller_leaves_no_address_behind() {
    let shop = Shop::boot();
    let killed_at = |message: &str| {
        let begun = Machine::now();
        let deploy = shop.0.spawn(&Shop::command(&["deploy"]));
        shop.0.until_journal_after(begun, message, |entry| entry.message.starts_with(message));
        shop.0.systemctl(&["kill", "--signal=KILL", "shop.service"]).ok();
        deploy.wait_with_output().unwrap()
    };
    // One instance has both, one has the old one; a start would have both. The roller gets no further: nothing
    // tells that a machine which is busy hears of it in time.
    let held = "[Service]\nExecStartPre=/bin/sh -c 'while test -e /run/held; do sleep 0.1; done'\n";
    shop.0.drop_in("shop@2.service", held);
    shop.0.run(&["touch", "/run/held"]).ok();
    shop.configure(&["127.0.0.1:3001"], "", "");
    killed_at("1 of 2 instances rolled, restarting shop@2.service");
    shop.0.run(&["rm", "/run/held"]).ok();
    assert_eq!(shop.open(), [3000, 3001]);
    shop.0.systemctl(&["restart", "shop.target"]).ok();
    assert_eq!(shop.open(), [3000, 3001]);
    shop.ctl(&["reload"]).ok();
    assert_eq!(shop.open(), [3001]);

    shop.configure(&["127.0.0.1:3002"], "", "");
    killed_at("closing 127.0.0.1:3001");
    shop.ctl(&["reload"]).ok();
    assert_eq!(shop.open(), [3002]);
}

#[test]
fn a_unix_socket_that_closes_leaves_no_file() {
    let shop = Shop(Machine::boot());
    let both = ["127.0.0.1:3000", "/run/shop.sock"];
    shop.version("");
    shop.configure(&both, "", "");
    shop.ctl(&["install-units", "--now"]).ok();
    let says = || shop.0.run(&["curl", "-sS", "--unix-socket", "/run/shop.sock", "http://shop/"]);
    let is_there = || shop.0.run(&["test", "-e", "/run/shop.sock"]).output.success();
    assert_eq!(says().ok(), "one undefined");
    for _ in 0..2 {
        shop.configure(&both[..1], "", "");
        shop.deploy();
        assert!(!is_there(), "it is closed");
        shop.configure(&both, "", "");
        shop.deploy();
        assert_eq!(says().ok(), "one undefined");
    }
}

#[test]
fn the_machine_boots_with_the_addresses_of_the_last_deploy() {
    let disk = tempfile::tempdir().unwrap();
    let folders = ["/etc/romuo", "/etc/systemd/system", "/var/lib/romuo", "/srv/shop"];
    let boot = || {
        let mut builder = builder();
        for folder in folders {
            let host = disk.path().join(Path::new(folder).strip_prefix("/").unwrap());
            std::fs::create_dir_all(&host).unwrap();
            builder = builder.bind(host, folder);
        }
        Shop(Machine { sandbox: builder.boot().unwrap() })
    };
    let shop = boot();
    shop.install();
    shop.configure(&["127.0.0.1:3001", "127.0.0.1:3002"], "", "");
    shop.version("// two");
    shop.deploy();
    assert_eq!(shop.open(), [3001, 3002]);
    let status = shop.0.status_of("shop");
    drop(shop);
    let shop = boot();
    shop.0.systemctl(&["start", "shop.target"]).ok();
    assert_eq!((shop.open(), shop.more()), (vec![3001, 3002], vec![]));
    assert_eq!(shop.0.status_of("shop")["release"], status["release"]);
}

#[test]
fn instances_limits_variables_and_the_health_path_change_with_a_deploy() {
    let shop = Shop::boot();
    let load = shop.load(3000);
    let count = || shop.0.status_of("shop")["instances"].as_array().unwrap().len();
    let tables = |memory: u16, path: &str, colour: &str| {
        format!(
            "[limits]\nmemory = \"{memory}M\"\n[health]\npath = \"{path}\"\n[environment]\nCOLOUR = \"{colour}\"\n"
        )
    };
    let listen = &["127.0.0.1:3000"];
    shop.configure(listen, "instances = 4", &tables(200, "/well", "blue"));
    shop.deploy();
    assert_eq!((count(), shop.says(3000).as_deref()), (4, Some("one blue")));
    for id in 1..=4 {
        let limit = shop.0.property(&format!("shop@{id}.service"), "MemoryMax");
        assert_eq!(limit, (200 << 20).to_string());
    }
    shop.0.until_journal("it is asked there", |entry| entry.message == "asked for /well");
    shop.configure(listen, "instances = 2", &tables(250, "/well", "green"));
    shop.deploy();
    assert_eq!((count(), shop.says(3000).as_deref()), (2, Some("one green")));
    assert_eq!(shop.0.property("shop@1.service", "MemoryMax"), (250 << 20).to_string());
    // Where it is ill the candidate says so.
    shop.configure(listen, "instances = 2", &tables(250, "/ill", "red"));
    let said = shop.fails(1);
    assert!(said.contains("is not fit to serve"), "{said}");
    assert_eq!((count(), shop.says(3000).as_deref()), (2, Some("one green")));
    wait(load.until_each_answered(1)).unwrap();
    shop.no_loss(load);
}

#[test]
fn an_install_does_not_undo_what_was_shipped() {
    let shop = Shop::boot();
    let said = shop.ctl(&["install-units"]).exits(2).stderr;
    for part in ["shop runs releases", "romuoctl deploy", "--force"] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    // The units of what is installed are rendered anew, as after an upgrade of romuo.
    let unit = "/etc/systemd/system/shop.target";
    shop.0.run(&["rm", unit]).ok();
    let said = shop.0.run(&["romuoctl", "--app", "shop", "install-units"]).ok();
    assert!(said.starts_with(&format!("create {unit}")) && !said.contains("update"), "{said}");
    let release = shop.0.status_of("shop")["release"].clone();
    assert!(release.is_string(), "{release}");

    // With --force it is the folder that runs, until the next deploy.
    shop.version("// two");
    shop.ctl(&["install-units", "--force"]).ok();
    shop.ctl(&["reload"]).ok();
    assert_eq!(shop.0.status_of("shop")["release"], Value::Null);
    assert_eq!(shop.says(3000).as_deref(), Some("one undefined"));
    shop.deploy();
    let release = shop.0.status_of("shop")["release"].clone();
    assert!(release.is_string(), "{release}");
    shop.ctl(&["rollback", "base"]).ok();
    let base = shop.0.status_of("shop")["release"].clone();
    assert!(base.is_string() && base != release, "{base}");
}
