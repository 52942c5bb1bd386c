//! Where an attack happens: two instances of an app, of which memory and lives can be told.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use clap::ValueEnum;
use romuo::health::{Report, probe};
use romuo::sandbox::Sandbox;
use serde::{Deserialize, Serialize};

use crate::hostile::good::SMALL;
use crate::hostile::loopback::Loopback;
use crate::hostile::machine::{self, Machine};
use crate::hostile::{LARGE, Result, broken};

/// How many instances the app has.
pub(crate) const INSTANCES: u16 = 2;

/// How long an instance may take to answer on its control socket once the attack is over.
const PROBE: Duration = Duration::from_secs(10);

/// What takes a thread into the network of the app.
pub(crate) type Entrance = Box<dyn FnOnce() -> std::io::Result<()> + Send>;

/// Whom the clients meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Against {
    /// The static site of `romuo-server` itself.
    Site,
    /// The front before an app.
    Front,
    /// An app that takes the sockets itself, of which romuo only sees to the lives.
    Inherit,
}

/// How much memory an instance may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Memory {
    /// The default.
    #[value(name = "300M")]
    Usual,
    /// As little as makes sense.
    #[value(name = "8M")]
    Small,
}

impl Memory {
    /// As in `romuo.toml`.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Usual => "300M",
            // A build for debugging holds twice as much for the same.
            Self::Small if cfg!(debug_assertions) => "16M",
            Self::Small => "8M",
        }
    }

    /// In bytes.
    pub(crate) fn bytes(self) -> u64 {
        match self {
            Self::Usual => 300 << 20,
            Self::Small if cfg!(debug_assertions) => 16 << 20,
            Self::Small => 8 << 20,
        }
    }

    /// Connections that all instances together hold: one for each 64 KiB.
    pub(crate) fn connections(self) -> usize {
        usize::try_from(self.bytes() >> 16).unwrap_or(usize::MAX) * usize::from(INSTANCES)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Site => "site",
            Self::Front => "front",
            Self::Inherit => "inherit",
        })
    }
}

/// An app with its instances.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) against: Against,
    pub(crate) memory: Memory,
    /// The program that is the hostile app.
    pub(crate) program: PathBuf,
    /// Where its files lie.
    pub(crate) folder: PathBuf,
}

impl App {
    /// Its `romuo.toml`.
    pub(crate) fn config(&self, name: &str, listen: Option<SocketAddr>) -> String {
        let listen = listen.map(|address| format!("listen = [\"{address}\"]\n"));
        let (program, log) = (self.program.display(), self.log());
        let command = format!(
            "command = [\"{program}\", \"app\", \"{}\"]\nwritable = [\"{}\"]\n",
            log.display(),
            log.parent().unwrap_or(Path::new("/")).display()
        );
        // Most attacks come from the address of a proxy, whose connections are not counted.
        let health = "[health]\npath = \"/health\"\n[front]\ntrusted_proxies = [\"127.0.0.1\"]\n";
        let (keys, tables) = match self.against {
            Against::Site => (String::new(), "[static]\nroot = \"public\"\n"),
            Against::Front => (command, health),
            Against::Inherit => (format!("{command}mode = \"inherit\"\n"), health),
        };
        format!(
            "name = \"{name}\"\ninstances = {INSTANCES}\n{}{keys}{tables}[limits]\nmemory = \"{}\"\n",
            listen.unwrap_or_default(),
            self.memory
        )
    }

    /// What the hostile app writes down.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log/hits")
    }

    /// The files of the site.
    pub(crate) fn files(&self) -> [(PathBuf, Vec<u8>); 3] {
        let public = self.folder.join("public");
        [
            (public.join("index.html"), SMALL.into()),
            (public.join("small"), SMALL.into()),
            (public.join("large"), vec![b'.'; LARGE]),
        ]
    }
}

/// What tells one life of an instance from the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    /// What systemd, or the kernel, calls it.
    pub(crate) is: String,
    /// How often its front has started the app again.
    pub(crate) app_restarts: u32,
}

/// Two instances of an app.
pub(crate) trait Ground {
    /// Where it listens.
    fn address(&self) -> SocketAddr;

    /// What takes a thread to where that is.
    fn entrance(&self) -> Result<Entrance>;

    /// Bytes that each instance holds now, less what the kernel takes back before it kills.
    fn memory(&self) -> Vec<u64>;

    /// Has the kernel take back what it would take back before it kills.
    fn relieve(&self) {}

    /// What reads the same from another thread.
    fn gauge(&self) -> Box<dyn Fn() -> Vec<u64> + Send>;

    /// The life of each instance.
    fn lives(&self) -> Result<Vec<Life>>;

    /// What the hostile app has written down.
    fn log(&self) -> Result<String>;

    /// Reloads the app; how long that took.
    fn reload(&self) -> Result<Duration>;

    /// Starts it anew after a row that broke it.
    fn recover(&mut self) -> Result<()>;
}

/// What an instance says of itself on its control socket.
pub(crate) fn report(control: &Path) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(probe(control, PROBE));
    report.map_err(|error| broken(format!("{}: {error}", control.display())))
}

/// The folder of romuo's programs, which is the one above that of the examples.
pub(crate) fn programs() -> Result<PathBuf> {
    let example = std::env::current_exe()?;
    let folder = example.parent().and_then(Path::parent);
    Ok(folder.ok_or("this example lies in no target folder")?.to_owned())
}

/// Boots a throwaway machine.
pub(crate) fn boot(programs: &Path) -> Result<Sandbox> {
    machine::boot(programs)
}

/// Starts the app, on that machine or here.
pub(crate) fn start(
    programs: &Path,
    sandbox: Option<&Rc<Sandbox>>,
    what: (Against, Memory),
) -> Result<Box<dyn Ground>> {
    Ok(match sandbox {
        Some(sandbox) => Box::new(Machine::start(sandbox, what)?),
        None => Box::new(Loopback::start(programs, what)?),
    })
}
