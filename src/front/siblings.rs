//! The other instances of the app, asked to take over what this one cannot answer.
//!
//! Each fronted instance listens on `ID.relay.sock` beside its control socket `ID.sock`, in a folder
//! that only the app's user may enter. A sibling counts as healthy if it says so on its control
//! socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::health::{Status, probe};
use crate::unit::InstanceId;
use crate::upstream::{Address, Pool};

/// Ending of the name of a relay door: `1.relay.sock`.
const RELAY: &str = ".relay.sock";

/// How long what the siblings said is believed. A crash makes all requests in hand ask at once.
const FRESH: Duration = Duration::from_secs(1);

/// How long the siblings have to answer. They are on this machine; one that takes longer is no help.
const ANSWER: Duration = Duration::from_millis(500);

/// The other instances.
#[derive(Debug)]
pub(crate) struct Siblings {
    folder: PathBuf,
    own: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// When they were asked.
    asked: Option<Instant>,
    healthy: Vec<Arc<Sibling>>,
    /// Which of them is next.
    next: usize,
}

/// One other instance.
#[derive(Debug)]
pub(crate) struct Sibling {
    door: PathBuf,
    /// Connections to its relay door.
    pub(crate) pool: Arc<Pool>,
}

impl Siblings {
    /// Those of the instance `own`, in the folder that systemd made for the app.
    pub(crate) fn new(folder: &Path, own: InstanceId) -> Self {
        Self { folder: folder.into(), own: door(folder, own), known: Mutex::default() }
    }

    /// The path of the relay door of this instance.
    pub(crate) fn own_door(&self) -> &Path {
        &self.own
    }

    /// The healthy ones, each time in another order.
    pub(crate) async fn healthy(&self) -> Vec<Arc<Sibling>> {
        // Whoever comes while they are asked waits for what they say.
        let mut known = self.known.lock().await;
        if known.asked.is_none_or(|asked| asked.elapsed() >= FRESH) {
            let healthy = self.ask(&known.healthy).await;
            *known = Known { asked: Some(Instant::now()), healthy, next: known.next };
        }
        known.next = known.next.wrapping_add(1);
        let mut healthy = known.healthy.clone();
        if !healthy.is_empty() {
            let first = known.next % healthy.len();
            healthy.rotate_left(first);
        }
        healthy
    }

    /// Believes no longer that this one is healthy, until they are asked again.
    pub(crate) async fn doubt(&self, sibling: &Arc<Sibling>) {
        self.known.lock().await.healthy.retain(|other| !Arc::ptr_eq(other, sibling));
    }

    /// Closes connections to siblings that have been idle for too long; to be called about once a
    /// second.
    pub(crate) fn sweep(&self) {
        // Somebody asks at this moment: then it is no time to tidy up.
        if let Ok(known) = self.known.try_lock() {
            known.healthy.iter().for_each(|sibling| sibling.pool.sweep());
        }
    }

    async fn ask(&self, before: &[Arc<Sibling>]) -> Vec<Arc<Sibling>> {
        let doors = relay_doors(&self.folder).into_iter().filter(|door| *door != self.own);
        let asked = doors.map(async |door| {
            let report = probe(&control(&door)?, ANSWER).await.ok()?;
            (report.status == Status::Ok).then_some(door)
        });
        let healthy = join_all(asked).await.into_iter().flatten();
        healthy
            .map(|door| {
                let known = before.iter().find(|sibling| sibling.door == door);
                known.cloned().unwrap_or_else(|| {
                    let pool = Arc::new(Pool::new(Address::Unix(door.clone())));
                    Arc::new(Sibling { door, pool })
                })
            })
            .collect()
    }
}

fn door(folder: &Path, id: InstanceId) -> PathBuf {
    folder.join(format!("{id}{RELAY}"))
}

/// The control socket beside a relay door.
fn control(door: &Path) -> Option<PathBuf> {
    let id = door.file_name()?.to_str()?.strip_suffix(RELAY)?;
    Some(door.with_file_name(format!("{id}.sock")))
}

fn relay_doors(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_str().is_some_and(|path| path.ends_with(RELAY)))
        .collect()
}
