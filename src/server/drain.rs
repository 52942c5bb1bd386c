//! The signal that the instance is about to end, as the connections see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio_util::sync::CancellationToken;

/// Whether the instance drains: from then on every HTTP/1 response says `Connection: close`,
/// HTTP/2 gets GOAWAY, and idle connections are closed after the linger. Clones share one state.
#[derive(Debug, Clone, Default)]
pub(super) struct Drain {
    begun: Arc<AtomicBool>,
    signal: CancellationToken,
}

impl Drain {
    /// Begins the drain; there is no way back.
    pub(super) fn begin(&self) {
        self.begun.store(true, Relaxed);
        self.signal.cancel();
    }

    /// Whether it has begun: one atomic load, as each response asks.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Relaxed)
    }

    /// The same signal for those who know nothing of a server; only this drain may cancel it.
    pub(super) fn token(&self) -> CancellationToken {
        self.signal.clone()
    }

    /// Waits until it begins.
    pub(super) async fn begun(&self) {
        self.signal.cancelled().await;
    }
}
