//! What can go wrong between romuo and the service manager.

use miette::Diagnostic;
use thiserror::Error;

use crate::unit::UnitName;

/// Why the service manager did not do what it was asked.
#[derive(Debug, Error, Diagnostic)]
pub enum ManagerError {
    /// No system bus.
    #[error("systemd does not answer on the system bus: {reason}")]
    #[diagnostic(help(
        "is systemd running here, and is dbus installed? `systemctl is-system-running` tells"
    ))]
    Unreachable {
        /// What the bus said.
        reason: String,
    },
    /// The caller may not do that.
    #[error("systemd refused to {what}: {reason}")]
    #[diagnostic(help("run it as root, for example with sudo"))]
    Denied {
        /// What was tried.
        what: String,
        /// What systemd said.
        reason: String,
    },
    /// There is no such unit.
    #[error("systemd knows no unit {unit}")]
    #[diagnostic(help("`romuoctl install-units` installs the units of an app"))]
    NoSuchUnit {
        /// The unit asked for.
        unit: UnitName,
    },
    /// The unit is down, and what was asked needs it up.
    #[error("{unit} is not running, so there is nothing to reload")]
    #[diagnostic(help("`romuoctl start` starts the app"))]
    NotActive {
        /// The unit asked for.
        unit: UnitName,
    },
    /// Any other answer.
    #[error("systemd could not {what}: {reason}")]
    #[diagnostic(help("`journalctl -b _PID=1 -n 20` may say more"))]
    Failed {
        /// What was tried.
        what: String,
        /// What systemd said.
        reason: String,
    },
}
