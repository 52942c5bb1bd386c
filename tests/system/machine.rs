//! A machine with romuo on it, as the tests use it.

use std::fmt::Write as _;
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::uri::PathAndQuery;
use romuo::journal::Entry;
use romuo::load::{self, Body, Kind, Mix, Request, Running, Site};
use romuo::sandbox::{Output, Sandbox, SandboxBuilder};
use serde_json::Value;

/// Where the app listens.
pub(crate) const ADDRESS: SocketAddr =
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 3000));

/// Time after which an event that a test waits for will not come any more. Nothing is measured by
/// it: it only ends a test that has failed.
const DEADLINE: Duration = Duration::from_secs(60);

/// The page that the site serves.
pub(crate) const PAGE: &str = "<!doctype html><title>romuo</title><h1>It serves.</h1>";

/// Size of the site's large file, in bytes.
const LARGE: usize = 8 << 20;

/// The configuration of the app, less what a test adds.
pub(crate) const CONFIG: &str =
    "listen = [\"127.0.0.1:3000\"]\n[static]\nroot = \"/srv/site/public\"\n";

/// Takes as many MiB of memory as it is told in the cgroup of a process, and keeps them.
const HOG: &str = "import pathlib, signal, sys
group = [l.split(':')[2] for l in open('/proc/' + sys.argv[1] + '/cgroup').read().split()]
for base in ('/sys/fs/cgroup/memory', '/sys/fs/cgroup', '/sys/fs/cgroup/unified'):
    for path in set(group):
        procs = pathlib.Path(base + path) / 'cgroup.procs'
        if path != '/' and procs.exists():
            procs.write_text('0')
hoard = [b'x' * (1 << 20) + bytes([i]) for i in range(int(sys.argv[2]))]
signal.pause()
";

/// A booted machine with `romuoctl` and `romuo-server` in `/usr/local/bin` and a site in `/srv/site`.
pub(crate) struct Machine {
    pub(crate) sandbox: Sandbox,
}

/// What a builder of the sandbox needs at the least.
pub(crate) fn builder() -> SandboxBuilder {
    let romuoctl = env!("CARGO_BIN_EXE_romuoctl");
    Sandbox::builder(romuoctl)
        .program(romuoctl, "/usr/local/bin/romuoctl")
        .program(env!("CARGO_BIN_EXE_romuo-server"), "/usr/local/bin/romuo-server")
}

impl Machine {
    /// Boots a machine on which nothing is installed yet.
    pub(crate) fn boot() -> Self {
        let sandbox = builder().boot().unwrap_or_else(|error| panic!("{error}"));
        sandbox.write("/srv/site/public/index.html", PAGE).unwrap();
        sandbox.write("/srv/site/public/large.bin", vec![b'.'; LARGE]).unwrap();
        let machine = Self { sandbox };
        machine.configure(CONFIG);
        machine
    }

    /// Boots a machine on which the app runs, with `tables` of configuration added.
    pub(crate) fn serving(tables: &str) -> Self {
        Self::serving_as("", tables)
    }

    /// Boots a machine on which the app runs, with `keys` and `tables` of configuration added.
    pub(crate) fn serving_as(keys: &str, tables: &str) -> Self {
        let machine = Self::boot();
        machine.configure(&format!("{keys}{CONFIG}{tables}"));
        machine.ctl(&["install-units", "--now"]).ok();
        machine
    }

    /// Writes the app's `romuo.toml`.
    pub(crate) fn configure(&self, text: &str) {
        self.sandbox.write("/srv/site/romuo.toml", text).unwrap();
    }

