//! What hostile clients do, as data.

use std::net::Ipv4Addr;
use std::time::Duration;

/// What one client does on one connection, step by step.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Sends this, as far as the other side takes it.
    Send(Vec<u8>),
    /// Sends this again and again, to the end.
    Flood(Vec<u8>),
    /// Sends what is made of a number that counts up from 0, again and again, to the end or to this number.
    Make(fn(u32) -> Vec<u8>, u32),
    /// Sends this one byte after the other, with a pause before each, and from the beginning again.
    Drip(Vec<u8>, Duration),
    /// Sends this again and again, with a pause before each.
    Beat(Vec<u8>, Duration),
    /// Does nothing for a while.
    Pause(Duration),
    /// Does nothing to the end.
    Hold,
    /// Waits until as many bytes were read as this.
    Await(usize),
    /// Says that nothing more comes, and goes on reading.
    Half,
    /// Ends the connection with a reset.
    Reset,
    /// Ends the connection in order.
    Close,
}

/// How a client reads what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Whatever comes, at once.
    All,
    /// Nothing.
    Nothing,
    /// One byte after each pause.
    Slowly(Duration),
}

/// What a client does when its connection has ended, by whomever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing more.
    Rests,
    /// It begins anew.
    Again,
}

/// Where clients come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// All from the address that one of the good clients has too.
    One,
    /// From so many addresses in turn, none of them a good client's.
    Many(u8),
}

/// How many clients there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// So many; and so many in a quick run.
    Of(usize, usize),
    /// A quarter more than all instances together have connections for.
    Crowd,
    /// As many as that, and not one more.
    Full,
}

/// Clients that all do the same.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) count: Count,
    /// How long they wait before they come.
    pub(crate) after: Duration,
    pub(crate) from: From,
    pub(crate) steps: Vec<Step>,
    pub(crate) reads: Reads,
    pub(crate) then: Then,
}

impl Clients {
    /// Clients from one address that read whatever comes.
    pub(crate) fn new(count: Count, steps: Vec<Step>) -> Self {
        Self {
            count,
            after: Duration::ZERO,
            from: From::One,
            steps,
            reads: Reads::All,
            then: Then::Rests,
        }
    }

    pub(crate) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    pub(crate) fn from(self, from: From) -> Self {
        Self { from, ..self }
    }

    pub(crate) fn reading(self, reads: Reads) -> Self {
        Self { reads, ..self }
    }

    pub(crate) fn again(self) -> Self {
        Self { then: Then::Again, ..self }
    }
}

impl From {
    /// The address of the client of this number.
    pub(crate) fn address(self, number: usize) -> Ipv4Addr {
        match self {
            Self::One => Ipv4Addr::LOCALHOST,
            Self::Many(addresses) => {
                let last = number % usize::from(addresses.max(1)) + 1;
                Ipv4Addr::new(127, 1, 0, u8::try_from(last).unwrap_or(u8::MAX))
            }
        }
    }
}
