//! The table of docs/security.md.

use std::fmt::Write as _;
use std::path::Path;

use crate::hostile::rows::{Row, all};
use crate::hostile::trial::{Outcome, Shown, megabytes};
use crate::hostile::{Result, broken};

/// Where the table begins in its document, and where it ends.
const BEGIN: &str = "<!-- table: made by scripts/hostile -->";
const END: &str = "<!-- end of table -->";

const HEAD: &str = "| attack | promised, besides what is above | on | memory | most held | good clients: p99 | slowest | memory back after |
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
        for outcome in outcomes.iter().filter(|outcome| outcome.name == row.name) {
            line(&mut table, &row, outcome);
        }
    }
    Ok(std::fs::write(path, format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))?)
}

fn line(table: &mut String, row: &Row, outcome: &Outcome) {
    let Outcome { against, memory, most, good, back, .. } = outcome;
    let back = back.flatten().map_or_else(|| "not".into(), |back| Shown(back).to_string());
    let (what, promise) = row.says;
    // It goes to a string.
    let _ = writeln!(
        table,
        "| {what} | {promise} | {against} | {memory} | {} | {} | {} | {back} |",
        megabytes(*most),
        Shown(good.p99),
        Shown(good.worst),
    );
}
