//! One answer on its way to the client, piece by piece.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::{Account, Extra, Queue, shrunk};

/// A piece that is so many times smaller than the room for one is copied: else it would keep the whole
/// buffer that it was read into.
const SHORT: usize = 4;

/// The pieces of one answer, one after the other. Nothing is held between two of them, so that those who
/// wait for room never wait for each other.
///
/// A connection is sure of room for one piece at a time; further ones are extras. Its answers take turns: one
/// that has had a piece comes after those that wait for one.
#[derive(Debug)]
pub(crate) struct Lane {
    account: Arc<Account>,
    /// Among the answers of its connection.
    number: u64,
    /// Bytes of the largest piece, with what it takes to read it.
    most: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It has not asked for room, or waits for its turn.
    Idle,
    /// It has the room that the connection is sure of, as soon as others have given back as much.
    Waiting(Sure, Option<Queue>),
    /// There is room for the next piece.
    Ready(Room),
}

/// The right to what a connection is sure of.
#[derive(Debug)]
struct Sure(Arc<Account>);

impl Drop for Sure {
    fn drop(&mut self) {
        self.0.is_sure_taken.store(false, Relaxed);
        self.0.call_next();
    }
}

/// Room for one piece; given back when dropped.
#[derive(Debug)]
enum Room {
    /// The bytes first, so that they are there when the next one is called.
    Sure(OwnedSemaphorePermit, #[expect(dead_code, reason = "held until it is dropped")] Sure),
    Extra(Extra),
}

impl Room {
    /// Gives back what is more than so many bytes.
    fn shrink(&mut self, bytes: usize) {
        match self {
            Self::Sure(units, _) => drop(shrunk(units, bytes)),
            Self::Extra(extra) => extra.shrink(bytes),
        }
    }
}

/// A piece that is counted until its last copy is gone.
struct Piece {
    data: Bytes,
    account: Arc<Account>,
    _room: Room,
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
    }
}

impl Lane {
    /// For an answer whose pieces take up to so many bytes.
    pub(crate) fn new(account: Arc<Account>, most: usize) -> Self {
        let number = account.lanes.fetch_add(1, Relaxed);
        Self { account, number, most, state: State::Idle }
    }

    /// Ready when there is room for the next piece: only then it may be read.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let State::Idle = self.state {
            self.state = ready!(self.poll_turn(cx));
        }
        if let State::Waiting(_, queue) = &mut self.state {
            let pool = &self.account.budget.0.transfers;
            let units = ready!(self.account.poll_pool(cx, pool, self.most, queue));
            if let State::Waiting(sure, _) = std::mem::replace(&mut self.state, State::Idle) {
                self.state = State::Ready(Room::Sure(units, sure));
            }
        }
        Poll::Ready(())
    }

    /// Ready when it is its turn, and there is something for it.
    fn poll_turn(&self, cx: &Context<'_>) -> Poll<State> {
        let account = &self.account;
        if account.is_turn_of(self.number) {
            let state = if account.is_sure_taken.swap(true, Relaxed) {
                account.extra(self.most).map(|extra| State::Ready(Room::Extra(extra)))
            } else {
                Some(State::Waiting(Sure(Arc::clone(account)), None))
            };
            if let Some(state) = state {
                account.leave_line(self.number);
                return Poll::Ready(state);
            }
        }
        account.stand_in_line(self.number, cx);
        Poll::Pending
    }

    /// Counts a piece from now on, for which there was room.
    pub(crate) fn count(&mut self, data: Bytes) -> Bytes {
        if data.is_empty() {
            // The room stays for the next one.
            return data;
        }
        let State::Ready(mut room) = std::mem::replace(&mut self.state, State::Idle) else {
            return data;
        };
        let is_short = data.len() < self.most / SHORT;
        let data = if is_short { Bytes::copy_from_slice(&data) } else { data };
        room.shrink(data.len());
        self.account.unsent.fetch_add(data.len(), Relaxed);
        let account = Arc::clone(&self.account);
        Bytes::from_owner(Piece { data, account, _room: room })
    }

    /// Gives the room back: there is nothing to send for the time being.
    pub(crate) fn rest(&mut self) {
        self.state = State::Idle;
        self.account.leave_line(self.number);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.rest();
    }
}
