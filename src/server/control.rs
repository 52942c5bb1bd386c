//! The control socket: the instance's own door, which no sibling can answer on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::connection::Host;
use super::error::ServerError;
use super::side_door;
use super::sockets::SocketFile;
use crate::guard::Guard;
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

    /// Whether another instance of the app is up and takes what this one leaves in the queue.
    /// All are asked at once. One that drains itself is no help.
    pub(super) async fn has_healthy_sibling(&self) -> bool {
        self.siblings().await.contains(&Some(Status::Ok))
    }

    /// Whether no other instance is in trouble or on its way out: each that has a control socket says
    /// that it is well, and each that has none was not brought down by a crash.
    pub(super) async fn all_siblings_are_well(&self) -> bool {
        !self.has_crashed_sibling()
            && self.siblings().await.iter().all(|status| *status == Some(Status::Ok))
    }

    /// Whether the crash guard knows of another one that is down for a crash.
    fn has_crashed_sibling(&self) -> bool {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return false };
        entries.flatten().filter_map(|entry| Guard::id_of(&entry.path())).any(|id| {
            let socket = self.folder.join(format!("{id}.{SUFFIX}"));
            socket != self.own
                && !socket.exists()
                && Guard::at(&self.folder, id).state().has_crashed()
        })
    }

    /// How the others are; none for one that does not say.
    async fn siblings(&self) -> Vec<Option<Status>> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let siblings: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_control(path) && *path != self.own)
            .collect();
        let answers = join_all(siblings.iter().map(|path| probe(path, SIBLINGS))).await;
        answers.into_iter().map(|answer| answer.ok().map(|report| report.status)).collect()
    }
}

/// Whether this is the control socket of an instance. The app's own sockets and the relay doors lie
/// beside them: `1.app.2.sock`, `1.relay.sock`.
fn is_control(path: &Path) -> bool {
    let id = path.file_stem().and_then(|stem| stem.to_str());
    path.extension().is_some_and(|suffix| suffix == SUFFIX)
        && id.is_some_and(|id| id.parse::<InstanceId>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a sibling that a test speaks of says: none, or what it answers.
    async fn well(prepare: impl FnOnce(&Path)) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let own = ControlFolder::new(folder.path(), "1".parse().unwrap());
        // Of itself it is sure.
        std::fs::write(folder.path().join("1.guard"), r#"{"crashes":3,"errored":false}"#).unwrap();
        prepare(folder.path());
        own.all_siblings_are_well().await
    }

    #[tokio::test]
    async fn a_sibling_that_crashed_is_not_well_and_one_that_was_stopped_is_no_matter() {
        let guard = |text: &'static str| {
            move |folder: &Path| std::fs::write(folder.join("2.guard"), text).unwrap()
        };
        assert!(well(|_| {}).await, "alone");
        assert!(well(guard(r#"{"crashes":0,"errored":false}"#)).await);
        assert!(!well(guard(r#"{"crashes":1,"errored":false}"#)).await);
        assert!(!well(guard(r#"{"crashes":0,"errored":true}"#)).await);
        // One that was killed leaves its socket behind.
        let killed = |folder: &Path| {
            drop(std::os::unix::net::UnixListener::bind(folder.join("2.sock")).unwrap());
        };
        assert!(!well(killed).await);
    }

    #[test]
    fn the_sockets_of_apps_and_relay_doors_are_no_control_sockets() {
        let is = |name: &str| is_control(Path::new("/run/romuo/x").join(name).as_path());
        assert!(is("1.sock") && is("12.sock"));
        for other in ["1.relay.sock", "1.app.2.sock", "1.guard", "x.sock", ".sock"] {
            assert!(!is(other), "{other}");
        }
    }
}
