//! The control socket: the instance's own door, which no sibling can answer on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::connection::Host;
use super::error::ServerError;
use super::side_door;
use super::sockets::SocketFile;
use crate::guard::Guard;
use crate::health::{Status, control_socket, healthy_siblings, siblings};
use crate::unit::InstanceId;

/// Connections at the same time; those who ask are a tool, a roll and the siblings.
const CONNECTIONS: usize = 16;

/// The folder of the control sockets, and this instance's own place in it.
#[derive(Debug, Clone)]
pub(super) struct ControlFolder {
    folder: PathBuf,
    instance: InstanceId,
}

impl ControlFolder {
    /// The folder systemd made for the app (`RuntimeDirectory=`, systemd.exec(5)).
    pub(super) fn new(folder: &Path, instance: InstanceId) -> Self {
        Self { folder: folder.into(), instance }
    }

    /// Opens the control socket and serves on it until the runtime ends. The file is removed when
    /// what is returned is dropped.
    ///
    /// # Errors
    /// Where it cannot be bound, or somebody answers on it already.
    pub(super) fn serve(&self, host: Arc<Host>) -> Result<SocketFile, ServerError> {
        side_door::open(&self.own(), CONNECTIONS, host)
    }

    /// The control socket of this instance.
    pub(super) fn own(&self) -> PathBuf {
        control_socket(&self.folder, self.instance)
    }

    /// The control sockets of the other instances that are up and take what this one leaves. One that
    /// drains itself is no help.
    pub(super) async fn healthy_siblings(&self) -> Vec<PathBuf> {
        let siblings = healthy_siblings(&self.folder, self.instance).await;
        siblings.into_iter().map(|id| control_socket(&self.folder, id)).collect()
    }

    /// Whether no other instance is in trouble or on its way out: each that has a control socket says
    /// that it is well, and each that has none was not brought down by a crash.
    pub(super) async fn all_siblings_are_well(&self) -> bool {
        let is_well = |(_, status): &(InstanceId, Option<Status>)| *status == Some(Status::Ok);
        !self.has_crashed_sibling()
            && siblings(&self.folder, self.instance).await.iter().all(is_well)
    }

    /// Whether the crash guard knows of another one that is down for a crash.
    fn has_crashed_sibling(&self) -> bool {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return false };
        entries.flatten().filter_map(|entry| Guard::id_of(&entry.path())).any(|id| {
            id != self.instance
                && !control_socket(&self.folder, id).exists()
                && Guard::at(&self.folder, id).state().has_crashed()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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
}
