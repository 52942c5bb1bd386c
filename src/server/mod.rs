//! `romuo-server`: what an instance runs.
//!
//! | part | holds |
//! |---|---|
//! | `sockets`, `stream` | listening sockets, inherited or bound here; a connection |
//! | `accept`, `crowd`, `connection`, `http1`, `http2` | from the queue to the end of a connection |
//! | `tunnel` | a connection that speaks another protocol |
//! | `activity`, `exchange`, `drain`, `ending` | what a connection is doing, and how it and the server end unharmed |
//! | `handoff` | what is idle goes to a sibling |
//! | `router`, `site`, `files` | what is answered |
//! | `fronted` | an instance whose requests are answered by the app's own program |
//! | `figures`, `memory`, `control` | health, and the door to ask for it |
//! | `recycle` | the end of an instance that nears its memory limit or has got old |
//! | `side_door` | doors beside the public one |
//! | `relay` | the door for the siblings of a fronted instance |
//! | `exec` | an instance that is the app's own program |
//! | `standin` | what turns clients away for an instance that is errored, until it is tried again |
//! | `life` | all of it, from the sockets to the last response |
//! | `signals`, `notify`, `status`, `watchdog`, `logging` | what systemd says, and what it and the journal are told |

mod accept;
mod activity;
mod bounds;
mod command;
mod connection;
mod control;
mod crowd;
mod drain;
mod ending;
mod error;
mod exchange;
mod exec;
mod figures;
mod files;
mod fronted;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod handoff;
mod http1;
mod http2;
mod life;
mod logging;
mod memory;
mod notify;
mod recycle;
mod relay;
mod router;
mod side_door;
mod signals;
mod site;
mod sockets;
mod standin;
mod status;
mod stream;
mod tunnel;
mod watchdog;

#[cfg(test)]
mod tests;

pub use command::{command, main};
pub use error::ServerError;
pub(crate) use memory::of_machine as machine_memory;

use crate::release::Place;
use crate::unit::InstanceId;

/// Threads that run connections. More instances are how an app uses more CPUs. A second thread would
/// be woken for each request that the first one hears of: it took a fifth of the requests that one
/// front passed on, and added a fifth to the time of a single one.
const WORKERS: usize = 1;

/// Threads that may block on files at the same time. A site's files are mostly in the page cache,
/// and tokio's own limit of 512 stacks would not fit the memory of an instance.
const FILE_THREADS: usize = 8;

/// Runs a server until SIGTERM or SIGINT, and then until its last request is answered.
///
/// # Errors
/// Where it does not come up. Once it serves, it ends well.
pub fn serve(place: Place, instance: Option<InstanceId>) -> Result<(), ServerError> {
    logging::init(&place.settings().name);
    memory::give_back();
    // Before the first thread, as it edits the environment.
    let inherited = sockets::inherited()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(FILE_THREADS)
        .thread_name("worker")
        .enable_all()
        .build()
        .map_err(ServerError::setup("the runtime"))?;
    // Its own task: on this thread each connection would be handed to a worker.
    let life = runtime.spawn(life::live(place, instance, inherited));
    let result = runtime.block_on(life).unwrap_or_else(|panic| {
        Err(ServerError::Setup { what: "the server", source: panic.into() })
    });
    // Connections that outlived the drain, and file reads under way, are not waited for.
    runtime.shutdown_background();
    result
}
