//! The signal that the instance is about to end, as the connections see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio_util::sync::CancellationToken;

/// Whether the instance drains. From then on HTTP/2 gets GOAWAY, and what becomes of an idle HTTP/1
/// connection is known as soon as the siblings were asked: they take it over, or every response says
/// `Connection: close` and it is closed after the linger. Clones share one state.
#[derive(Debug, Clone, Default)]
pub(super) struct Drain {
    flags: Arc<Flags>,
    begun: CancellationToken,
    passing: CancellationToken,
    closing: CancellationToken,
}

/// What each request asks: one atomic load.
#[derive(Debug, Default)]
struct Flags {
    begun: AtomicBool,
    passing: AtomicBool,
    closing: AtomicBool,
}

impl Drain {
    /// Begins the drain; there is no way back.
    pub(super) fn begin(&self) {
        self.flags.begun.store(true, Relaxed);
        self.begun.cancel();
    }

    /// From here on siblings take over the idle connections.
    pub(super) fn pass_on(&self) {
        self.flags.passing.store(true, Relaxed);
        self.passing.cancel();
    }

    /// From here on connections end here: nobody takes them over, or nobody any more.
    pub(super) fn close(&self) {
        self.begin();
        self.flags.closing.store(true, Relaxed);
        self.closing.cancel();
    }

    /// Whether it has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.flags.begun.load(Relaxed)
    }

    /// Whether connections end here.
    pub(super) fn is_closing(&self) -> bool {
        self.flags.closing.load(Relaxed)
    }

    /// Whether siblings take over what is idle.
    pub(super) fn is_passing(&self) -> bool {
        self.flags.passing.load(Relaxed) && !self.is_closing()
    }

    /// The same signal for those who know nothing of a server; only this drain may cancel it.
    pub(super) fn token(&self) -> CancellationToken {
        self.begun.clone()
    }

    /// Waits until it begins.
    pub(super) async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Waits until siblings take over what is idle.
    pub(super) async fn passing(&self) {
        self.passing.cancelled().await;
    }

    /// Waits until connections end here.
    pub(super) async fn closing(&self) {
        self.closing.cancelled().await;
    }
}
