//! The app as a child of the front: started, asked for its health, started again when it has ended,
//! swapped for a new one, stopped.
//!
//! | part | holds |
//! |---|---|
//! | `machine` | what follows from what happens; pure |
//! | `supervisor` | does what the machine says |
//! | `lives`, `crashes` | what it has in hand: the lives under way, and the count of those that crashed |
//! | `swap` | the swaps that were asked for, and what came of them |
//! | `life` | one life of the app, from its start to its end |
//! | `child`, `processes`, `output` | its processes and their output |
//! | `environment`, `env_file` | their variables, and the file that some of them come from |
//! | `check` | the health question |

mod check;
mod child;
mod crashes;
mod env_file;
mod environment;
mod life;
mod lives;
mod machine;
mod output;
mod processes;
mod supervisor;
mod swap;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::process::Pid;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::route::Route;
use crate::config::Limits;
use crate::guard::Guard;
use crate::health::{AppReport, SwapState};
use crate::release::{Contents, Place};
use crate::unit::{InstanceId, drop_in_folders};

pub(crate) use env_file::read as env_file;
pub(crate) use output::stderr_is_journal;
use processes::Mains;
use swap::Objection;
pub(crate) use swap::Swapped;

/// What a life says, and which one.
type Told = (u32, life::News);

/// How to start the app and judge it.
struct Launch {
    place: Place,
    /// Where sockets are made (`RuntimeDirectory=`, systemd.exec(5)); none: by hand.
    runtime: Option<PathBuf>,
    /// Stands in for it: nobody else can put anything there.
    scratch: OnceLock<TempDir>,
    mains: Mains,
    identifier: String,
    instance: Option<InstanceId>,
    limits: Limits,
    /// Called at each sign of life.
    alive: Box<dyn Fn() + Send + Sync>,
}

impl Launch {
    /// Where sockets are made.
    ///
    /// # Errors
    /// Where there is no such folder, and none can be made.
    fn runtime_folder(&self) -> io::Result<&Path> {
        if let Some(folder) = &self.runtime {
            return Ok(folder);
        }
        if let Some(folder) = self.scratch.get() {
            return Ok(folder.path());
        }
        let folder = tempfile::Builder::new().prefix("romuo-").tempdir()?;
        Ok(self.scratch.get_or_init(|| folder).path())
    }
}

impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launch").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Why there is no app.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the app {reason}")]
pub(crate) struct AppError {
    /// The end of a sentence that begins with "the app".
    pub(crate) reason: String,
}

/// The app. Clones are handles of the same.
#[derive(Debug, Clone)]
pub(crate) struct App {
    orders: mpsc::UnboundedSender<Order>,
    state: watch::Receiver<Standing>,
    shared: Arc<Shared>,
    /// Folders of drop-ins for the unit that were there at the start.
    drop_ins: Arc<[PathBuf]>,
}

/// What somebody wants of the supervisor.
#[derive(Debug)]
enum Order {
    /// Can a swap be done now?
    Look(oneshot::Sender<SwapState>),
    Swap(oneshot::Sender<Swapped>),
    /// Until then at the latest.
    Stop(Instant),
}

/// How the app stands, for those who wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// Not yet, or not at the moment.
    Down,
    Serving,
    GivenUp(String),
    Stopped,
}

/// Figures, for those who look.
#[derive(Debug, Default)]
struct Shared(Mutex<Figures>);

#[derive(Debug, Default)]
struct Figures {
    pid: Option<u32>,
    restarts: u32,
    generation: u32,
    healthy: bool,
    /// What the one that serves runs.
    contents: Contents,
}

