//! The relay door: where a sibling brings what its own app cannot answer at the moment.

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::connection::{self, Host};
use super::error::ServerError;
use super::sockets::{Bound, Listeners, SocketFile, bind_unix};

/// Rights of the socket: its user, which is that of every sibling, and root.
const MODE: u32 = 0o600;

/// Connections at the same time. Each carries one request; what comes beyond waits in the queue, and
/// the sibling keeps an eye on the time.
const CONNECTIONS: usize = 512;

/// Pause after an error of accept(2).
const BACKOFF: Duration = Duration::from_millis(50);

/// Opens the door and serves there until the runtime ends, during a drain too: who asks has nowhere
/// else to go. The file is removed when what is returned is dropped.
///
/// # Errors
/// Where it cannot be bound, or somebody answers on it already.
pub(super) fn serve(path: &Path, host: Arc<Host>) -> Result<SocketFile, ServerError> {
    let error = |source| ServerError::Control { path: path.into(), source };
    let listener = bind_unix(path, MODE).map_err(error)?;
    let file = SocketFile(path.into());
    let listeners = Listeners::new(vec![Bound::Unix(listener)]).map_err(error)?;
    tokio::spawn(accept(listeners, host));
    Ok(file)
}

async fn accept(listeners: Listeners, host: Arc<Host>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        match poll_fn(|cx| listeners.poll_accept(cx)).await {
            Ok(stream) => {
                let host = Arc::clone(&host);
                tokio::spawn(async move {
                    connection::serve(stream, host).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept from a sibling; trying again");
                sleep(BACKOFF).await;
            }
        }
    }
}
