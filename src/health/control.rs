//! The control sockets of an app's instances: what they are called, and which siblings are well.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;

use super::probe::probe;
use super::report::Status;
use crate::unit::InstanceId;

/// Ending of a control socket's name: `1.sock`.
const SUFFIX: &str = "sock";

/// How long the siblings have to answer. They are on this machine and answer within
/// milliseconds; one that does not is no help to the clients either.
const SIBLINGS: Duration = Duration::from_millis(500);

/// The control socket of an instance, in the folder that systemd made for the app
/// (`RuntimeDirectory=`, systemd.exec(5)).
pub(crate) fn control_socket(folder: &Path, id: InstanceId) -> PathBuf {
    folder.join(format!("{id}.{SUFFIX}"))
}

/// The instances of the app besides `own` that are up and say that they serve. One that drains itself
/// is no help.
pub(crate) async fn healthy_siblings(folder: &Path, own: InstanceId) -> Vec<InstanceId> {
    let all = siblings(folder, own).await.into_iter();
    all.filter(|(_, status)| *status == Some(Status::Ok)).map(|(id, _)| id).collect()
}

/// The instances of the app besides `own` that have a control socket, and how each is; none for one
/// that does not say. All are asked at once.
pub(crate) async fn siblings(folder: &Path, own: InstanceId) -> Vec<(InstanceId, Option<Status>)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let siblings = entries.filter_map(|entry| instance_of(&entry.ok()?.path()));
    let asked = siblings.filter(|id| *id != own).map(async |id| {
        let report = probe(&control_socket(folder, id), SIBLINGS).await;
        (id, report.ok().map(|report| report.status))
    });
    join_all(asked).await
}

/// Whose control socket this is; none: it is another file. The app's own sockets and the relay doors
/// lie beside them: `1.app.2.sock`, `1.relay.sock`.
fn instance_of(path: &Path) -> Option<InstanceId> {
    let is_socket = path.extension().is_some_and(|suffix| suffix == SUFFIX);
    path.file_stem().filter(|_| is_socket)?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sockets_of_apps_and_relay_doors_are_no_control_sockets() {
        let is = |name: &str| instance_of(&Path::new("/run/romuo/x").join(name)).is_some();
        assert!(is("1.sock") && is("12.sock"));
        for other in ["1.relay.sock", "1.idle.sock", "1.app.2.sock", "1.guard", "x.sock", ".sock"] {
            assert!(!is(other), "{other}");
        }
    }
}
