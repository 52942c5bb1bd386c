//! What stands in for an instance that is errored, until it is tried again.
//!
//! The unit's own process does, before it becomes what it is: the server, or the app's program where that takes the
//! sockets itself. It tells systemd that it is up, and why it is not what it seems: a unit that stays `activating`
//! has a start job for as long, behind which a reload of the app, and the next `systemctl start`, would wait. While
//! no other instance serves, it takes the connections of the shared sockets and turns each away with 503 and the
//! time of the next try. When the pause is over it ends, and well; systemd starts the instance anew, and the crash
//! guard lets it through for one try. A SIGTERM before that, as of a stop or a restart, ends it by its default.
//!
//! | part | holds |
//! |---|---|
//! | `answer` | what a connection is told |
//! | `siblings` | whether another instance serves |

mod answer;
mod siblings;

use std::future::poll_fn;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use self::siblings::Siblings;
use super::notify;
use super::side_door::BACKOFF;
use super::sockets::{self, Listeners};
use super::stream::Stream;
use crate::clock::BootTime;
use crate::guard::{ERRORED, Errored, Guard};
use crate::unit::InstanceId;

/// How often it looks at the clock, which also runs while the machine sleeps, and whether another instance serves.
const TICK: Duration = Duration::from_millis(500);

/// How often the line in `systemctl status` is renewed.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// Connections at the same time. Each is answered within a millisecond of its request, and is bounded by
/// [`answer::PATIENCE`] otherwise; all their buffers together are a quarter of a megabyte.
const CONNECTIONS: usize = 64;

/// Pause between two looks whether the stand-in has begun, which takes milliseconds.
const BEGIN_PAUSE: Duration = Duration::from_millis(10);

/// How long those that are being answered when the pause is over have to end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Stands in for the instance, if it is errored and to be tried again later; none: it is not. `folder`: the runtime
/// folder of the instances. It may edit the environment: call it before the first thread.
pub(super) fn instead_of(id: InstanceId, folder: &Path) -> Option<ExitCode> {
    let guard = Guard::at(folder, id);
    // A guard that cannot keep its count stays out of the way.
    let errored = guard.stand_in().unwrap_or_else(|error| {
        eprintln!("{error}");
        None
    })?;
    let inherited = sockets::inherited().unwrap_or_else(|error| {
        eprintln!("The stand-in of instance {id} answers nobody: {error}");
        Vec::new()
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.and_then(|runtime| {
        runtime.block_on(async {
            let listeners = Listeners::new(inherited)?;
            live(errored, Siblings::new(folder, id), &listeners).await;
            std::io::Result::Ok(())
        })
    });
    let noted = ended
        .map_err(|error| error.to_string())
        .and_then(|()| guard.pause_over(BootTime::now()).map_err(|error| error.to_string()));
    Some(match noted {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("The stand-in of instance {id} failed: {error}");
            ExitCode::FAILURE
        }
    })
}

/// Of an instance that is errored and to be tried again later, whether its stand-in has begun; waits for that for
/// `patience` at the most. None: it is not errored.
pub(super) fn begins(id: InstanceId, folder: &Path, patience: Duration) -> Option<bool> {
    let guard = Guard::at(folder, id);
    let begun = Instant::now();
    loop {
        let state = guard.state();
        state.stand_in()?;
        if state.stands_in || begun.elapsed() >= patience {
            return Some(state.stands_in);
        }
        std::thread::sleep(BEGIN_PAUSE);
    }
}

/// Turns connections away until the pause is over.
async fn live(errored: Errored, mut siblings: Siblings, listeners: &Listeners) {
    let status = || format!("{ERRORED}{}", errored.sentence(BootTime::now()));
    notify::ready(&status());
    let watchdog = sd_notify::watchdog_enabled();
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut ticks = interval(watchdog.map_or(TICK, |time| TICK.min(time / 6)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut said, mut pinged) = (Instant::now(), Instant::now());
    loop {
        let taken = tokio::select! {
            biased;
            _ = ticks.tick() => {
                if BootTime::now() >= errored.retry_at {
                    break;
                }
                if watchdog.is_some_and(|time| pinged.elapsed() >= time / 3) {
                    pinged = Instant::now();
                    notify::ping();
                }
                if said.elapsed() >= STATUS_EVERY {
                    said = Instant::now();
                    notify::status(&status());
                }
                siblings.look().await;
                continue;
            }
            taken = take(listeners, &siblings, &slots) => taken,
        };
        match taken {
            Ok((stream, slot)) => {
                let retry_after = siblings.retry_after(errored, BootTime::now());
                let is_crowded = slots.available_permits() < CONNECTIONS / 2;
                let patience = if is_crowded { answer::HURRY } else { answer::PATIENCE };
                tokio::spawn(async move {
                    answer::turn_away(stream, retry_after, patience).await;
                    drop(slot);
                });
            }
            // Such as too few descriptors: there will be some.
            Err(_) => sleep(BACKOFF).await,
        }
    }
    notify::status("the pause is over: it is tried again");
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    let _ = timeout(FAREWELL, slots.acquire_many(all)).await;
}

/// A connection, as soon as there is one, there is room for it, and nobody serves who could take it: this is looked
/// at once more before each is taken out of the queue.
async fn take(
    listeners: &Listeners,
    siblings: &Siblings,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(Stream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(std::io::Error::other)?;
    // One that serves now is looked at again with the next tick, which begins this anew.
    let stream =
        poll_fn(|cx| if siblings.serve() { Poll::Pending } else { listeners.poll_accept(cx) });
    Ok((stream.await?, slot))
}
