//! The templates below `templates/` and what they are filled with. No field is free text: each is a
//! checked name, a number or a type of [`super::text`].

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use askama::Template;

use super::candidate::Release;
use super::seen::{Home, Writable, needs};
use super::text::{BarePath, PathWord, TextError, TimeSpan};
use super::{Host, RenderError};
use crate::config::{Listen, Mode, Network, Retry, Settings};
use crate::release;
use crate::unit::{AppName, UnitName, UserName};

/// Where systemd has units that are gone after a boot (systemd.unit(5)).
pub(crate) const RUNTIME_UNITS: &str = "/run/systemd/system";

/// How much longer systemd waits for the end of an instance than the instance itself does. The
/// server ends the drain at `stop_timeout`; this is for the exit after it.
pub(super) const STOP_MARGIN: Duration = Duration::from_secs(5);

/// How much longer a reload may take than its parts: the way back from a new app that does not come up.
const RELOAD_MARGIN: Duration = Duration::from_secs(10);

/// How many files an instance may have open. Every connection is one; more of them than this do not
/// fit into the usual memory limit.
pub(super) const OPEN_FILES: u32 = 65_536;

/// Bytes of the limit of memory up to which the allocator gives freed memory back at once. It keeps it at hand for
/// a second otherwise, which is quicker: of small answers a fifth.
const LITTLE_MEMORY: u64 = 32 << 20;

#[derive(Template)]
#[template(path = "romuo.target")]
pub(super) struct Target<'a> {
    pub(super) app: &'a AppName,
}

#[derive(Template)]
#[template(path = "romuo.hold.service")]
pub(super) struct Hold<'a> {
    pub(super) app: &'a AppName,
    /// Whose traffic is held.
    pub(super) socket: UnitName,
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
        // It looks whether that is newer than the instances.
        let server = ("the path of romuo-server", host.server.as_path());
        Ok(Self {
            app: &settings.name,
            ctl: checked(ctl.0, ctl.1, PathWord::new)?,
            home: Home::with(vec![ctl, server])?,
        })
    }
}

#[derive(Template)]
#[template(path = "romuo.socket")]
pub(super) struct Socket<'a> {
    app: &'a AppName,
    candidate: bool,
    more: Option<More>,
    listen: Vec<Address>,
    tcp: bool,
    unix: bool,
    ipv6_only: Option<&'static str>,
}

/// The names of units that are gone after a boot.
struct More {
    folder: &'static str,
    socket: UnitName,
    hold: UnitName,
}

impl<'a> Socket<'a> {
    pub(super) fn new(settings: &'a Settings) -> Result<Self, RenderError> {
        let listen =
            settings.listen.iter().map(Address::new).collect::<Result<Vec<_>, RenderError>>()?;
        Ok(Self {
            app: &settings.name,
            candidate: false,
            more: None,
            tcp: listen.iter().any(|address| matches!(address, Address::Tcp(_))),
            unix: listen.iter().any(|address| matches!(address, Address::Unix(_))),
            ipv6_only: ipv6_only(&settings.listen),
            listen,
        })
    }

    /// Those of a candidate.
    pub(super) fn of_candidate(settings: &'a Settings) -> Result<Self, RenderError> {
        Ok(Self { candidate: true, ..Self::new(settings)? })
    }

