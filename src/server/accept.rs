//! The accept loop.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::bounds::{FEW, UNSENT};
use super::connection::{self, Host};
use super::crowd::{self, Need};
use super::sockets::Listeners;
use super::stream::Stream;
use super::watchdog::Pulse;
use crate::front::App;

/// Pause after an error of accept(2) that will not pass by itself, such as too many open files:
/// long enough not to spin, short enough for the queue.
const BACKOFF: Duration = Duration::from_millis(50);

/// How often the queue is looked into while all connections are taken: one that is asked to leave does
/// so at once, and this is how long it takes to find another one where it does not.
const CROWDED_LOOK: Duration = Duration::from_millis(10);

/// How many places are made at a time at the most: as many as one look finds.
const RUSH_MOST: usize = 64;

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
    /// How many places were made at a time when the last one had to wait for its place.
    rush: AtomicUsize,
    /// Connections that are open now. Whoever waits for all slots holds the free ones, so that these
    /// do not tell.
    open: Arc<AtomicUsize>,
    /// Where the idle ones go that siblings are to go on with.
    leaving: OnceLock<UnboundedSender<Held>>,
}

/// The right to be open, of one connection.
#[derive(Debug)]
struct Slot {
    open: Arc<AtomicUsize>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

/// An idle connection that nobody reads from at the moment, and its slot.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) stream: Stream,
    slot: Slot,
}

impl Door {
    pub(super) fn new(host: Arc<Host>, pulse: Pulse, app: Option<App>) -> Self {
        let slots = Arc::new(Semaphore::new(host.bounds.connections));
        // It ends with the host.
        tokio::spawn(crowd::relieve(Arc::downgrade(&host)));
        if app.is_some() {
            tokio::spawn(crowd::thin_out(Arc::downgrade(&host)));
        }
        Self {
            host,
            slots,
            pulse,
            app,
            rush: AtomicUsize::new(0),
            open: Arc::default(),
            leaving: OnceLock::new(),
        }
    }

    /// Connections that are open now.
    pub(super) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Accepts until `end` is ready, and not one connection after it. When the most connections
    /// are open, further ones stay in the kernel's queue until one ends.
    pub(super) async fn accept_until(
        self: &Arc<Self>,
        listeners: &Listeners,
        end: impl Future<Output = ()>,
    ) {
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
                    self.prepare(&stream);
                    self.serve(Held { stream, slot }, self.host.bounds.head);
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
    pub(super) fn admit(self: &Arc<Self>, streams: Vec<Stream>) {
        for held in streams.into_iter().map_while(|stream| self.hold(stream)) {
            self.prepare(&held.stream);
            self.serve(held, self.host.bounds.head);
        }
    }

    /// Gives a connection a slot; none: all are taken.
    pub(super) fn hold(&self, stream: Stream) -> Option<Held> {
        let permit = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        Some(Held { stream, slot: self.slot(permit) })
    }

    /// Waits for the next request of a connection that has been idle before.
    pub(super) fn go_on(self: &Arc<Self>, held: Held) {
        self.serve(held, self.host.bounds.keep_alive);
    }

    /// Whether a request that comes now is answered well.
    pub(super) fn is_serving(&self) -> bool {
        let is_up = self.app.as_ref().is_none_or(|app| app.report().healthy);
        is_up && !self.host.drain.has_begun()
    }

    /// From here on, brings each connection that is idle or gets so.
    pub(super) fn pass_on(&self) -> UnboundedReceiver<Held> {
        let (leaving, left) = unbounded_channel();
        if self.leaving.set(leaving).is_ok() {
            self.host.drain.pass_on();
        }
        left
    }

    /// Keeps what is idle from here on: nobody takes it any more.
    pub(super) fn keep(&self) {
        self.host.drain.close();
    }

    /// Waits until no connection is open.
    pub(super) async fn wait_until_empty(&self) {
        let all = u32::try_from(self.host.bounds.connections).unwrap_or(u32::MAX);
        // It fails only on a closed semaphore, and nobody closes this one.
        let _ = self.slots.acquire_many(all).await;
    }

    /// What is in the queue while the app is down is for the siblings.
    async fn accept_while_serving(&self, listeners: &Listeners) -> io::Result<(Stream, Slot)> {
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

    async fn accept(&self, listeners: &Listeners) -> io::Result<(Stream, Slot)> {
        let permit = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.next_slot(listeners).await?,
        };
        let stream = poll_fn(|cx| listeners.poll_accept(cx)).await?;
        Ok((stream, self.slot(permit)))
    }

    /// Waits until a connection ends. While somebody waits outside, those give way that only wait for
    /// their clients.
    async fn next_slot(&self, listeners: &Listeners) -> io::Result<OwnedSemaphorePermit> {
        let mut slot = pin!(Arc::clone(&self.slots).acquire_owned());
        // The more of those that came in a row had to wait for a place, the more places are made at a time: a
        // round for each would keep thousands waiting.
        let many = if listeners.has_waiting() {
            self.rush.fetch_update(Relaxed, Relaxed, |rush| Some((rush * 2).clamp(1, RUSH_MOST)))
        } else {
            self.rush.store(0, Relaxed);
            Ok(0)
        };
        let many = many.unwrap_or_default();
        for _ in 0..many {
            if !self.host.crowd.make_room(Need::Place) {
                break;
            }
        }
        loop {
            if listeners.has_waiting() {
                self.host.crowd.make_room(Need::Place);
            } else {
                self.rush.store(0, Relaxed);
            }
            tokio::select! {
                biased;
                slot = &mut slot => return slot.map_err(io::Error::other),
                () = sleep(CROWDED_LOOK) => {}
            }
        }
    }

    /// Sets what a new connection is to do in the kernel.
    fn prepare(&self, stream: &Stream) {
        stream.send_without_delay();
        let [with_few, with_many] = UNSENT;
        let are_few = self.open() <= self.host.bounds.connections / FEW;
        stream.keep_unsent_below(if are_few { with_few } else { with_many });
    }

    fn slot(&self, permit: OwnedSemaphorePermit) -> Slot {
        self.open.fetch_add(1, Relaxed);
        Slot { open: Arc::clone(&self.open), _permit: permit }
    }

    fn serve(self: &Arc<Self>, held: Held, patience: Duration) {
        let door = Arc::clone(self);
        tokio::spawn(async move {
            let Held { stream, slot } = held;
            let host = Arc::clone(&door.host);
            if let Some(stream) = connection::serve(stream, host, patience).await
                && let Some(leaving) = door.leaving.get()
            {
                // It fails only where nobody waits for the end of the drain any more.
                let _ = leaving.send(Held { stream, slot });
            }
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
