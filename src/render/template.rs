//! The templates below `templates/` and what they are filled with. No field is free text: each is a
//! checked name, a number or a type of [`super::text`].

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use askama::Template;

use super::text::{BarePath, PathWord, PlainPattern, TextError, TimeSpan, Word};
use super::{Host, RenderError};
use crate::config::{Listen, Network, Program, Settings};
use crate::unit::{AppName, UserName};

/// How much longer systemd waits for the end of an instance than the instance itself does. The
/// server ends the drain at `stop_timeout`; this is for the exit after it.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// How many files an instance may have open. Every connection is one; more of them than this do not
/// fit into the usual memory limit.
const OPEN_FILES: u32 = 65_536;

/// Folders that `ProtectHome=` hides (systemd.exec(5)).
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

#[derive(Template)]
#[template(path = "romuo.target")]
pub(super) struct Target<'a> {
    pub(super) app: &'a AppName,
}

#[derive(Template)]
#[template(path = "romuo.hold.service")]
pub(super) struct Hold<'a> {
    pub(super) app: &'a AppName,
}

#[derive(Template)]
#[template(path = "romuo.service")]
pub(super) struct Roll<'a> {
    app: &'a AppName,
    ctl: PathWord,
    home: Home,
}

impl<'a> Roll<'a> {
    pub(super) fn new(settings: &'a Settings, host: &Host) -> Result<Self, RenderError> {
        let ctl = ("the path of romuoctl", host.ctl.as_path());
        Ok(Self {
            app: &settings.name,
            ctl: checked(ctl.0, ctl.1, PathWord::new)?,
            home: Home::with(vec![ctl])?,
        })
    }
}

#[derive(Template)]
#[template(path = "romuo.socket")]
pub(super) struct Socket<'a> {
    app: &'a AppName,
    listen: Vec<Address>,
    tcp: bool,
    unix: bool,
    ipv6_only: Option<&'static str>,
}

impl<'a> Socket<'a> {
    pub(super) fn new(settings: &'a Settings) -> Result<Self, RenderError> {
        let listen =
            settings.listen.iter().map(Address::new).collect::<Result<Vec<_>, RenderError>>()?;
        Ok(Self {
            app: &settings.name,
            tcp: listen.iter().any(|address| matches!(address, Address::Tcp(_))),
            unix: listen.iter().any(|address| matches!(address, Address::Unix(_))),
            ipv6_only: ipv6_only(&settings.listen),
            listen,
        })
    }
}

/// What `ListenStream=` takes.
enum Address {
    Tcp(std::net::SocketAddr),
    Unix(BarePath),
}

impl Address {
    fn new(listen: &Listen) -> Result<Self, RenderError> {
        Ok(match listen {
            Listen::Tcp(address) => Self::Tcp(*address),
            Listen::Unix(path) => Self::Unix(checked("a listening address", path, BarePath::new)?),
        })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.fmt(f),
        }
    }
}

/// `BindIPv6Only=`: where `[::]` is listened on it takes IPv4 too, unless IPv4 has a listener of
/// its own.
fn ipv6_only(listen: &[Listen]) -> Option<&'static str> {
    let any = |v6: bool| {
        listen.iter().any(|listen| match listen {
            Listen::Tcp(address) => match address.ip() {
                IpAddr::V4(_) => !v6,
                IpAddr::V6(ip) => v6 && ip.is_unspecified(),
            },
            Listen::Unix(_) => false,
        })
    };
    any(true).then(|| if any(false) { "ipv6-only" } else { "both" })
}

#[derive(Template)]
#[template(path = "romuo@.service")]
pub(super) struct Instance<'a> {
    app: &'a AppName,
    user: Option<&'a UserName>,
    server: PathWord,
    directory: BarePath,
    home: Home,
    host_network: bool,
    max_restarts: u32,
    min_uptime: TimeSpan,
    restart_delay: TimeSpan,
    start_timeout: TimeSpan,
    stop_timeout: TimeSpan,
    stop_margin: TimeSpan,
    watchdog: TimeSpan,
    memory: u64,
    open_files: u32,
    version: u32,
}

impl<'a> Instance<'a> {
    pub(super) fn new(settings: &'a Settings, host: &Host) -> Result<Self, RenderError> {
        let limits = &settings.limits;
        let server = ("the path of romuo-server", host.server.as_path());
        let directory = ("`directory`", settings.directory.as_path());
        let site = settings.site.as_ref().map(|site| ("`root` of [static]", site.root.as_path()));
        Ok(Self {
            app: &settings.name,
            user: settings.user.as_ref(),
            server: checked(server.0, server.1, PathWord::new)?,
            directory: checked(directory.0, directory.1, BarePath::new)?,
            home: Home::with([server, directory].into_iter().chain(site).collect())?,
            host_network: settings.network == Network::Host,
            max_restarts: limits.max_restarts,
            min_uptime: TimeSpan(limits.min_uptime),
            restart_delay: TimeSpan(limits.restart_delay),
            start_timeout: TimeSpan(limits.start_timeout),
            stop_timeout: TimeSpan(limits.stop_timeout.saturating_add(STOP_MARGIN)),
            stop_margin: TimeSpan(STOP_MARGIN),
            watchdog: TimeSpan(settings.health.patience()),
            memory: limits.memory.bytes(),
            open_files: OPEN_FILES,
            version: host.systemd,
        })
    }
}

