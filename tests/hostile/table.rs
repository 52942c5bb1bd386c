//! The table of docs/security.md.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::hostile::ground::Memory;
use crate::hostile::outcome::{Back, Outcome, Shown, megabytes};
use crate::hostile::rows::{Row, all};
use crate::hostile::{Result, broken};

/// Where the table begins in its document, and where it ends.
const BEGIN: &str = "<!-- table: made by scripts/hostile -->";
const END: &str = "<!-- end of table -->";

const HEAD: &str = "\
| attack | promised besides | on | most held of 300M | of 8M | p99 of good clients | slowest | memory back after |
|---|---|---|--:|--:|--:|--:|--:|
";

/// Writes the table in the place of what is there.
pub(crate) fn write(path: &Path, outcomes: &[Outcome]) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let parts =
        text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        return Err(broken(format!("{} has no place for the table", path.display())));
    };
    let mut table = String::from(HEAD);
    for row in all() {
        let its: Vec<_> = outcomes.iter().filter(|outcome| outcome.name == row.name).collect();
        // It goes to a string.
        let _ = writeln!(table, "{} {} |", begin(&row), figures(&its).join(" | "));
    }
    Ok(std::fs::write(path, format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))?)
}

/// The cells of a row that are known before it was brought about.
pub(crate) fn begin(row: &Row) -> String {
    let on: Vec<_> = row.against.iter().map(ToString::to_string).collect();
    let (what, promise) = row.says;
    format!("| {what} | {promise} | {} |", on.join(", "))
}

/// The other cells: the worst of what was seen on each.
fn figures(outcomes: &[&Outcome]) -> [String; 5] {
    let most = |memory| {
        let its = outcomes.iter().filter(|outcome| outcome.memory == memory);
        its.map(|outcome| outcome.most).max().map_or_else(String::new, megabytes)
    };
    let time = |of: fn(&Outcome) -> Option<Duration>| {
        let longest = outcomes.iter().filter_map(|outcome| of(outcome)).max();
        longest.map_or_else(String::new, |longest| Shown(longest).to_string())
    };
    [
        most(Memory::Usual),
        most(Memory::Small),
        time(|outcome| Some(outcome.good.p99)),
        time(|outcome| Some(outcome.good.worst)),
        time(|outcome| match outcome.back {
            Back::After(time) => Some(time),
            Back::Not | Back::Unasked => None,
        }),
    ]
}
