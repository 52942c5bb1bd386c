//! Runs the matrix, and writes its table.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::act::{self, Verdict};
use crate::faults::{Fault, Kind};
use crate::stage::{By, Stage};
use crate::{Result, broken, table};

/// Time after which the load of one fault ends by itself.
const LONGEST: Duration = Duration::from_secs(300);

/// Where the table begins in its document.
const BEGIN: &str = "<!-- table: made by scripts/reliability -->\n";

/// What came of a fault.
pub(crate) struct Row {
    fault: Fault,
    sent: u64,
    lost: u64,
    verdict: String,
    took: Duration,
}

/// Boots a machine for a fault, brings it about, and insists on what is promised.
pub(crate) async fn run(fault: Fault) -> Result<Row> {
    let stage = Stage::boot(fault.by, fault.instances, LONGEST).await?;
    let result = act::roll(&stage, fault.kind).await;
    let journal = stage.journal().await;
    let told = |error| broken(format!("{}: {error}\n{journal}", fault.name));
    let verdict = result.and_then(|verdict| by_swap(fault, verdict)).map_err(told)?;
    if fault.kind.ends_serving() {
        stage.until_each_is_served(1).await.map_err(told)?;
    }
    let report = stage.load.stop().await;
    act::account(fault.kind, report.lost(), &report).map_err(told)?;
    Ok(Row {
        fault,
        sent: report.sent(),
        lost: report.lost(),
        verdict: format!("{}: {}", verdict.exit, verdict.sentence),
        took: verdict.took,
    })
}

/// Insists on a swap where the app is to be swapped.
fn by_swap(fault: Fault, verdict: Verdict) -> Result<Verdict> {
    let part = match (fault.by, fault.kind) {
        (By::Swap, Kind::Edited) => "restarted 1, 2, because their unit changed on disk",
        (By::Swap, Kind::Release(_)) => "was not swapped: ",
        (By::Swap, _) => ": swapped 1, 2",
        (By::Restart | By::Site, _) => return Ok(verdict),
    };
    if verdict.sentence.contains(part) {
        return Ok(verdict);
    }
    Err(broken(format!("{part:?} is not in {:?}", verdict.sentence)))
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { fault: Fault { what, promise, .. }, sent, lost, verdict, took } = self;
        let seconds = took.as_secs_f64();
        write!(f, "| {what} | {promise} | {sent} | {lost} | {verdict} | {seconds:.1} s |")
    }
}

/// Writes the table.
pub(crate) fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let mut text = String::from(
        "| fault | promised | sent | lost | exit code and outcome | time |\n|---|---|--:|--:|---|--:|\n",
    );
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
    table::write(path, BEGIN, &text)
}
