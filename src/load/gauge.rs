//! A counter that can be waited on.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The load ended before the awaited number was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the load is over: the awaited answers never came")]
pub struct Over;

/// Counts up and wakes those who wait for a number, each once: a waiter costs nothing until then.
#[derive(Debug, Default)]
pub(super) struct Gauge(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    count: u64,
    closed: bool,
    waiting: Vec<(u64, oneshot::Sender<()>)>,
}

impl Gauge {
    /// Adds one.
    pub(super) fn add(&self) {
        let mut state = self.state();
        state.count += 1;
        if !state.waiting.is_empty() {
            let count = state.count;
            let (reached, waiting) =
                mem::take(&mut state.waiting).into_iter().partition(|(goal, _)| *goal <= count);
            state.waiting = waiting;
            for (_, waiter) in reached {
                // A waiter that has gone away has nothing to be told.
                let _: Result<(), ()> = waiter.send(());
            }
        }
    }

    /// The count.
    pub(super) fn count(&self) -> u64 {
        self.state().count
    }

    /// Waits until the count has grown by `more`.
    ///
    /// # Errors
    /// Where the gauge was closed before.
    pub(super) async fn grown_by(&self, more: u64) -> Result<(), Over> {
        let reached = {
            let mut state = self.state();
            if more == 0 {
                return Ok(());
            }
            if state.closed {
                return Err(Over);
            }
            let (waiter, reached) = oneshot::channel();
            let goal = state.count.saturating_add(more);
            state.waiting.push((goal, waiter));
            reached
        };
        reached.await.map_err(|_closed| Over)
    }

    /// Tells all who wait that the count will not grow any more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.waiting.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
