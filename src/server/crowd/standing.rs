//! Who is to give way before whom. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::Need;

/// How long a client has to say its request, whatever the crowd. It says it together with the last packet
/// of the handshake, or directly behind it.
const GRACE: Duration = Duration::from_millis(50);

/// How long a connection of HTTP/2 waits for its room while others wait for its place: as long as it takes to
/// find that those who have the room do nothing with it. Thousands may wait for theirs at a time, and
/// behind them in the kernel's queue those who would be answered at once.
const QUEUE_GRACE: Duration = Duration::from_millis(250);

/// How long nothing moves in a tunnel before it counts as idle while others wait: whoever waits for the place
/// would be answered at once. Nobody else gives way after these.
const TUNNEL_GRACE: Duration = Duration::from_millis(250);

/// Bytes a second below which a client is slow while others wait. A phone at the edge of the net has ten
/// times of it.
const SLOW: u64 = 4 << 10;

/// Where one connection stands among the others: the smaller, the sooner it gives way.
pub(super) type Rank = (u8, u64);

/// How one connection gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) kind: Kind,
    /// Since when it is what it is.
    pub(super) age: Duration,
}

/// What it is that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The client's end of the connection, after the last answer.
    Leaving,
    /// A request. It has no buffers.
    Idle,
    /// A request; it has buffers still.
    IdleWithBytes,
    /// The rest of a request's head.
    Head,
    /// Room for many requests, which others have.
    Queued,
    /// That the client brings or takes a body, which it does at so many bytes a second.
    Slow { rate: u64 },
    /// That something is said in another protocol.
    Tunnel,
}

impl Standing {
    pub(super) fn since(kind: Kind, since: Instant, now: Instant) -> Self {
        Self { kind, age: now.saturating_duration_since(since) }
    }

    /// Bytes a second of one that is slow with a body; none: it is not.
    pub(super) fn slow_rate(self) -> Option<u64> {
        match self.kind {
            Kind::Slow { rate } if rate < SLOW => Some(rate),
            _ => None,
        }
    }

    /// None: it does not give way.
    pub(super) fn rank(self, need: Need) -> Option<Rank> {
        let oldest_first = || u64::MAX - u64::try_from(self.age.as_micros()).unwrap_or(u64::MAX);
        let needs_place = need == Need::Place;
        match self.kind {
            Kind::Leaving if needs_place => Some((0, oldest_first())),
            Kind::Idle if needs_place && self.age >= GRACE => Some((1, oldest_first())),
            Kind::IdleWithBytes if self.age >= GRACE => Some((1, oldest_first())),
            Kind::Head if self.age >= GRACE => Some((2, oldest_first())),
            Kind::Slow { rate } if rate < SLOW => Some((3, rate)),
            Kind::Queued if needs_place && self.age >= QUEUE_GRACE => Some((4, oldest_first())),
            Kind::Tunnel if needs_place && self.age >= TUNNEL_GRACE => Some((5, oldest_first())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind, milliseconds: u64) -> Standing {
        Standing { kind, age: Duration::from_millis(milliseconds) }
    }

    #[test]
    fn who_gives_least_reason_to_stay_goes_first() {
        let order = [
            of(Kind::Leaving, 0),
            of(Kind::Idle, 9_000),
            of(Kind::IdleWithBytes, 8_000),
            of(Kind::Head, 70),
            of(Kind::Head, 60),
            of(Kind::Slow { rate: 0 }, 250),
            of(Kind::Slow { rate: 1_000 }, 250),
            of(Kind::Queued, 600),
            of(Kind::Tunnel, 60_000),
            of(Kind::Tunnel, 3_000),
        ];
        let ranks = order.map(|standing| standing.rank(Need::Place).unwrap());
        assert!(ranks.is_sorted());
    }

    #[test]
    fn nobody_goes_who_has_only_just_come_or_is_fast() {
        for standing in [
            of(Kind::Idle, 49),
            of(Kind::IdleWithBytes, 49),
            of(Kind::Head, 49),
            of(Kind::Slow { rate: SLOW }, 250),
            of(Kind::Queued, 249),
            of(Kind::Tunnel, 249),
        ] {
            assert_eq!(standing.rank(Need::Place), None, "{standing:?}");
        }
    }

    #[test]
    fn who_holds_no_bytes_has_none_to_give() {
        for kind in [Kind::Leaving, Kind::Idle, Kind::Queued, Kind::Tunnel] {
            assert_eq!(of(kind, 60_000).rank(Need::Bytes), None, "{kind:?}");
        }
        for kind in [Kind::IdleWithBytes, Kind::Head, Kind::Slow { rate: 0 }] {
            assert!(of(kind, 60_000).rank(Need::Bytes).is_some(), "{kind:?}");
        }
    }
}