    /// Only these of the app's addresses, in units of their own.
    pub(super) fn of_more(
        settings: &'a Settings,
        number: u16,
        listen: &[Listen],
    ) -> Result<Self, RenderError> {
        let whole = Self::new(settings)?;
        let (socket, hold) = (whole.app.more_socket(number), whole.app.more_hold(number));
        let listen = listen.iter().map(Address::new).collect::<Result<Vec<_>, RenderError>>()?;
        Ok(Self {
            more: Some(More { folder: RUNTIME_UNITS, socket, hold }),
            tcp: listen.iter().any(|address| matches!(address, Address::Tcp(_))),
            unix: listen.iter().any(|address| matches!(address, Address::Unix(_))),
            listen,
            // What a wildcard takes depends on all of them.
            ..whole
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
pub(crate) fn ipv6_only(listen: &[Listen]) -> Option<&'static str> {
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
    /// Some: it is a candidate, which runs this.
    release: Option<&'a Release>,
    user: Option<&'a UserName>,
    server: PathWord,
    /// None: that of the release that it runs.
    directory: Option<BarePath>,
    home: Home,
    host_network: bool,
    /// It runs the app's own program.
    program: bool,
    /// It does so as its child.
    front: bool,
    /// What the program may write to, outside of homes.
    writable: Vec<PathWord>,
    /// And in them.
    writable_homes: Vec<PathWord>,
    max_restarts: u32,
    min_uptime: TimeSpan,
    restart_delay: TimeSpan,
    /// None: an errored instance stays down.
    retry: Option<TimeSpan>,
    start_timeout: TimeSpan,
    stop_timeout: TimeSpan,
    stop_margin: TimeSpan,
    watchdog: TimeSpan,
    memory: u64,
    open_files: u32,
    version: u32,
}

impl<'a> Instance<'a> {
    fn has_little_memory(&self) -> bool {
        self.memory <= LITTLE_MEMORY
    }

    pub(super) fn new(
        settings: &'a Settings,
        host: &Host,
        release: Option<&'a Release>,
    ) -> Result<Self, RenderError> {
        let limits = &settings.limits;
        let server = ("the path of romuo-server", host.server.as_path());
        let directory = ("`directory`", settings.directory.as_path());
        let site = settings.site.as_ref().map(|site| ("`root` of [static]", site.root.as_path()));
        let program = settings.program.as_ref();
        let needed = [server, directory].into_iter().chain(site).chain(needs(program)).collect();
        let writable = Writable::of(program)?;
        let front = program.is_some_and(|program| program.mode == Mode::Front);
        // In a reload the new app starts and the old one ends.
        let reload = if front { limits.stop_timeout + RELOAD_MARGIN } else { Duration::ZERO };
        // A front finds out by itself; its own watchdog is for a front that does not.
        let patience = settings.health.patience() * if front { 2 } else { 1 };
        Ok(Self {
            app: &settings.name,
            release,
            user: settings.user.as_ref(),
            server: checked(server.0, server.1, PathWord::new)?,
            directory: own_folder(settings)?,
            home: Home::with(needed)?,
            host_network: settings.network == Network::Host,
            program: program.is_some(),
            front,
            writable: writable.outside,
            writable_homes: writable.in_homes,
            max_restarts: limits.max_restarts,
            min_uptime: TimeSpan(limits.min_uptime),
            restart_delay: TimeSpan(limits.restart_delay),
            retry: pause(limits.retry_errored),
            start_timeout: TimeSpan(limits.start_timeout + reload),
            stop_timeout: TimeSpan(limits.stop_timeout.saturating_add(STOP_MARGIN)),
            stop_margin: TimeSpan(STOP_MARGIN),
            watchdog: TimeSpan(patience),
            memory: limits.memory.bytes(),
            open_files: OPEN_FILES,
            version: host.systemd,
        })
    }
}

/// The pause after which an errored instance is tried again; none: never.
pub(super) fn pause(retry: Retry) -> Option<TimeSpan> {
    match retry {
        Retry::After(pause) => Some(TimeSpan(pause)),
        Retry::Off => None,
    }
}

/// `WorkingDirectory=`; none: the app is run from the folders of its releases, and each start finds its own.
/// The link to the current one would be missing before there is one.
pub(super) fn own_folder(settings: &Settings) -> Result<Option<BarePath>, RenderError> {
    let directory = &settings.directory;
    if release::runs_releases(&settings.name, directory) {
        // It stands in no unit.
        return Ok(None);
    }
    checked("`directory`", directory, BarePath::new).map(Some)
}

/// Makes a checked text of `path`, or says which value cannot be one.
pub(super) fn checked<T>(
    what: &'static str,
    path: &Path,
    make: impl Fn(&Path) -> Result<T, TextError>,
) -> Result<T, RenderError> {
    make(path).map_err(|source| RenderError::Text { what, value: path.into(), source })
}
