//! The doors beside the public one: unix sockets in the app's runtime folder, which no drain closes.

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::connection::{self, Host};
use super::error::ServerError;
use super::sockets::{Bound, Listeners, SocketFile, bind_unix};

/// Rights of the sockets: their user, which is that of every sibling, and root.
pub(super) const MODE: u32 = 0o600;

/// Pause after an error of accept(2).
pub(super) const BACKOFF: Duration = Duration::from_millis(50);

/// Opens a door at `path` and serves there until the runtime ends, `connections` at the same time.
/// The file is removed when what is returned is dropped.
///
/// # Errors
/// Where it cannot be bound, or somebody answers on it already.
pub(super) fn open(
    path: &Path,
    connections: usize,
    host: Arc<Host>,
) -> Result<SocketFile, ServerError> {
    let error = |source| ServerError::Control { path: path.into(), source };
    let listener = bind_unix(path, MODE).map_err(error)?;
    let file = SocketFile(path.into());
    let listeners = Listeners::new(vec![Bound::Unix(listener)]).map_err(error)?;
    tokio::spawn(accept(listeners, connections, host));
    Ok(file)
}

async fn accept(listeners: Listeners, connections: usize, host: Arc<Host>) {
    let slots = Arc::new(Semaphore::new(connections));
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        match poll_fn(|cx| listeners.poll_accept(cx)).await {
            Ok(stream) => {
                let host = Arc::clone(&host);
                tokio::spawn(async move {
                    let patience = host.bounds.head;
                    // No drain closes it, so that nothing comes back either.
                    let _ = connection::serve(stream, host, patience).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept on a side door; trying again");
                sleep(BACKOFF).await;
            }
        }
    }
}
