//! The relay door: where a sibling brings what its own app cannot answer at the moment. Open during a
//! drain too: who asks has nowhere else to go.

use std::path::Path;
use std::sync::Arc;

use super::connection::Host;
use super::error::ServerError;
use super::side_door;
use super::sockets::SocketFile;

/// Connections at the same time. Each carries one request; what comes beyond waits in the queue, and
/// the sibling keeps an eye on the time.
const CONNECTIONS: usize = 512;

/// Opens the door. The file is removed when what is returned is dropped.
///
/// # Errors
/// Where it cannot be bound, or somebody answers on it already.
pub(super) fn serve(path: &Path, host: Arc<Host>) -> Result<SocketFile, ServerError> {
    side_door::open(path, CONNECTIONS, host)
}
