//! How many requests of one HTTP/2 connection the app has at a time.
//!
//! Such a connection may bring 128 at once, and the app would have those of a few dozen clients before anybody
//! knows whether one of them reads an answer: ten thousand, which keep it busy for seconds. So a connection
//! begins with a few, and has one more with each that is done, and also with time, since an app may well take long over
//! all of them. TCP begins in the same way (RFC 5681, 3.1).

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

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
    /// When there was one more because of time. Held by the first one that waits: the others wait for it alone.
    first: Mutex<Instant>,
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
            first: Mutex::new(Instant::now()),
        }
    }
}

impl SlowStart {
    /// Waits until one more may begin.
    pub(super) async fn begin(self: Arc<Self>) -> Option<Begun> {
        let permit = {
            let mut grown = self.first.lock().await;
            let mut next = pin!(Arc::clone(&self.free).acquire_owned());
            loop {
                if let Ok(permit) = timeout_at(*grown + GROWTH, next.as_mut()).await {
                    // Nobody closes it.
                    break permit.ok()?;
                }
                *grown = Instant::now();
                self.grow();
            }
        };
        Some(Begun { start: self, _permit: permit })
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
    use tokio::task::unconstrained;
    use tokio::time::{sleep, timeout};

    use super::*;

    /// As many as begin within that time, of 200 that want to.
    async fn begun_within(start: &Arc<SlowStart>, time: Duration) -> Vec<Begun> {
        let wanted = (0..200).map(|_| timeout(time, Arc::clone(start).begin()));
        // Each in one go, though they are of one task.
        unconstrained(join_all(wanted)).await.into_iter().filter_map(|begun| begun.ok()?).collect()
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