    /// Runs `romuoctl` in the app's folder.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Ran {
        let folder = ["env", "--chdir=/srv/site", "romuoctl"];
        self.run(&[&folder, arguments].concat())
    }

    /// Runs `systemctl`.
    pub(crate) fn systemctl(&self, arguments: &[&str]) -> Ran {
        self.run(&[&["systemctl"], arguments].concat())
    }

    /// Runs a command.
    pub(crate) fn run(&self, command: &[&str]) -> Ran {
        let output = self.sandbox.run(command).unwrap();
        Ran { command: command.join(" "), output }
    }

    /// Starts a command in the background.
    pub(crate) fn spawn(&self, command: &[&str]) -> std::process::Child {
        let (program, arguments) = command.split_first().unwrap();
        let mut child = self.sandbox.command(program);
        child.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        child.spawn().unwrap()
    }

    /// Starts a command in the background, and waits for the first line that it says.
    pub(crate) fn spawn_until_heard(&self, command: &[&str]) -> (std::process::Child, String) {
        let mut child = self.spawn(command);
        let mut said = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        (child, said)
    }

    /// Starts a process that takes so many MiB of memory in the cgroup of another one.
    pub(crate) fn hog(&self, pid: &str, mebibytes: u8) -> std::process::Child {
        self.sandbox.write("/srv/hog.py", HOG).unwrap();
        self.spawn(&["python3", "/srv/hog.py", pid, &mebibytes.to_string()])
    }

    /// `romuoctl status -o json`.
    pub(crate) fn status(&self) -> Value {
        let ran = self.ctl(&["status", "-o", "json"]);
        serde_json::from_str(&ran.output.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"))
    }

    /// The same of an app by its name.
    pub(crate) fn status_of(&self, app: &str) -> Value {
        let ran = self.run(&["romuoctl", "--app", app, "status", "-o", "json"]);
        serde_json::from_str(&ran.output.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"))
    }

    /// A property of a unit.
    pub(crate) fn property(&self, unit: &str, property: &str) -> String {
        self.systemctl(&["show", "--value", "-p", property, unit]).ok().trim().to_owned()
    }

    /// The main process of an instance.
    pub(crate) fn pid(&self, instance: u16) -> String {
        let pid = self.property(&format!("romuo@{instance}.service"), "MainPID");
        assert_ne!(pid, "0", "instance {instance} has no main process");
        pid
    }

    /// Puts a drop-in on a unit and makes systemd read it.
    pub(crate) fn drop_in(&self, unit: &str, text: &str) {
        let path = format!("/etc/systemd/system/{unit}.d/test.conf");
        self.sandbox.write(path, text).unwrap();
        self.systemctl(&["daemon-reload"]).ok();
    }

    /// Takes it away again.
    pub(crate) fn remove_drop_in(&self, unit: &str) {
        self.run(&["rm", &format!("/etc/systemd/system/{unit}.d/test.conf")]).ok();
        self.systemctl(&["daemon-reload"]).ok();
    }

    /// Follows the journal of this boot from its beginning until `wanted` comes.
    pub(crate) fn until_journal(&self, what: &str, wanted: impl Fn(&Entry) -> bool) -> Entry {
        self.until_journal_after(0, what, wanted)
    }

    /// The same, for entries that came after `time`, in microseconds since 1970.
    pub(crate) fn until_journal_after(
        &self,
        time: i64,
        what: &str,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Entry {
        let mut child =
            self.spawn(&["journalctl", "--follow", "--lines=all", "--output=json", "-q"]);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Ends the journal, and with it the wait, when the event does not come.
        let (done, watch) = std::sync::mpsc::channel::<()>();
        let watcher = std::thread::spawn(move || {
            let _ = watch.recv_timeout(DEADLINE);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        let found = lines
            .map_while(Result::ok)
            .filter_map(|line| Entry::parse(&line).ok())
            .find(|entry| entry.time_us > time && wanted(entry));
        drop(done);
        watcher.join().unwrap();
        found.unwrap_or_else(|| panic!("never came: {what}\n{}", self.journal()))
    }

    /// Waits until systemd says that a unit is up again, after `time`.
    pub(crate) fn until_started_after(&self, time: i64, unit: &str) -> Entry {
        let started = |entry: &Entry| {
            entry.unit.as_deref() == Some(unit) && entry.message.starts_with("Started ")
        };
        self.until_journal_after(time, &format!("{unit} starts"), started)
    }

    /// Waits until an instance is errored and something stands in for it.
    pub(crate) fn until_standing_in(&self, unit: &str) {
        self.until_standing_in_after(0, unit);
    }

    /// The same, after `time`, in microseconds since 1970.
    pub(crate) fn until_standing_in_after(&self, time: i64, unit: &str) {
        let errored = self.until_journal_after(time, &format!("{unit} is errored"), |entry| {
            entry.unit.as_deref() == Some(unit)
                && entry.message.contains(" is errored: it crashed ")
        });
        self.until_started_after(errored.time_us, unit);
    }

    /// Waits until an instance is errored and stays down: it is not to be tried again, or a drop-in has replaced its
    /// program, so that nothing can stand in for it. The crash guard says so a moment before systemd, which then
    /// takes the unit down, and `status` tells what systemd says.
    pub(crate) fn until_errored(&self, unit: &str) {
        for said in [" is errored: it crashed ", "Skipped due to 'exec-condition'."] {
            self.until_journal(&format!("{unit} is errored: {said:?}"), |entry| {
                entry.unit.as_deref() == Some(unit) && entry.message.contains(said)
            });
        }
    }

    /// The time of the machine, in microseconds since 1970.
    pub(crate) fn now() -> i64 {
        jiff::Timestamp::now().as_microsecond()
    }

    /// Waits until journald has read what was said so far.
    pub(crate) fn sync_journal(&self) {
        self.run(&["journalctl", "--sync"]).ok();
    }

    /// All of the journal, with what journald had not read yet.
    pub(crate) fn journal(&self) -> String {
        self.sync_journal();
        let ran = self.run(&["journalctl", "--no-pager", "-o", "short-precise"]);
        ran.output.stdout
    }

    /// What the standard clients ask the site for, and the answers that they insist on.
    pub(crate) fn site() -> Site {
        let root = PathAndQuery::from_static("/");
        Site {
            small: Request::get(root.clone()).expecting_body(Body::Exact(PAGE.into())),
            large: Request::get(PathAndQuery::from_static("/large.bin"))
                .expecting_body(Body::Length(LARGE as u64)),
            upload: Request::post(root, vec![b'x'; 10_000])
                .expecting(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// The clients that a server on the net meets, monitors among them.
    pub(crate) fn mixed() -> Mix {
        let health = Request::get(PathAndQuery::from_static("/health"));
        Mix::standard(ADDRESS, &Self::site())
            .clients(Kind::KeepAlive { gap: Duration::from_millis(150) }, 2, &health)
            .clients(Kind::Http2 { streams: 1, gap: Duration::from_millis(300) }, 1, &health)
    }

    /// Starts a load inside.
    pub(crate) fn load(&self, mix: Mix) -> Running {
        load::start_on_thread(mix, self.sandbox.network_entrance().unwrap()).unwrap()
    }

    /// Fails with every lost request and the journal, if one was lost.
    pub(crate) fn expect_no_loss(&self, report: &load::Report) {
        if report.lost() > 0 {
            let mut text = format!("{report}\n");
            for failure in report.failures() {
                let _ = writeln!(text, "{failure:?}");
            }
            panic!(
                "{} of {} requests lost\n{text}{}",
                report.lost(),
                report.sent(),
                self.journal()
            );
        }
    }
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) command: String,
    pub(crate) output: Output,
}

impl Ran {
    /// Its standard output; fails where the exit code is not 0.
    pub(crate) fn ok(self) -> String {
        self.exits(0).stdout
    }

    /// What it said; fails where the exit code is another one.
    pub(crate) fn exits(self, code: i32) -> Output {
        let Self { command, output } = self;
        assert_eq!(output.code, Some(code), "{command}\n{}{}", output.stdout, output.stderr);
        output
    }
}

/// What was said, without the line ends that a terminal's width makes.
pub(crate) fn one_line(said: &str) -> String {
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs async code of a test.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, future).await }).expect("in time")
}

/// Reports how long something took, for those who read the output; nothing is asserted on it.
pub(crate) fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = work();
    println!("{what}: {:.2} s", begun.elapsed().as_secs_f64());
    result
}
