//! The unit of an instance of an app that takes the sockets itself.

use std::net::IpAddr;
use std::path::Path;

use askama::Template;

use super::candidate::Release;
use super::environment;
use super::seen::{Home, Writable, needs};
use super::template::{OPEN_FILES, STOP_MARGIN, checked, own_folder, pause};
use super::text::{BarePath, PathWord, TimeSpan, Word};
use super::{Host, RenderError};
use crate::config::{Listen, Network, Program, Settings};
use crate::program;
use crate::release;
use crate::unit::{AppName, UserName};

/// An instance of an app that takes the sockets itself.
#[derive(Template)]
#[template(path = "inherit@.service")]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of the template")]
pub(super) struct Inherit<'a> {
    app: &'a AppName,
    /// Some: it is a candidate, which runs this.
    release: Option<&'a Release>,
    user: Option<&'a UserName>,
    server: PathWord,
    command: Vec<Word>,
    notifies: bool,
    listen: Vec<Word>,
    health_path: Word,
    health_timeout: TimeSpan,
    gate_timeout: TimeSpan,
    /// None: that of the release that it runs.
    directory: Option<BarePath>,
    node_env: Word,
    env_path: Option<BarePath>,
    /// romuo-server becomes the program: it finds out which release is run, and reads the `env_file` as the
    /// user of the instances; systemd would read that as root.
    exec: bool,
    environment: bool,
    home: Home,
    host_network: bool,
    program: bool,
    writable: Vec<PathWord>,
    writable_homes: Vec<PathWord>,
    /// Addresses beside the loopback's that the gate asks on.
    gate_asks: Vec<IpAddr>,
    max_restarts: u32,
    min_uptime: TimeSpan,
    restart_delay: TimeSpan,
    /// None: an errored instance stays down.
    retry: Option<TimeSpan>,
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
        release: Option<&'a Release>,
    ) -> Result<Self, RenderError> {
        let limits = &settings.limits;
        let server = ("the path of romuo-server", host.server.as_path());
        let directory = ("`directory`", settings.directory.as_path());
        let word = |what, text: &str| {
            let error = |source| RenderError::Text { what, value: text.into(), source };
            Word::new(text).map_err(error)
        };
        let first = program.command.first().ok_or(RenderError::NoCommand)?;
        checked("the program of `command`", Path::new(first), PathWord::new)?;
        refuse_placeholders(program)?;
        let env_file = program.env_file.as_deref();
        let writable = Writable::of(Some(program))?;
        Ok(Self {
            app: &settings.name,
            release,
            user: settings.user.as_ref(),
            server: checked(server.0, server.1, PathWord::new)?,
            command: program
                .command
                .iter()
                .map(|text| word("`command`", text))
                .collect::<Result<_, _>>()?,
            notifies: program::notifies(&program.command),
            listen: settings
                .listen
                .iter()
                .map(|listen| word("a listening address", &listen.to_string()))
                .collect::<Result<_, _>>()?,
            health_path: word("`health.path`", &settings.health.path)?,
            health_timeout: TimeSpan(settings.health.timeout),
            gate_timeout: TimeSpan(limits.start_timeout),
            directory: own_folder(settings)?,
            node_env: word("`env`", &format!("NODE_ENV={}", settings.env))?,
            env_path: env_file
                .map(|path| checked("`env_file`", path, BarePath::new))
                .transpose()?,
            exec: becomes_program(settings, program),
            environment: environment::file(settings)?.is_some(),
            home: Home::with(
                [server, directory].into_iter().chain(needs(Some(program))).collect(),
            )?,
            program: true,
            writable: writable.outside,
            writable_homes: writable.in_homes,
            host_network: settings.network == Network::Host,
            gate_asks: settings.listen.iter().filter_map(own_address).collect(),
            max_restarts: limits.max_restarts,
            min_uptime: TimeSpan(limits.min_uptime),
            restart_delay: TimeSpan(limits.restart_delay),
            retry: pause(limits.retry_errored),
            start_timeout: TimeSpan(limits.start_timeout.saturating_add(STOP_MARGIN)),
            stop_timeout: TimeSpan(limits.stop_timeout),
            margin: TimeSpan(STOP_MARGIN),
            memory: limits.memory.bytes(),
            open_files: OPEN_FILES,
            version: host.systemd,
        })
    }
}

/// Whether romuo-server is started, and becomes the program: systemd does not start the program itself.
pub(super) fn becomes_program(settings: &Settings, program: &Program) -> bool {
    program.env_file.is_some() || release::runs_releases(&settings.name, &settings.directory)
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

/// The IP address of a listener that has one, beside the loopback's.
fn own_address(listen: &Listen) -> Option<IpAddr> {
    match listen {
        Listen::Tcp(address) => {
            Some(address.ip()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback())
        }
        Listen::Unix(_) => None,
    }
}
