//! Who gives way when all connections are taken.
//!
//! Further clients wait in the kernel's queue then, which is right as long as those inside are at work.
//! Connections that only wait for a request, be it the next or the first, are not: the one that has
//! waited longest is closed for a new one. nginx does the same (`ngx_drain_connections`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The connections that wait for a request.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// All connections are taken, and somebody waits outside.
    full: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By the time since which they wait, counted.
    by_age: BTreeMap<u64, Arc<Notify>>,
    count: u64,
}

impl Crowd {
    /// Takes a place among those who wait, the youngest.
    pub(super) fn wait(&self) -> Place<'_> {
        let leave = Arc::new(Notify::new());
        let mut waiting = self.waiting();
        waiting.count += 1;
        let number = waiting.count;
        waiting.by_age.insert(number, Arc::clone(&leave));
        drop(waiting);
        Place { crowd: self, number, leave }
    }

    /// Asks the one that has waited longest to leave.
    pub(super) fn make_room(&self) {
        let oldest = self.waiting().by_age.pop_first();
        if let Some((_, leave)) = oldest {
            leave.notify_one();
        }
    }

    /// Says whether somebody waits outside because all connections are taken.
    pub(super) fn set_full(&self, full: bool) {
        self.full.store(full, Relaxed);
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits.
#[derive(Debug)]
pub(super) struct Place<'a> {
    crowd: &'a Crowd,
    number: u64,
    leave: Arc<Notify>,
}

impl Place<'_> {
    /// Waits until it is asked to leave.
    pub(super) async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.crowd.waiting().by_age.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_one_that_has_waited_longest_leaves_first() {
        let crowd = Crowd::default();
        crowd.make_room();
        let gone = crowd.wait();
        let [first, second] = [crowd.wait(), crowd.wait()];
        drop(gone);
        crowd.make_room();
        first.asked_to_leave().await;
        crowd.make_room();
        second.asked_to_leave().await;
        assert!(crowd.waiting().by_age.is_empty());
    }
}