/// An instance of an app that takes the sockets itself.
#[derive(Template)]
#[template(path = "inherit@.service")]
pub(super) struct Inherit<'a> {
    app: &'a AppName,
    user: Option<&'a UserName>,
    server: PathWord,
    command: Vec<Word>,
    notifies: bool,
    listen: Vec<Word>,
    health_path: Word,
    health_timeout: TimeSpan,
    gate_timeout: TimeSpan,
    directory: BarePath,
    node_env: Word,
    env_path: Option<BarePath>,
    env_file: Option<PlainPattern>,
    environment: bool,
    home: Home,
    host_network: bool,
    /// Addresses beside the loopback's that the gate asks on.
    gate_asks: Vec<IpAddr>,
    max_restarts: u32,
    min_uptime: TimeSpan,
    restart_delay: TimeSpan,
    start_timeout: TimeSpan,
    stop_timeout: TimeSpan,
    margin: TimeSpan,
    memory: u64,
    open_files: u32,
    version: u32,
}

impl<'a> Inherit<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        program: &Program,
        host: &Host,
    ) -> Result<Self, RenderError> {
        let limits = &settings.limits;
        let server = ("the path of romuo-server", host.server.as_path());
        let directory = ("`directory`", settings.directory.as_path());
        let run = program.command.first().map(|word| ("the program of `command`", Path::new(word)));
        let word = |what, text: &str| {
            let error = |source| RenderError::Text { what, value: text.into(), source };
            Word::new(text).map_err(error)
        };
        let first = program.command.first().ok_or(RenderError::NoCommand)?;
        checked("the program of `command`", Path::new(first), PathWord::new)?;
        refuse_placeholders(program)?;
        let env_file = program.env_file.as_deref();
        Ok(Self {
            app: &settings.name,
            user: settings.user.as_ref(),
            server: checked(server.0, server.1, PathWord::new)?,
            command: program
                .command
                .iter()
                .map(|text| word("`command`", text))
                .collect::<Result<_, _>>()?,
            notifies: notifies(&program.command),
            listen: settings
                .listen
                .iter()
                .map(|listen| word("a listening address", &listen.to_string()))
                .collect::<Result<_, _>>()?,
            health_path: word("`health.path`", &settings.health.path)?,
            health_timeout: TimeSpan(settings.health.timeout),
            gate_timeout: TimeSpan(limits.start_timeout),
            directory: checked(directory.0, directory.1, BarePath::new)?,
            node_env: word("`env`", &format!("NODE_ENV={}", settings.env))?,
            env_path: env_file
                .map(|path| checked("`env_file`", path, BarePath::new))
                .transpose()?,
            env_file: env_file
                .map(|path| checked("`env_file`", path, PlainPattern::new))
                .transpose()?,
            environment: !program.environment.is_empty(),
            home: Home::with([server, directory].into_iter().chain(run).collect())?,
            host_network: settings.network == Network::Host,
            gate_asks: settings.listen.iter().filter_map(own_address).collect(),
            max_restarts: limits.max_restarts,
            min_uptime: TimeSpan(limits.min_uptime),
            restart_delay: TimeSpan(limits.restart_delay),
            start_timeout: TimeSpan(limits.start_timeout.saturating_add(STOP_MARGIN)),
            stop_timeout: TimeSpan(limits.stop_timeout),
            margin: TimeSpan(STOP_MARGIN),
            memory: limits.memory.bytes(),
            open_files: OPEN_FILES,
            version: host.systemd,
        })
    }
}

/// Refuses what only a front fills in: the program would get it as it stands.
fn refuse_placeholders(program: &Program) -> Result<(), RenderError> {
    for placeholder in ["{port}", "{host}", "{socket}"] {
        let texts = program.command.iter().chain(program.environment.values());
        if texts.into_iter().any(|text| text.contains(placeholder)) {
            return Err(RenderError::Placeholder { placeholder });
        }
    }
    Ok(())
}

/// Whether a program says READY=1 by itself whenever it is told where: gunicorn does, in every
/// version of today (sd_notify(3)).
fn notifies(command: &[String]) -> bool {
    let is_named = |word: &String| Path::new(word).file_name().is_some_and(|n| n == "gunicorn");
    match command {
        [program, ..] if is_named(program) => true,
        [_, script, ..] if is_named(script) => true,
        [_, option, module, ..] => option == "-m" && module == "gunicorn",
        _ => false,
    }
}

/// The IP address of a listener that has one, beside the loopback's.
fn own_address(listen: &Listen) -> Option<IpAddr> {
    match listen {
        Listen::Tcp(address) => {
            Some(address.ip()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback())
        }
        Listen::Unix(_) => None,
    }
}

/// What a unit sees of the homes.
enum Home {
    /// Nothing.
    Hidden,
    /// These files and folders, read-only.
    Only(Vec<PathWord>),
    /// All of it, read-only: what it needs is a home itself.
    ReadOnly,
}

impl Home {
    /// Of the homes, what is needed of these named paths.
    fn with(mut needed: Vec<(&'static str, &Path)>) -> Result<Self, RenderError> {
        needed.retain(|(_, path)| HOMES.iter().any(|home| path.starts_with(home)));
        if needed.iter().any(|(_, path)| HOMES.iter().any(|home| *path == Path::new(home))) {
            return Ok(Self::ReadOnly);
        }
        // What lies below another one comes with it.
        needed.sort_by_key(|(_, path)| *path);
        needed.dedup_by(|later, earlier| later.1.starts_with(earlier.1));
        if needed.is_empty() {
            return Ok(Self::Hidden);
        }
        let words = needed.into_iter().map(|(what, path)| checked(what, path, PathWord::new));
        Ok(Self::Only(words.collect::<Result<_, _>>()?))
    }
}

/// Makes a checked text of `path`, or says which value cannot be one.
fn checked<T>(
    what: &'static str,
    path: &Path,
    make: impl Fn(&Path) -> Result<T, TextError>,
) -> Result<T, RenderError> {
    make(path).map_err(|source| RenderError::Text { what, value: path.into(), source })
}
