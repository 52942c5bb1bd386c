//! How many requests of one HTTP/2 connection the app has at a time.
//!
//! Such a connection may bring 128 at once, and the app would have those of a few dozen clients before anybody
//! knows whether one of them reads an answer: ten thousand, which keep it busy for seconds. So a connection
//! begins with a few, and has one more with each that is done, and also with time, since an app may well take long over
//! all of them. TCP begins in the same way (RFC 5681, 3.1).

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// Requests that the app has at a time from the beginning: what a page asks for at once, mostly.
const FIRST: usize = 16;

/// Requests at a time, at the most: as many as such a connection may have open.
const MOST: usize = 128;

/// Time until one more may begin where none is done: an app that takes long over all of them has a hundred
/// after ten seconds, and one that is flooded by a hundred connections a thousand more a second.
const GROWTH: Duration = Duration::from_millis(100);

/// Those of one connection.
#[derive(Debug)]
pub(super) struct SlowStart {
    free: Arc<Semaphore>,
    /// Those that there may be by now.
    limit: AtomicUsize,
    /// When there was one more because of time.
    grown: Mutex<Instant>,
}

/// One that the app has; over when it is dropped.
#[derive(Debug)]
pub(crate) struct Begun {
    start: Arc<SlowStart>,
    _permit: OwnedSemaphorePermit,
}

impl Default for SlowStart {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(FIRST)),
            limit: AtomicUsize::new(FIRST),
            grown: Mutex::new(Instant::now()),
        }
    }
}

impl SlowStart {
    /// Waits until one more may begin.
    pub(super) async fn begin(self: Arc<Self>) -> Option<Begun> {
        let mut next = std::pin::pin!(Arc::clone(&self.free).acquire_owned());
        let permit = loop {
            match timeout(GROWTH, next.as_mut()).await {
                // Nobody closes it.
                Ok(permit) => break permit.ok()?,
                Err(_) => self.has_waited(),
            }
        };
        Some(Begun { start: self, _permit: permit })
    }

    /// One has waited for as long as it takes to have one more.
    fn has_waited(&self) {
        let now = Instant::now();
        let mut grown = self.grown.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(*grown) >= GROWTH {
            *grown = now;
            drop(grown);
            self.grow();
        }
    }

    fn grow(&self) {
        let below = |limit| (limit < MOST).then_some(limit + 1);
        if self.limit.fetch_update(Relaxed, Relaxed, below).is_ok() {
            self.free.add_permits(1);
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.start.grow();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    /// As many as begin within that time, of 200 that want to.
    async fn begun_within(start: &Arc<SlowStart>, time: Duration) -> Vec<Begun> {
        let wanted = (0..200).map(|_| timeout(time, Arc::clone(start).begin()));
        join_all(wanted).await.into_iter().filter_map(|begun| begun.ok()?).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_begin_at_once_and_one_more_with_each_that_is_done() {
        let start = Arc::new(SlowStart::default());
        let first = begun_within(&start, Duration::ZERO).await;
        assert_eq!(first.len(), FIRST);
        drop(first);
        let second = begun_within(&start, Duration::ZERO).await;
        assert_eq!(second.len(), 2 * FIRST);
        drop(second);
        for _ in 0..3 {
            drop(begun_within(&start, Duration::ZERO).await);
        }
        assert_eq!(begun_within(&start, Duration::ZERO).await.len(), MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn where_none_is_done_one_more_begins_with_time() {
        let start = Arc::new(SlowStart::default());
        let begun = begun_within(&start, GROWTH * 10 + GROWTH / 2).await;
        assert_eq!(begun.len(), FIRST + 10);
        // Those who gave up have left nothing behind.
        sleep(GROWTH * 10).await;
        assert!(start.free.try_acquire().is_err());
    }
}
