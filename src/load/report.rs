//! What became of every request.

use std::fmt;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::{Serialize, Serializer};

use super::loss::Loss;
use super::run::Run;
use super::tally::Numbers;

/// How many failures the table for a person shows.
const SHOWN: usize = 5;

/// The report of a load.
#[derive(Debug, Serialize)]
pub struct Report {
    #[serde(rename = "lasted_ms", serialize_with = "millis")]
    lasted: Duration,
    total: Figures,
    kinds: Vec<KindReport>,
    failures: Vec<Failure>,
}

/// The figures of one group of clients.
#[derive(Debug, Clone, Serialize)]
pub struct KindReport {
    /// What the clients did.
    pub kind: String,
    /// How many of them there were.
    pub clients: usize,
    /// Whether they are HTTP clients that keep their connections: only the server makes these open
    /// more than one each.
    pub keep_alive: bool,
    /// Their figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The figures of a load or of a group. `sent` is always `ok + lost`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Requests that a client decided to send.
    pub sent: u64,
    /// Requests whose whole expected answer came within the deadline.
    pub ok: u64,
    /// All others.
    pub lost: u64,
    /// Those of the lost ones that the server refused unprocessed (HTTP/2).
    pub refused: u64,
    /// Connections opened.
    pub connections: u64,
    /// Those of them that replaced a kept connection which the server had ended without a loss:
    /// announced by `Connection: close` or GOAWAY, or closed while idle and seen in time.
    pub reconnects: u64,
    /// Those of the reconnects where the server had closed a kept connection unannounced.
    pub idle_closes: u64,
    /// Time that half of the good answers did not exceed: from the decision to send to the last
    /// byte of the answer, without the client's own pauses. Rounded up by 6 % at the most.
    #[serde(rename = "p50_ms", serialize_with = "millis")]
    pub p50: Duration,
    /// Time that 99 % of the good answers did not exceed.
    #[serde(rename = "p99_ms", serialize_with = "millis")]
    pub p99: Duration,
    /// Time of the slowest good answer, exact.
    #[serde(rename = "slowest_ms", serialize_with = "millis")]
    pub slowest: Duration,
}

/// One lost request.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// What the client did.
    pub kind: String,
    /// Time from the start of the load to the loss.
    #[serde(rename = "since_start_ms", serialize_with = "millis")]
    pub since_start: Duration,
    /// What exactly happened.
    #[serde(serialize_with = "sentence")]
    pub loss: Loss,
}

impl Report {
    /// The report of a run that is over.
    pub(super) fn of(run: &Run) -> Self {
        let mut total = Numbers::default();
        let kinds = run.mix.groups.iter().zip(&run.tallies).map(|(group, tally)| {
            let numbers = tally.numbers();
            total.merge(&numbers);
            KindReport {
                kind: group.name(),
                clients: group.clients,
                keep_alive: group.kind.keeps_connection(),
                figures: Figures::of(&numbers),
            }
        });
        let kinds = kinds.collect();
        Self {
            lasted: run.lasted(),
            kinds,
            total: Figures::of(&total),
            failures: run.take_failures(),
        }
    }

    /// Requests sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.total.sent
    }

    /// Requests lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.total.lost
    }

    /// Time of the slowest good answer, without the client's own pauses.
    #[must_use]
    pub fn slowest(&self) -> Duration {
        self.total.slowest
    }

    /// Time from the start of the load to the end of its last request.
    #[must_use]
    pub fn lasted(&self) -> Duration {
        self.lasted
    }

    /// The figures of all clients together.
    #[must_use]
    pub fn total(&self) -> &Figures {
        &self.total
    }

    /// The figures of each group of clients, in the order of the mix.
    #[must_use]
    pub fn by_kind(&self) -> &[KindReport] {
        &self.kinds
    }

    /// The first 50 lost requests, in the order of their loss.
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }
}

impl Figures {
    fn of(numbers: &Numbers) -> Self {
        Self {
            sent: numbers.sent,
            ok: numbers.ok,
            lost: numbers.lost,
            refused: numbers.refused,
            connections: numbers.connections,
            reconnects: numbers.reconnects,
            idle_closes: numbers.idle_closes,
            p50: numbers.waits.percentile(50),
            p99: numbers.waits.percentile(99),
            slowest: numbers.waits.slowest(),
        }
    }

    fn row(&self, kind: &str, clients: usize) -> [String; 10] {
        [
            kind.to_owned(),
            clients.to_string(),
            self.sent.to_string(),
            self.lost.to_string(),
            self.refused.to_string(),
            self.connections.to_string(),
            self.reconnects.to_string(),
            short(self.p50),
            short(self.p99),
            short(self.slowest),
        ]
    }
}

/// The table for a person, without a newline at its end: a row per kind, the total, the first
/// failures.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(NOTHING).set_header([
            "kind of client",
            "clients",
            "requests",
            "lost",
            "refused",
            "connections",
            "reconnects",
            "p50",
            "p99",
            "slowest",
        ]);
        for kind in &self.kinds {
            table.add_row(kind.figures.row(&kind.kind, kind.clients));
        }
        let clients = self.kinds.iter().map(|kind| kind.clients).sum();
        table.add_row(self.total.row("all", clients));
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        write!(f, "{}", table.trim_fmt())?;
        for failure in self.failures.iter().take(SHOWN) {
            write!(f, "\nlost: {failure}")?;
        }
        let more = self.lost().saturating_sub(SHOWN as u64);
        if more > 0 { write!(f, "\nlost: {more} more") } else { Ok(()) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} after the start: {}", self.kind, short(self.since_start), self.loss)
    }
}

/// A duration in milliseconds or seconds, as a person reads it.
fn short(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 { format!("{:.2}ms", seconds * 1000.0) } else { format!("{seconds:.2}s") }
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1000.0)
}

fn sentence<S: Serializer>(loss: &Loss, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(loss)
}
