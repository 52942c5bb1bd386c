//! Runs the matrix, and writes its table.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::act;
use crate::faults::Fault;
use crate::stage::Stage;
use crate::{Result, broken};

/// Time after which the load of one fault ends by itself.
const LONGEST: Duration = Duration::from_secs(300);

/// Where the table begins in its document.
const BEGIN: &str = "<!-- table: made by scripts/reliability -->\n";

/// Where it ends.
const END: &str = "<!-- end of table -->";

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
    let verdict = result.map_err(told)?;
    if fault.kind.ends_serving() {
        stage.until_each_is_served().await.map_err(told)?;
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

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { fault: Fault { what, promise, .. }, sent, lost, verdict, took } = self;
        let seconds = took.as_secs_f64();
        write!(f, "| {what} | {promise} | {sent} | {lost} | {verdict} | {seconds:.1} s |")
    }
}

/// Writes the table between its markers.
pub(crate) fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let parts =
        text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        return Err(broken(format!("{} has no place for the table", path.display())));
    };
    let mut table = String::from(
        "\n| fault | promised | sent | lost | exit code and outcome | time |\n|---|---|--:|--:|---|--:|\n",
    );
    for row in rows {
        let _ = writeln!(table, "{row}");
    }
    Ok(std::fs::write(path, format!("{before}{BEGIN}{table}\n{END}{after}"))?)
}
