//! One answer on its way to the client.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::{Account, Extra, Queue};

/// What the bytes of an answer cost until they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Bytes of buffers that it has for as long as it lasts.
    pub(crate) buffers: usize,
    /// Bytes of its largest piece.
    pub(crate) piece: usize,
}

/// The right to send one answer, and its pieces one after the other. A connection is sure of one lane
/// with one piece; further lanes and pieces are extras.
#[derive(Debug)]
pub(crate) struct Lane {
    account: Arc<Account>,
    cost: Cost,
    state: State,
    /// Room for the next piece.
    room: Option<Room>,
}

#[derive(Debug)]
enum State {
    Closed(Option<Queue>),
    /// The one that the connection is sure of; its pieces keep it.
    Sure(Arc<Sure>),
    Extra(#[expect(dead_code, reason = "held until it is dropped")] Extra),
}

/// The lane that a connection is sure of.
#[derive(Debug)]
struct Sure {
    account: Arc<Account>,
    _units: OwnedSemaphorePermit,
}

impl Drop for Sure {
    fn drop(&mut self) {
        self.account.has_lane.store(false, Relaxed);
        self.account.wake();
    }
}

/// Room for one piece.
#[derive(Debug)]
enum Room {
    /// That of the lane that the connection is sure of.
    Sure(#[expect(dead_code, reason = "held until it is dropped")] Arc<Sure>),
    Extra(Extra),
}

/// A piece that is counted until its last copy is gone.
struct Piece {
    data: Bytes,
    /// Some until the drop.
    room: Option<Room>,
    account: Arc<Account>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let length = self.data.len();
        self.account.unsent.fetch_sub(length, Relaxed);
        self.account.progress.fetch_add(length as u64, Relaxed);
        // Given back before anybody is told.
        if let Some(Room::Sure(_)) = self.room.take() {
            self.account.piece_is_out.store(false, Relaxed);
        }
        self.account.wake();
    }
}

impl Lane {
    pub(crate) fn new(account: Arc<Account>, cost: Cost) -> Self {
        Self { account, cost, state: State::Closed(None), room: None }
    }

    /// Ready when there is room for the next piece: only then it may be read.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_state(cx));
        if self.room.is_some() {
            return Poll::Ready(());
        }
        if let State::Sure(sure) = &self.state
            && !self.account.piece_is_out.swap(true, Relaxed)
        {
            self.room = Some(Room::Sure(Arc::clone(sure)));
            return Poll::Ready(());
        }
        if let Some(extra) = self.account.extra(self.cost.piece) {
            self.room = Some(Room::Extra(extra));
            return Poll::Ready(());
        }
        self.account.wake_later(cx);
        Poll::Pending
    }

    /// Counts a piece from now on, for which there was room.
    pub(crate) fn count(&mut self, data: Bytes) -> Bytes {
        let Some(mut room) = self.room.take().filter(|_| !data.is_empty()) else { return data };
        if let Room::Extra(extra) = &mut room {
            extra.shrink(data.len());
        }
        self.account.unsent.fetch_add(data.len(), Relaxed);
        let account = Arc::clone(&self.account);
        Bytes::from_owner(Piece { data, room: Some(room), account })
    }

    /// Gives the lane back: there is nothing to send for the time being.
    pub(crate) fn rest(&mut self) {
        if let Some(Room::Sure(_)) = self.room.take() {
            self.account.piece_is_out.store(false, Relaxed);
        }
        if let State::Closed(Some(_)) = std::mem::replace(&mut self.state, State::Closed(None)) {
            self.account.has_lane.store(false, Relaxed);
        }
        // Another one of the connection may wait for what this one had.
        self.account.wake();
    }

    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let State::Closed(queue) = &mut self.state else { return Poll::Ready(()) };
        if queue.is_some() || !self.account.has_lane.swap(true, Relaxed) {
            let whole = self.cost.buffers + self.cost.piece;
            let pool = &self.account.budget.0.transfers;
            // Set while it waits, too: the next one of the connection is not the first one.
            let units = ready!(self.account.poll_pool(cx, pool, whole, queue));
            let account = Arc::clone(&self.account);
            self.state = State::Sure(Arc::new(Sure { account, _units: units }));
            return Poll::Ready(());
        }
        if let Some(extra) = self.account.extra(self.cost.buffers) {
            self.state = State::Extra(extra);
            return Poll::Ready(());
        }
        self.account.wake_later(cx);
        Poll::Pending
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.rest();
    }
}
