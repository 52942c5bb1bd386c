//! The accept loop.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::connection::{self, Host};
use super::sockets::Listeners;
use super::stream::Stream;
use super::watchdog::Pulse;
use crate::front::App;

/// Pause after an error of accept(2) that will not pass by itself, such as too many open files:
/// long enough not to spin, short enough for the queue.
const BACKOFF: Duration = Duration::from_millis(50);

/// How often the queue is looked into while all connections are taken.
const CROWDED_LOOK: Duration = Duration::from_millis(50);

/// How often the accept loop shows that it runs. Well below any sensible `WatchdogSec=`.
const BEAT: Duration = Duration::from_millis(500);

/// Lets the public connections in, up to a count.
#[derive(Debug)]
pub(super) struct Door {
    host: Arc<Host>,
    /// One permit for each connection that may still come.
    slots: Arc<Semaphore>,
    pulse: Pulse,
    /// Nobody is let in while it is down; none: this instance answers by itself.
    app: Option<App>,
}

impl Door {
    pub(super) fn new(host: Arc<Host>, pulse: Pulse, app: Option<App>) -> Self {
        let slots = Arc::new(Semaphore::new(host.bounds.connections));
        Self { host, slots, pulse, app }
    }

    /// Connections that are open now.
    pub(super) fn open(&self) -> usize {
        self.host.bounds.connections.saturating_sub(self.slots.available_permits())
    }

    /// Accepts until `end` is ready, and not one connection after it. When the most connections
    /// are open, further ones stay in the kernel's queue until one ends.
    pub(super) async fn accept_until(&self, listeners: &Listeners, end: impl Future<Output = ()>) {
        let mut end = pin!(end);
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut complained = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut end => return,
                _ = beat.tick() => {
                    self.pulse.beat();
                    continue;
                }
                accepted = self.accept_while_serving(listeners) => accepted,
            };
            match accepted {
                Ok((stream, slot)) => {
                    complained = false;
                    self.serve(stream, slot);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if !complained {
                        tracing::error!(%error, "cannot accept connections; trying again");
                        complained = true;
                    }
                    tokio::select! {
                        biased;
                        () = &mut end => return,
                        () = sleep(BACKOFF) => {}
                    }
                }
            }
        }
    }

    /// Serves connections that were accepted elsewhere, as far as there is room.
    pub(super) fn admit(&self, streams: Vec<Stream>) {
        for stream in streams {
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                self.serve(stream, slot);
            }
        }
    }

    /// Waits until no connection is open.
    pub(super) async fn wait_until_empty(&self) {
        let all = u32::try_from(self.host.bounds.connections).unwrap_or(u32::MAX);
        // It fails only on a closed semaphore, and nobody closes this one.
        let _ = self.slots.acquire_many(all).await;
    }

    /// What is in the queue while the app is down is for the siblings.
    async fn accept_while_serving(
        &self,
        listeners: &Listeners,
    ) -> io::Result<(Stream, OwnedSemaphorePermit)> {
        let Some(app) = &self.app else { return self.accept(listeners).await };
        loop {
            app.until_serving(true).await;
            tokio::select! {
                biased;
                () = app.until_serving(false) => {}
                accepted = self.accept(listeners) => return accepted,
            }
        }
    }

    async fn accept(&self, listeners: &Listeners) -> io::Result<(Stream, OwnedSemaphorePermit)> {
        let slot = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => self.next_slot(listeners).await?,
        };
        let stream = poll_fn(|cx| listeners.poll_accept(cx)).await?;
        Ok((stream, slot))
    }

    /// Waits until a connection ends. While somebody waits outside, those that only wait for a request
    /// give way, the oldest first.
    async fn next_slot(&self, listeners: &Listeners) -> io::Result<OwnedSemaphorePermit> {
        let mut slot = pin!(Arc::clone(&self.slots).acquire_owned());
        loop {
            let crowded = listeners.has_waiting();
            self.host.crowd.set_full(crowded);
            if crowded {
                self.host.crowd.make_room();
            }
            tokio::select! {
                biased;
                slot = &mut slot => {
                    self.host.crowd.set_full(false);
                    return slot.map_err(io::Error::other);
                }
                () = sleep(CROWDED_LOOK) => {}
            }
        }
    }

    fn serve(&self, stream: Stream, slot: OwnedSemaphorePermit) {
        stream.send_without_delay();
        let host = Arc::clone(&self.host);
        tokio::spawn(async move {
            connection::serve(stream, host).await;
            drop(slot);
        });
    }
}

/// Errors that accept(2) passes on from the one connection it tried to take.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted,
        NetworkDown, NetworkUnreachable, PermissionDenied, TimedOut, WouldBlock,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | PermissionDenied
            | TimedOut
            | WouldBlock
    )
}
