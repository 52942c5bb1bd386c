//! Who connects next.
//!
//! An app has a queue of connections that it has not taken yet, often of 128 (listen(2)). What comes while it is full
//! is thrown away by the kernel. So only some connections are made at a time, in the order in which they were
//! asked for.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Connections to one address that are made at a time: half of the usual queue of an app.
const AT_ONCE: usize = 64;

/// Those who wait for a connection to one address.
#[derive(Debug)]
pub(super) struct Line(Semaphore);

impl Default for Line {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Line {
    /// Waits for the next turn, which is over when this is dropped.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.0.acquire().await.ok()
    }
}
