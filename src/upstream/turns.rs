//! Turns to connect to the app, so many at a time. Where more want to, those that have waited longest and those that
//! came last have the next ones by turns.
//!
//! In order of arrival everybody would wait behind a crowd that came at once, for seconds; the other way round somebody
//! who came before the crowd would wait until it is through. So one who comes before or after it waits for a few, the
//! crowd for itself, and all are through as soon as in any order.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

/// The turns that are free, or who waits for one.
#[derive(Debug)]
pub(super) struct Turns {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// In the order in which they came.
    waiting: VecDeque<oneshot::Sender<()>>,
    /// The next turn is that of the one who came last.
    is_of_last: bool,
}

/// A turn; over when it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
}

impl Turns {
    pub(super) fn new(free: usize) -> Self {
        Self { state: Mutex::new(State { free, waiting: VecDeque::new(), is_of_last: false }) }
    }

    /// Waits for a turn.
    pub(super) async fn take(&self) -> Turn<'_> {
        let called = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.free > 0 {
                state.free -= 1;
                return Turn { turns: self };
            }
            let (call, called) = oneshot::channel();
            state.waiting.push_back(call);
            Waiting { turns: self, called, heard: false }
        };
        called.comes().await
    }

    /// A turn is over: it is that of the next one.
    fn pass_on(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of_last = state.is_of_last;
        loop {
            let waiting = &mut state.waiting;
            let next = if is_of_last { waiting.pop_back() } else { waiting.pop_front() };
            let Some(next) = next else { break };
            // One that has given up is not there.
            if next.send(()).is_ok() {
                state.is_of_last = !is_of_last;
                return;
            }
        }
        state.free += 1;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.pass_on();
    }
}

/// One who waits to be called.
struct Waiting<'a> {
    turns: &'a Turns,
    called: oneshot::Receiver<()>,
    heard: bool,
}

impl<'a> Waiting<'a> {
    async fn comes(mut self) -> Turn<'a> {
        // An error: the turns are gone, which they are not while they are borrowed.
        let _ = (&mut self.called).await;
        self.heard = true;
        Turn { turns: self.turns }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // It was called and gives up before it heard of that.
        if !self.heard && self.called.try_recv().is_ok() {
            self.turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_first_and_the_last_that_came_are_next_by_turns() {
        let turns = Turns::new(1);
        let mut turn = turns.take().now_or_never();
        let mut all: Vec<_> = (0..5).map(|_| Box::pin(turns.take())).collect();
        for one in &mut all {
            assert!(one.as_mut().now_or_never().is_none());
        }
        let mut left = vec![0, 1, 2, 3, 4];
        for next in [0, 4, 1, 3, 2] {
            drop(turn.take());
            left.retain(|at| *at != next);
            for at in &left {
                assert!(all[*at].as_mut().now_or_never().is_none(), "{at} before {next}");
            }
            turn = all[next].as_mut().now_or_never();
            assert!(turn.is_some(), "{next}");
        }
    }

    #[test]
    fn whoever_gives_up_costs_no_turn() {
        let turns = Turns::new(1);
        let first = turns.take().now_or_never().unwrap();
        let mut gone = Box::pin(turns.take());
        let mut called = Box::pin(turns.take());
        let mut last = Box::pin(turns.take());
        for one in [&mut gone, &mut called, &mut last] {
            assert!(one.as_mut().now_or_never().is_none());
        }
        drop(gone);
        drop(first);
        // It is called, and does not come any more.
        drop(called);
        let turn = last.as_mut().now_or_never().unwrap();
        assert!(turns.take().now_or_never().is_none());
        drop(turn);
        assert!(turns.take().now_or_never().is_some());
    }
}
