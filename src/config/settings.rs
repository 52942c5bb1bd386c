//! The validated configuration. Every value in it is possible; every default is here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::deploy::Deploy;
use super::listen::Listen;
use super::retry::Retry;
use super::share::Share;
use super::subnet::Subnet;
use super::threshold::Threshold;
use super::value::{Instances, Size};
use crate::unit::{AppName, UserName};

/// One app, as validated. `Settings::new` holds every default.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The app's name.
    pub name: AppName,
    /// Working directory, absolute; relative paths of the file start here.
    pub directory: PathBuf,
    /// Who the instances run as; none: a dynamic user with the app's name.
    pub user: Option<UserName>,
    /// Where the app listens; at least one, no two alike.
    pub listen: Vec<Listen>,
    /// How many instances a fresh install enables.
    pub instances: Instances,
    /// Name of the environment, reported by `/health`.
    pub env: String,
    /// What network the instances see.
    pub network: Network,
    /// Version of the app, reported by `/health`; none: the file does not say, and what a folder has is
    /// [detected](super::detect_version) when the app starts there. It is no setting then: two releases
    /// with the same settings have two versions.
    pub version: Option<String>,
    /// Limits of each instance.
    pub limits: Limits,
    /// How liveness is judged.
    pub health: Health,
    /// How a roll and a drain go.
    pub reload: Reload,
    /// How a deploy goes; of no matter to the units.
    pub deploy: Deploy,
    /// How clients' connections are treated in front of the app.
    pub front: Front,
    /// A static site to serve.
    pub site: Option<StaticSite>,
    /// The app's own program; none: `romuo-server` serves the site and `/health` itself.
    pub program: Option<Program>,
}

/// The app's own program.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments; at least one word. In front mode `{port}`, `{host}` and
    /// `{socket}` stand for where it is to listen.
    pub command: Vec<String>,
    /// Who holds the listening sockets.
    pub mode: Mode,
    /// Variables of its environment, over those of `env_file`.
    pub environment: BTreeMap<String, String>,
    /// A file of `KEY=value` lines, absolute, read at each start; none: no such file.
    pub env_file: Option<PathBuf>,
    /// Paths that it may write to, absolute, besides its state folder.
    pub writable: Vec<PathBuf>,
    /// Paths below a home that it has to see, absolute, besides its folder and its runtime.
    pub readable: Vec<PathBuf>,
}

impl fmt::Debug for Program {
    /// Without the values of the environment: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("command", &self.command)
            .field("mode", &self.mode)
            .field("environment", &self.environment.keys())
            .field("env_file", &self.env_file)
            .field("writable", &self.writable)
            .field("readable", &self.readable)
            .finish()
    }
}

/// Who holds the listening sockets of an app with a program of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `romuo-server`: it runs the program as its child and forwards HTTP to it.
    Front,
    /// The program itself, which systemd hands the sockets to.
    Inherit,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Front => "front",
            Self::Inherit => "inherit",
        })
    }
}

/// How clients' connections are treated in front of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Front {
    /// Peers whose `X-Forwarded-*` headers are believed and extended; those of all others are
    /// replaced. Peers on a unix socket are believed: file rights say who gets there.
    pub trusted_proxies: Vec<Subnet>,
    /// How long nothing may be said, in either direction, on a connection that speaks another protocol.
    pub tunnel_idle: Duration,
}

/// What network an instance sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Only a loopback of its own; the inherited sockets still serve.
    None,
    /// The host's.
    Host,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Host => "host",
        })
    }
}

/// Limits of each instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Hard limit of memory, by cgroup.
    pub memory: Size,
    /// At this share of it the instance is recycled.
    pub recycle: Threshold,
    /// So is one that has been up for this long; none: it may get as old as it likes.
    pub max_age: Option<Duration>,
    /// This many restarts in a row, each before `min_uptime`: the instance is errored.
    pub max_restarts: u32,
    /// An instance that was up for this long had a good start.
    pub min_uptime: Duration,
    /// Pause before systemd restarts a crashed instance.
    pub restart_delay: Duration,
    /// After which pause an errored instance is tried again.
    pub retry_errored: Retry,
    /// From start to readiness; past it the start has failed.
    pub start_timeout: Duration,
    /// From SIGTERM to the end of the last request.
    pub stop_timeout: Duration,
    /// How long a request waits for an app that is down and comes back, before it gets 503 (502 if the app
    /// ended with it in hand).
    pub hold: Duration,
    /// Most that the body of a request may have; beyond it: 413.
    pub body: Size,
}

/// How liveness is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Path of the health answer on the public port.
    pub path: String,
    /// Time between two self-probes.
    pub interval: Duration,
    /// How long one answer may take.
    pub timeout: Duration,
    /// This many failures in a row: the instance is restarted.
    pub failures: u32,
}

