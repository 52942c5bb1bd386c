//! A machine with one of the apps of `tests/apps` on it.

use std::fs;
use std::path::{Path, PathBuf};

use http::uri::PathAndQuery;
use romuo::load::{Body, Kind, Mix, Report, Request, Running, Site};
use serde_json::Value;

use crate::machine::{ADDRESS, Machine, Ran, builder, wait};

/// What every app answers to a GET of `/`.
pub(crate) const PAGE: &str = "It serves.\n";

/// Size of what the apps answer to a GET of `/large`, in bytes.
pub(crate) const LARGE: usize = 8 << 20;

/// Bytes of an upload.
const UPLOAD: usize = 10_000;

/// Libraries that `scripts/setup-apps` installs below `target/apps`: the file that names them, and
/// the folder that they lie in.
const LIBRARIES: [(&str, &str); 2] =
    [("package-lock.json", "node_modules"), ("requirements.txt", "venv")];

/// A booted machine on which the app `name` lies in `/srv/apps/NAME`.
pub(crate) struct App {
    pub(crate) machine: Machine,
    name: &'static str,
    /// The file that describes it.
    config: &'static str,
}

impl App {
    /// Boots a machine on which the app is not installed yet.
    pub(crate) fn boot(name: &'static str) -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        let sources = repository.join("tests/apps").join(name);
        let folder = Path::new("/srv/apps").join(name);
        let mut sandbox = builder();
        for (list, libraries) in LIBRARIES {
            if sources.join(list).exists() {
                let installed = repository.join("target/apps").join(name).join(libraries);
                let there = installed.is_dir();
                assert!(there, "no {}: run scripts/setup-apps first", installed.display());
                sandbox = sandbox.bind_read_only(installed, folder.join(libraries));
            }
        }
        let sandbox = sandbox.boot().unwrap_or_else(|error| panic!("{error}"));
        for file in files(&sources) {
            let inside = folder.join(file.strip_prefix(&sources).unwrap());
            sandbox.write(inside, fs::read(&file).unwrap()).unwrap();
        }
        Self { machine: Machine { sandbox }, name, config: "romuo.toml" }
    }

    /// The same, described by another file of its folder.
    pub(crate) fn described_by(self, config: &'static str) -> Self {
        Self { config, ..self }
    }

    /// Boots a machine on which the app runs.
    pub(crate) fn serving(name: &'static str) -> Self {
        Self::boot(name).start()
    }

    /// Installs the app and starts it.
    pub(crate) fn start(self) -> Self {
        self.install().ok();
        self
    }

    /// `romuoctl install-units --now`.
    pub(crate) fn install(&self) -> Ran {
        let needed = fs::read_to_string(self.sources().join(self.config)).unwrap();
        for program in ["node", "npm", "python3", "php", "puma"] {
            if needed.contains(&format!("\"{program}\"")) {
                let found = self.machine.run(&["sh", "-c", &format!("command -v {program}")]);
                let there = found.output.success();
                assert!(there, "no {program} on this machine: run scripts/setup-apps first");
            }
        }
        self.ctl(&["install-units", "--now"])
    }

    /// Adds lines to the file that describes it, at its end.
    pub(crate) fn configure(&self, more: &str) {
        let path = format!("/srv/apps/{}/{}", self.name, self.config);
        let text = String::from_utf8(self.machine.sandbox.read(&path).unwrap()).unwrap();
        self.machine.sandbox.write(&path, format!("{text}{more}")).unwrap();
    }

