//! The control socket: the instance's own door, which no sibling can answer on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::connection::Host;
use super::error::ServerError;
use super::side_door;
use super::sockets::SocketFile;
use crate::health::{control_socket, healthy_siblings};
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
        side_door::open(&control_socket(&self.folder, self.instance), CONNECTIONS, host)
    }

    /// Whether another instance of the app is up and takes what this one leaves in the queue.
    pub(super) async fn has_healthy_sibling(&self) -> bool {
        !healthy_siblings(&self.folder, self.instance).await.is_empty()
    }
}
