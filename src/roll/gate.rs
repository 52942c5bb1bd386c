//! When an instance counts as good. Pure.

use crate::health::{Report, Status};
use crate::unit::InstanceId;

/// When an instance counts as good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// How many good probes in a row it takes; none: it has no control socket to be asked on, and
    /// that it is up is enough.
    pub good: Option<u32>,
    /// How many failed probes in a row are too many.
    pub failures: u32,
    /// The release that it has to report; none: whichever.
    pub release: Option<String>,
}

/// Why an answer to a probe is not a good one.
pub(super) enum Bad {
    Unwell(String),
    /// It is well, but is not what it is to be: what it runs.
    Other(String),
}

/// Whether an answer to a probe shows a healthy instance, the right one and the release it is to run; which
/// start of its program has answered.
pub(super) fn judge(
    instance: InstanceId,
    release: Option<&str>,
    answer: Result<Box<Report>, String>,
) -> Result<Option<u32>, Bad> {
    let report = answer.map_err(Bad::Unwell)?;
    let unwell = |reason: &str| Err(Bad::Unwell(reason.into()));
    match report.status {
        Status::Ok => {}
        Status::Draining => return unwell("it is draining"),
        Status::Failing => return unwell("its program is down or does not answer well"),
    }
    match report.instance {
        Some(id) if id == instance.to_string() => {}
        id => {
            let who = id.as_deref().unwrap_or("none");
            return unwell(&format!("the answer came from instance {who}"));
        }
    }
    if let Some(release) = release
        && report.release.as_deref() != Some(release)
    {
        let runs = report.release.as_deref().unwrap_or("none");
        return Err(Bad::Other(format!("release {runs}, and not {release}")));
    }
    Ok(report.app.map(|app| app.generation))
}