    /// Runs `romuoctl` in the app's folder.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Ran {
        let folder = format!("--chdir=/srv/apps/{}", self.name);
        let command = ["env", &folder, "romuoctl", "-c", self.config];
        self.machine.run(&[&command, arguments].concat())
    }

    /// `systemctl reload NAME.target`, which rolls, and what the roll says of itself.
    pub(crate) fn reload(&self) -> String {
        let app = self.app();
        self.machine.systemctl(&["reload", &format!("{app}.target")]).ok();
        self.machine.property(&format!("{app}.service"), "StatusText")
    }

    /// The name of the app in systemd's units.
    pub(crate) fn app(&self) -> String {
        let text = fs::read_to_string(self.sources().join(self.config)).unwrap();
        let name = text.lines().find_map(|line| line.strip_prefix("name = "));
        name.unwrap().trim_matches('"').to_owned()
    }

    /// The unit of an instance.
    pub(crate) fn unit(&self, instance: u16) -> String {
        format!("{}@{instance}.service", self.app())
    }

    /// The main processes of both instances, as systemd knows them.
    pub(crate) fn mains(&self) -> [String; 2] {
        [1, 2].map(|instance| self.machine.property(&self.unit(instance), "MainPID"))
    }

    /// The processes of the app behind the fronts of both instances.
    pub(crate) fn children(&self) -> [u64; 2] {
        let health = self.ctl(&["health", "-o", "json"]).ok();
        let health: Value = serde_json::from_str(&health).unwrap();
        [0, 1].map(|at| {
            let pid = health["instances"][at]["app"]["pid"].as_u64();
            pid.unwrap_or_else(|| panic!("no process of an app in {health}"))
        })
    }

    /// Every process in the cgroup of an instance.
    pub(crate) fn processes(&self, instance: u16) -> Vec<String> {
        // Whatever hierarchies there are, systemd knows its own.
        let group = self.machine.property(&self.unit(instance), "ControlGroup");
        let find = format!("cat /sys/fs/cgroup{{,/unified,/systemd}}{group}/cgroup.procs 2>&-");
        let found = self.machine.run(&["bash", "-c", &find]).output.stdout;
        let mut pids: Vec<_> = found.lines().map(str::to_owned).collect();
        pids.sort();
        pids.dedup();
        pids
    }

    /// Starts a load, and waits until each of its clients has been answered.
    pub(crate) fn load(&self, mix: Mix) -> Running {
        let load = self.machine.load(mix);
        wait(load.until_each_answered(1)).unwrap_or_else(|over| {
            panic!("{over}\n{}", self.machine.journal());
        });
        load
    }

    /// Waits until each client was answered again, ends the load, and insists on 0 lost.
    pub(crate) fn finish(&self, load: Running) -> Report {
        let answered = wait(load.until_each_answered(1));
        let report = wait(load.stop());
        println!("{report}");
        self.machine.expect_no_loss(&report);
        answered.unwrap();
        report
    }

    fn sources(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps").join(self.name)
    }
}

/// What the standard clients ask the apps for, and the answers that they insist on.
pub(crate) fn site() -> Site {
    Site {
        small: page(),
        large: get("/large").expecting_body(Body::Length(LARGE as u64)),
        upload: Request::post(PathAndQuery::from_static("/upload"), vec![b'x'; UPLOAD]),
    }
}

/// A GET of the page.
pub(crate) fn page() -> Request {
    get("/").expecting_body(Body::Exact(PAGE.into()))
}

pub(crate) fn get(path: &'static str) -> Request {
    Request::get(PathAndQuery::from_static(path))
}

/// The clients that a server on the net meets.
pub(crate) fn mixed() -> Mix {
    Mix::standard(ADDRESS, &site())
}

/// Some clients of one kind that ask for the page.
pub(crate) fn clients(kind: Kind, count: usize) -> Mix {
    Mix::new(ADDRESS).clients(kind, count, &page())
}

/// By a swap no HTTP client that keeps its connection had to open another one.
pub(crate) fn expect_no_reconnect(report: &Report) {
    for kind in report.by_kind().iter().filter(|kind| kind.keep_alive) {
        let opened = kind.figures.connections;
        assert_eq!(opened, kind.clients as u64, "connections of: {}\n{report}", kind.kind);
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