impl Shared {
    fn with<T>(&self, what: impl FnOnce(&mut Figures) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl App {
    /// Begins to start the app. `place`: what it is, decided for its first start; `runtime`: the folder that
    /// systemd made; `alive`: called at each sign of life.
    pub(crate) fn begin(
        place: Place,
        instance: Option<InstanceId>,
        runtime: Option<PathBuf>,
        route: Arc<Route>,
        alive: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        // Orphans of the app become our children, so that they end with it (prctl(2)). It fails on no
        // kernel that runs systemd 252.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        let guard = runtime.as_deref().zip(instance).map(|(folder, id)| Guard::at(folder, id));
        let settings = place.settings();
        let launch = Launch {
            place,
            runtime,
            scratch: OnceLock::new(),
            mains: Mains::default(),
            identifier: settings.name.to_string(),
            instance,
            limits: settings.limits.clone(),
            alive: Box::new(alive),
        };
        let (orders, received) = mpsc::unbounded_channel();
        let (standing, state) = watch::channel(Standing::Down);
        let shared = Arc::new(Shared::default());
        supervisor::start(launch, guard, route, Arc::clone(&shared), standing, received);
        let folders = instance.map(|id| drop_in_folders(&settings.name, id));
        let drop_ins = folders.into_iter().flatten().filter(|folder| folder.is_dir()).collect();
        Self { orders, state, shared, drop_ins }
    }

    /// Waits until it is well for the first time.
    ///
    /// # Errors
    /// Where it did not get well in time.
    pub(crate) async fn until_up(&self) -> Result<(), AppError> {
        let mut state = self.state.clone();
        match state.wait_for(|state| *state != Standing::Down).await.as_deref() {
            Ok(Standing::GivenUp(reason)) => Err(AppError { reason: reason.clone() }),
            Ok(_) => Ok(()),
            Err(_) => Err(AppError { reason: "was not started".into() }),
        }
    }

    /// Whether it serves now; and whether that changes.
    pub(crate) async fn until_serving(&self, wanted: bool) {
        let mut state = self.state.clone();
        let is_wanted = |state: &Standing| (*state == Standing::Serving) == wanted;
        if state.wait_for(is_wanted).await.is_err() && wanted {
            std::future::pending::<()>().await;
        }
    }

    /// Starts a new app beside the old one and moves the requests over, if it gets well.
    pub(crate) async fn swap(&self) -> Swapped {
        let ending = || Swapped::Refused(Objection::ending());
        self.order(Order::Swap).await.unwrap_or_else(ending)
    }

    /// Whether a swap can be done now, and what came of the last one.
    pub(crate) async fn swap_state(&self) -> SwapState {
        let ending =
            || SwapState { reason: Some(Objection::ending().reason), ..Default::default() };
        let state = self.order(Order::Look).await.unwrap_or_else(ending);
        SwapState { drop_ins: self.drop_ins.to_vec(), ..state }
    }

    /// What the supervisor says to an order; none: it has ended.
    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(order(answer)).ok()?;
        answered.await.ok()
    }

    /// How it is.
    pub(crate) fn report(&self) -> AppReport {
        self.shared.with(|figures| AppReport {
            pid: figures.pid,
            restarts: figures.restarts,
            generation: figures.generation,
            healthy: figures.healthy,
        })
    }

    /// What the one that serves runs, or the one that served last.
    pub(crate) fn contents(&self) -> Contents {
        self.shared.with(|figures| figures.contents.clone())
    }

    /// Waits until it is given up: the front is to end.
    pub(crate) async fn given_up(&self) -> AppError {
        let mut state = self.state.clone();
        let given_up = match state.wait_for(|state| matches!(state, Standing::GivenUp(_))).await {
            Ok(standing) => standing.clone(),
            Err(_) => Standing::Stopped,
        };
        match given_up {
            Standing::GivenUp(reason) => AppError { reason },
            _ => std::future::pending().await,
        }
    }

    /// Stops it: lets its requests end, asks it to end, and kills it; the last until then, but a
    /// moment after the first at the earliest. Told again, it hurries.
    pub(crate) async fn stop(&self, until: Instant) {
        // Without a supervisor there is no app either.
        if self.orders.send(Order::Stop(until)).is_ok() {
            let mut state = self.state.clone();
            let _ = state.wait_for(|state| *state == Standing::Stopped).await;
        }
    }
}

/// The process id as other programs print it.
fn id(pid: Pid) -> Option<u32> {
    u32::try_from(pid.as_raw_pid()).ok()
}
