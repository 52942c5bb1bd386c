//! The other instances of the app, asked to take over what this one cannot answer.
//!
//! Each fronted instance listens on `ID.relay.sock` beside its control socket, in a folder that only
//! the app's user may enter. A sibling counts as healthy if it says so on its control socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::health::healthy_siblings;
use crate::unit::InstanceId;
use crate::upstream::{Address, Pool};

/// Ending of the name of a relay door: `1.relay.sock`.
const RELAY: &str = ".relay.sock";

/// How long what the siblings said is believed. A crash makes all requests in hand ask at once.
const FRESH: Duration = Duration::from_secs(1);

/// The other instances.
#[derive(Debug)]
pub(crate) struct Siblings {
    folder: PathBuf,
    own: InstanceId,
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
    id: InstanceId,
    /// Connections to its relay door.
    pub(crate) pool: Arc<Pool>,
}

impl Siblings {
    /// Those of the instance `own`, in the folder that systemd made for the app.
    pub(crate) fn new(folder: &Path, own: InstanceId) -> Self {
        Self { folder: folder.into(), own, known: Mutex::default() }
    }

    /// The path of the relay door of this instance.
    pub(super) fn own_door(&self) -> PathBuf {
        self.door(self.own)
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
        let healthy = healthy_siblings(&self.folder, self.own).await;
        // An instance that has only just opened its control socket has no relay door yet.
        let reachable = healthy.into_iter().filter(|id| self.door(*id).exists());
        reachable
            .map(|id| {
                let known = before.iter().find(|sibling| sibling.id == id);
                known.cloned().unwrap_or_else(|| {
                    let pool = Arc::new(Pool::new(Address::Unix(self.door(id))));
                    Arc::new(Sibling { id, pool })
                })
            })
            .collect()
    }

    fn door(&self, id: InstanceId) -> PathBuf {
        self.folder.join(format!("{id}{RELAY}"))
    }
}
