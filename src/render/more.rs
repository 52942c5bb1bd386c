//! Addresses that come while the app runs: units of their own, which are gone after a boot.
//!
//! `NAME.socket` lists all addresses, and opens them at the next start of the app. systemd does not open one
//! that is added to a socket that is up; so until then a second socket holds it, and a drop-in hands both to
//! the instances. Whoever stops the app closes both, and the second one removes its files.

use std::path::PathBuf;

use super::template::{Hold, RUNTIME_UNITS, Socket};
use super::{RenderError, UnitFile, unit};
use crate::config::{Listen, Settings};

/// The units and their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct More {
    /// Socket and holder.
    pub units: [UnitFile; 2],
    /// All files, with their texts: those of the units, and the drop-in of the instances.
    pub files: Vec<(PathBuf, String)>,
}

/// Renders the units of `listen`, which are addresses of the app as well. `number`: which of such units.
///
/// # Errors
/// As [`render`](super::render).
pub fn more(settings: &Settings, number: u16, listen: &[Listen]) -> Result<More, RenderError> {
    let app = &settings.name;
    let (socket, hold) = (app.more_socket(number), app.more_hold(number));
    let units = [
        unit(socket.clone(), &Socket::of_more(settings, number, listen)?)?,
        unit(hold, &Hold { app, socket: socket.clone() })?,
    ];
    let folder = PathBuf::from(RUNTIME_UNITS);
    let mut files: Vec<_> =
        units.iter().map(|unit| (folder.join(unit.name.as_str()), unit.text.clone())).collect();
    files.push((
        folder.join(format!("{}.d", app.template())).join(format!("{socket}.conf")),
        format!("# Hands over what came while {app} ran.\n[Service]\nSockets={socket}\n"),
    ));
    Ok(More { units, files })
}
