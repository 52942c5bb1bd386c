//! The control socket: the instance's own door, which no sibling can answer on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::connection::Host;
use super::error::ServerError;
use super::side_door;
use super::sockets::SocketFile;
use crate::health::{Status, probe};
use crate::unit::InstanceId;

/// Connections at the same time; those who ask are a tool, a roll and the siblings.
const CONNECTIONS: usize = 16;

/// How long the siblings have to answer. They are on this machine and answer within
/// milliseconds; one that does not is no help to the clients either.
const SIBLINGS: Duration = Duration::from_millis(500);

/// Ending of a control socket's name: `1.sock`.
const SUFFIX: &str = "sock";

/// The folder of the control sockets, and this instance's own place in it.
#[derive(Debug, Clone)]
pub(super) struct ControlFolder {
    folder: PathBuf,
    own: PathBuf,
}

impl ControlFolder {
    /// The folder systemd made for the app (`RuntimeDirectory=`, systemd.exec(5)).
    pub(super) fn new(folder: &Path, instance: InstanceId) -> Self {
        let own = folder.join(format!("{instance}.{SUFFIX}"));
        Self { folder: folder.into(), own }
    }

    /// Opens the control socket and serves on it until the runtime ends. The file is removed when
    /// what is returned is dropped.
    ///
    /// # Errors
    /// Where it cannot be bound, or somebody answers on it already.
    pub(super) fn serve(&self, host: Arc<Host>) -> Result<SocketFile, ServerError> {
        side_door::open(&self.own, CONNECTIONS, host)
    }

    /// The control socket of this instance.
    pub(super) fn own(&self) -> &Path {
        &self.own
    }

    /// The control sockets of the other instances that are up and take what this one leaves. All are
    /// asked at once. One that drains itself is no help.
    pub(super) async fn healthy_siblings(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let siblings: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_control(path) && *path != self.own)
            .collect();
        let asked = siblings.into_iter().map(async |path| {
            let report = probe(&path, SIBLINGS).await.ok()?;
            (report.status == Status::Ok).then_some(path)
        });
        join_all(asked).await.into_iter().flatten().collect()
    }
}

/// Whether this is the control socket of an instance. The app's own sockets and the doors for siblings
/// lie beside them: `1.app.2.sock`, `1.relay.sock`, `1.idle.sock`.
fn is_control(path: &Path) -> bool {
    let id = path.file_stem().and_then(|stem| stem.to_str());
    path.extension().is_some_and(|suffix| suffix == SUFFIX)
        && id.is_some_and(|id| id.parse::<InstanceId>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sockets_of_apps_and_the_doors_for_siblings_are_no_control_sockets() {
        let is = |name: &str| is_control(Path::new("/run/romuo/x").join(name).as_path());
        assert!(is("1.sock") && is("12.sock"));
        for other in ["1.relay.sock", "1.idle.sock", "1.app.2.sock", "1.guard", "x.sock", ".sock"] {
            assert!(!is(other), "{other}");
        }
    }
}
