//! Settings -> text of the units. Pure: the same settings and host give the same text.

mod candidate;
mod environment;
pub(crate) mod escape;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod inherit;
mod more;
mod seen;
mod template;
mod text;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use askama::Template;

use self::candidate::Release;
pub use self::candidate::{Candidate, candidate};
pub use self::more::{More, more};
pub(crate) use self::template::{RUNTIME_UNITS, ipv6_only};
pub use self::text::TextError;
use crate::config::{Mode, Settings};
use crate::unit::{AppName, UnitName};

/// The oldest systemd whose directives the units use freely; newer ones depend on [`Host::systemd`].
pub const OLDEST_SYSTEMD: u32 = 252;

/// What the units have to know of the machine they are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Absolute path of `romuo-server`.
    pub server: PathBuf,
    /// Absolute path of `romuoctl`.
    pub ctl: PathBuf,
    /// Version of the running systemd, as the property `Version` of its manager starts.
    pub systemd: u32,
}

/// The rendered units of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// The app.
    pub app: AppName,
    /// Socket, holder, template, roll and target.
    pub files: [UnitFile; 5],
    /// The variables of an app that systemd starts itself, for a file that only root may read; none:
    /// there are none, or its front gives them to it.
    pub environment: Option<String>,
}

/// One rendered unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFile {
    /// Its name, which is that of its file.
    pub name: UnitName,
    /// Its text, with a line end at the end.
    pub text: String,
}

/// Why there are no units.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum RenderError {
    /// A value would mean something else in a unit file.
    #[error("{what} {value:?} cannot be written to a unit file: {source}")]
    #[diagnostic(help("name a path without it"))]
    Text {
        /// Which value.
        what: &'static str,
        /// The value.
        value: PathBuf,
        /// What is wrong with it.
        source: TextError,
    },
    /// There is no program to run.
    #[error("`command` is empty")]
    #[diagnostic(help("name the program and its arguments: command = [\"node\", \"server.js\"]"))]
    NoCommand,
    /// A place for an address that there is none for.
    #[error("`{placeholder}` is filled in in `mode = \"front\"` only")]
    #[diagnostic(help(
        "in `mode = \"inherit\"` the app takes the socket itself: name descriptor 3, such as `--fd 3`, in its place"
    ))]
    Placeholder {
        /// Which one.
        placeholder: &'static str,
    },
    /// systemd would drop a variable, or hand over another one.
    #[error("{name:?} of [environment] cannot be handed over by systemd: {problem}")]
    #[diagnostic(help("in `mode = \"front\"` the app gets it as it is"))]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The systemd of the machine is too old.
    #[error("systemd {0} is too old for the units of romuo")]
    #[diagnostic(help("romuo needs systemd {OLDEST_SYSTEMD} or newer (Debian 12, Ubuntu 24.04)"))]
    OldSystemd(u32),
    /// A template and its values do not fit: a fault of romuo.
    #[error("cannot render the unit {unit}: {source}")]
    #[diagnostic(help("this is a fault of romuo: please report it with your romuo.toml"))]
    Template {
        /// The unit.
        unit: UnitName,
        /// What askama said.
        source: askama::Error,
    },
}

/// Renders the units of an app for a machine.
///
/// # Errors
/// Where a value cannot be written to a unit file without meaning something else, or the machine's
/// systemd is older than [`OLDEST_SYSTEMD`].
pub fn render(settings: &Settings, host: &Host) -> Result<Units, RenderError> {
    if host.systemd < OLDEST_SYSTEMD {
        return Err(RenderError::OldSystemd(host.systemd));
    }
    let app = &settings.name;
    Ok(Units {
        app: app.clone(),
        files: [
            unit(app.socket(), &template::Socket::new(settings)?)?,
            unit(app.hold(), &template::Hold { app, socket: app.socket() })?,
            instance(settings.name.template(), settings, host, None)?,
            unit(app.roll(), &template::Roll::new(settings, host)?)?,
            unit(app.target(), &template::Target { app })?,
        ],
        environment: environment::file(settings)?,
    })
}

/// The instances, or a candidate that runs a release: `romuo-server`, or the app itself where it takes the sockets.
fn instance(
    name: UnitName,
    settings: &Settings,
    host: &Host,
    release: Option<&Release>,
) -> Result<UnitFile, RenderError> {
    match &settings.program {
        Some(program) if program.mode == Mode::Inherit => {
            unit(name, &inherit::Inherit::new(settings, program, host, release)?)
        }
        _ => unit(name, &template::Instance::new(settings, host, release)?),
    }
}

fn unit(name: UnitName, template: &impl Template) -> Result<UnitFile, RenderError> {
    match template.render() {
        // askama drops the last line end of a template.
        Ok(text) => Ok(UnitFile { name, text: text + "\n" }),
        Err(source) => Err(RenderError::Template { unit: name, source }),
    }
}
