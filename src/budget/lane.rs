//! One answer on its way to the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
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

/// The right to send one answer, and its pieces one after the other: a lane that is open has room for a
/// piece at a time, whatever others hold, so that it comes to its end. A connection is sure of one lane;
/// further lanes, and further pieces, are extras.
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
    /// Its own piece keeps it, too.
    Open(Arc<Open>),
}

/// What an open lane holds: its buffers, and one piece.
#[derive(Debug)]
struct Open {
    account: Arc<Account>,
    /// Some until the drop.
    held: Option<Held>,
    /// The piece is on its way.
    piece_is_out: AtomicBool,
}

#[derive(Debug)]
enum Held {
    /// The one lane that the connection is sure of.
    Sure(#[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit),
    Extra(#[expect(dead_code, reason = "held until it is dropped")] Extra),
}

impl Drop for Open {
    fn drop(&mut self) {
        // Given back before anybody is told.
        if let Some(Held::Sure(_)) = self.held.take() {
            self.account.has_lane.store(false, Relaxed);
        }
        self.account.wake();
    }
}

/// Room for one piece.
#[derive(Debug)]
enum Room {
    /// That of the lane itself.
    Own(Arc<Open>),
    Extra(Extra),
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Self::Own(lane) = self {
            lane.piece_is_out.store(false, Relaxed);
        }
    }
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
        drop(self.room.take());
        self.account.wake();
    }
}

impl Lane {
    pub(crate) fn new(account: Arc<Account>, cost: Cost) -> Self {
        Self { account, cost, state: State::Closed(None), room: None }
    }

    /// Ready when there is room for the next piece: only then it may be read.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let open = ready!(self.poll_open(cx));
        if self.room.is_some() {
            return Poll::Ready(());
        }
        if !open.piece_is_out.swap(true, Relaxed) {
            self.room = Some(Room::Own(open));
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
        if data.is_empty() {
            // The room stays for the next one.
            return data;
        }
        let Some(mut room) = self.room.take() else { return data };
        if let Room::Extra(extra) = &mut room {
            extra.shrink(data.len());
        }
        self.account.unsent.fetch_add(data.len(), Relaxed);
        let account = Arc::clone(&self.account);
        Bytes::from_owner(Piece { data, room: Some(room), account })
    }

    /// Gives the lane back: there is nothing to send for the time being.
    pub(crate) fn rest(&mut self) {
        self.room = None;
        if let State::Closed(Some(_)) = std::mem::replace(&mut self.state, State::Closed(None)) {
            self.account.has_lane.store(false, Relaxed);
        }
        // Another one of the connection may wait for what this one had.
        self.account.wake();
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Arc<Open>> {
        let queue = match &mut self.state {
            State::Open(open) => return Poll::Ready(Arc::clone(open)),
            State::Closed(queue) => queue,
        };
        let whole = self.cost.buffers + self.cost.piece;
        let held = if queue.is_some() || !self.account.has_lane.swap(true, Relaxed) {
            // Set while it waits, too: the next one of the connection is not the first one.
            let pool = &self.account.budget.0.transfers;
            Held::Sure(ready!(self.account.poll_pool(cx, pool, whole, queue)))
        } else if let Some(extra) = self.account.extra(whole) {
            Held::Extra(extra)
        } else {
            self.account.wake_later(cx);
            return Poll::Pending;
        };
        let account = Arc::clone(&self.account);
        let open = Open { account, held: Some(held), piece_is_out: AtomicBool::new(false) };
        let open = Arc::new(open);
        self.state = State::Open(Arc::clone(&open));
        Poll::Ready(open)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.rest();
    }
}
