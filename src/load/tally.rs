//! What a group of clients has done so far.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::gauge::Gauge;
use super::histogram::Histogram;

/// The numbers of one group, shared by its clients and whoever watches.
#[derive(Debug, Default)]
pub(super) struct Tally {
    numbers: Mutex<Numbers>,
    /// Good answers.
    pub(super) answered: Gauge,
}

/// The numbers of one group, or of all.
#[derive(Debug, Default, Clone)]
pub(super) struct Numbers {
    /// Requests that a client decided to send.
    pub(super) sent: u64,
    /// Requests whose whole expected answer came in time.
    pub(super) ok: u64,
    /// Requests that ended in any other way.
    pub(super) lost: u64,
    /// Those of the lost ones that the server refused unprocessed (HTTP/2).
    pub(super) refused: u64,
    /// Connections opened.
    pub(super) connections: u64,
    /// Those of them that replaced a kept connection which the server had ended without a loss.
    pub(super) reconnects: u64,
    /// Those of the reconnects whose server had closed without an announcement (`Connection:
    /// close`, GOAWAY), so that only luck stood between the close and a loss.
    pub(super) idle_closes: u64,
    /// Time that the good answers took, without the client's own pauses.
    pub(super) waits: Histogram,
}

impl Tally {
    /// The numbers, to read or to change.
    pub(super) fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Numbers {
    /// Adds the numbers of another group.
    pub(super) fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.ok += other.ok;
        self.lost += other.lost;
        self.refused += other.refused;
        self.connections += other.connections;
        self.reconnects += other.reconnects;
        self.idle_closes += other.idle_closes;
        self.waits.merge(&other.waits);
    }
}
