//! The cases, each a row: what is sent, what has to come of it, the most memory, and how good clients fare
//! meanwhile. In every row no instance is killed or restarted, memory stays below its limit and is back within
//! 15 s, and good clients are answered, with a p99 below a second.

mod app;
mod h1;
mod h2;
mod upload;

use std::time::Duration;

use crate::hostile::exchange::Ask;
use crate::hostile::ground::{Against, Memory};
use crate::hostile::script::Clients;

/// One row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What happens, and what is promised beyond what every row promises, for a person.
    pub(crate) says: (&'static str, &'static str),
    /// Whom it meets.
    pub(crate) against: &'static [Against],
    /// What is sent.
    pub(crate) kind: fn() -> Kind,
    /// How long an attack lasts at the most, in seconds; and in a quick run.
    pub(crate) lasts: (u64, u64),
    /// The most that an instance may hold, in MiB, where that is less than its limit.
    pub(crate) most: Option<u64>,
    /// How soon after it memory has to be back.
    pub(crate) back: Duration,
    /// Who is served meanwhile.
    pub(crate) serves: Serves,
    /// What else is promised.
    pub(crate) also: &'static [Also],
    /// How often the app may die.
    pub(crate) deaths: u32,
    /// With which memory it belongs to a quick run.
    pub(crate) quick: &'static [Memory],
}

/// What is sent.
pub(crate) enum Kind {
    /// What these clients send.
    Attack(Vec<Clients>),
    /// These requests to the hostile app, one after the other.
    Asks(Vec<Ask>),
}

/// Which good clients are served meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serves {
    /// All.
    All,
    /// Those who have another address than the attackers.
    Others,
    /// The app is down for moments.
    Hardly,
}

/// What is promised besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Also {
    /// The server has ended each connection of the attack before its end.
    Ended,
    /// The server has ended a connection of the attack: it does not listen for ever.
    SentAway,
    /// No answer to the attackers says that the server failed.
    NoFailures,
    /// The app sees each client of this path go.
    Gone(&'static str),
    /// The app is not asked for this path more often than there were connections.
    Hits(&'static str),
    /// What dies of this path is of one instance.
    OneInstance(&'static str),
    /// A reload afterwards does not take longer.
    Reload(Duration),
}

const BOTH: &[Against] = &[Against::Site, Against::Front];
const FRONT: &[Against] = &[Against::Front];
const INHERIT: &[Against] = &[Against::Inherit];

/// How soon memory has to be back.
pub(crate) const BACK: Duration = Duration::from_secs(15);

/// A row as most are.
const fn row(name: &'static str, says: (&'static str, &'static str), kind: fn() -> Kind) -> Row {
    Row {
        name,
        says,
        against: BOTH,
        kind,
        lasts: (10, 1),
        most: None,
        back: BACK,
        serves: Serves::All,
        also: &[],
        deaths: 0,
        quick: &[],
    }
}

impl Row {
    const fn on(self, against: &'static [Against]) -> Self {
        Self { against, ..self }
    }

    /// In seconds, and in a quick run.
    const fn lasting(self, full: u64, quick: u64) -> Self {
        Self { lasts: (full, quick), ..self }
    }

    /// In MiB.
    const fn most(self, most: u64) -> Self {
        Self { most: Some(most), ..self }
    }

    /// In seconds.
    const fn back_within(self, seconds: u64) -> Self {
        Self { back: Duration::from_secs(seconds), ..self }
    }

    const fn serving(self, serves: Serves) -> Self {
        Self { serves, ..self }
    }

    const fn also(self, also: &'static [Also]) -> Self {
        Self { also, ..self }
    }

    const fn dying(self, deaths: u32) -> Self {
        Self { deaths, ..self }
    }

    /// It belongs to a quick run, with little memory.
    const fn quick(self) -> Self {
        Self { quick: &[Memory::Small], ..self }
    }

    /// So it does, with the usual memory too.
    const fn quick_both(self) -> Self {
        Self { quick: &[Memory::Usual, Memory::Small], ..self }
    }
}

/// Every row, in the order of the table.
pub(crate) fn all() -> Vec<Row> {
    [h2::ROWS, upload::ROWS, h1::ROWS, app::ROWS].concat()
}