impl Health {
    /// How long an instance may go without a sign of life: `interval` x `failures` + `timeout`.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.interval.saturating_mul(self.failures).saturating_add(self.timeout)
    }
}

/// How a roll and a drain go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// How an instance gets to run what is new.
    pub method: Method,
    /// How many instances may be under way at the same time, where no extra ones serve for them.
    pub max_unavailable: Share,
    /// How many extra instances are started first and stopped last. As many may be under way then.
    pub surge: u16,
    /// What becomes of the rest after an instance that failed.
    pub on_failure: OnFailure,
    /// How many good answers in a row an instance has to give.
    pub probes: u32,
    /// How long the first good instance is compared with its siblings before the rest is rolled; zero:
    /// it is not.
    pub watch: Duration,
    /// How long an idle connection is kept during a drain that nobody takes over.
    pub linger: Duration,
}

/// What becomes of the rest of a roll after an instance that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It is left as it is.
    Halt,
    /// It is rolled, as far as no more instances are down than may be.
    Continue,
}

impl fmt::Display for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Halt => "halt",
            Self::Continue => "continue",
        })
    }
}

/// How an instance gets to run what is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The front starts the new child beside the old one and moves the requests over.
    Swap,
    /// systemd restarts the instance.
    Restart,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Swap => "swap",
            Self::Restart => "restart",
        })
    }
}

/// A static site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticSite {
    /// Its folder, absolute.
    pub root: PathBuf,
    /// The file below `root` that answers a path which is no file (`index.html` of a single-page
    /// app); none: 404.
    pub fallback: Option<String>,
}

impl Settings {
    /// The same settings as seen from the machine whose files lie below `root`: folders below it
    /// lose that prefix.
    #[must_use]
    pub fn below(mut self, root: &Path) -> Self {
        self.move_paths(root, Path::new("/"));
        self
    }

    /// The same settings for an app that lies in `to` and not in `from`: whatever lies below `from`
    /// lies in the same place below `to`, words of the command too.
    #[must_use]
    pub fn moved(mut self, from: &Path, to: &Path) -> Self {
        self.move_paths(from, to);
        let words = self.program.iter_mut().flat_map(|program| &mut program.command);
        for word in words {
            let moved = Path::new(word.as_str()).strip_prefix(from).map(|inside| to.join(inside));
            if let Some(moved) = moved.ok().as_deref().and_then(Path::to_str) {
                moved.clone_into(word);
            }
        }
        self
    }

    fn move_paths(&mut self, from: &Path, to: &Path) {
        let site = self.site.as_mut().map(|site| &mut site.root);
        let program = self.program.iter_mut().flat_map(|program| {
            let lists = program.writable.iter_mut().chain(&mut program.readable);
            lists.chain(&mut program.env_file)
        });
        for folder in std::iter::once(&mut self.directory).chain(site).chain(program) {
            if let Ok(inside) = folder.strip_prefix(from) {
                // `join` with nothing would end in a slash.
                let is_same = inside.as_os_str().is_empty();
                *folder = if is_same { to.to_owned() } else { to.join(inside) };
            }
        }
    }

    /// The app's own program, where it runs in this mode.
    #[must_use]
    pub fn program_in(&self, mode: Mode) -> Option<&Program> {
        self.program.as_ref().filter(|program| program.mode == mode)
    }

    /// An app with every default.
    #[must_use]
    pub fn new(name: AppName, directory: PathBuf) -> Self {
        Self {
            name,
            directory,
            user: None,
            listen: vec![Listen::default()],
            instances: Instances::default(),
            env: "production".into(),
            network: Network::None,
            version: None,
            limits: Limits {
                memory: Size::mib(300),
                recycle: Threshold::default(),
                max_age: None,
                max_restarts: 10,
                min_uptime: Duration::from_secs(10),
                restart_delay: Duration::from_millis(100),
                retry_errored: Retry::default(),
                start_timeout: Duration::from_secs(30),
                stop_timeout: Duration::from_secs(10),
                hold: Duration::from_secs(5),
                body: Size::mib(1024),
            },
            health: Health {
                path: "/health".into(),
                interval: Duration::from_secs(5),
                timeout: Duration::from_secs(2),
                failures: 3,
            },
            reload: Reload {
                method: Method::Restart,
                max_unavailable: Share::Count(1),
                surge: 0,
                on_failure: OnFailure::Halt,
                probes: 2,
                watch: Duration::ZERO,
                linger: Duration::from_secs(2),
            },
            deploy: Deploy::default(),
            front: Front {
                trusted_proxies: Subnet::loopback().to_vec(),
                // What HAProxy's manual has for `timeout tunnel`; clients that mind say something each
                // half a minute.
                tunnel_idle: Duration::from_secs(60 * 60),
            },
            site: None,
            program: None,
        }
    }
}
