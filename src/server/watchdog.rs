//! Liveness: systemd is told that the server lives only while it really answers.
//!
//! A ping from a timer thread alone would go on while every worker is blocked; a ping from a task
//! could stall although the server answers. So a thread pings, and only if since its last ping
//! the accept loop has ticked and a request through the real router has been answered. When the
//! pings stop, systemd kills and restarts the instance (`WatchdogSec=`, systemd.service(5)).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::{MissedTickBehavior, interval};

use super::connection::{self, Host};
use super::stream::Stream;
use crate::health::{ProbeError, Report, ask};

/// Shares of the watchdog's time between two looks of the thread: more than the two that
/// `sd_watchdog_enabled(3)` asks for, so that one late probe is no missed ping.
const LOOKS: u32 = 4;

/// Signs of life, counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Pulse(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    beats: AtomicU64,
    answers: AtomicU64,
}

impl Pulse {
    /// The accept loop runs.
    pub(super) fn beat(&self) {
        self.0.beats.fetch_add(1, Relaxed);
    }

    /// The router has answered.
    pub(super) fn answered(&self) {
        self.0.answers.fetch_add(1, Relaxed);
    }

    fn counts(&self) -> [u64; 2] {
        [self.0.beats.load(Relaxed), self.0.answers.load(Relaxed)]
    }
}

/// Starts the thread that looks for signs of life and passes on whether there were new ones since
/// it last saw some. `timeout` is `WATCHDOG_USEC`.
///
/// # Errors
/// Where no thread can be started.
pub(super) fn start(
    timeout: Duration,
    pulse: Pulse,
    found: impl Fn(bool) + Send + 'static,
) -> std::io::Result<()> {
    let run = move || {
        let mut seen = pulse.counts();
        loop {
            thread::sleep(timeout / LOOKS);
            let now = pulse.counts();
            let alive = now.iter().zip(seen).all(|(now, seen)| *now > seen);
            if alive {
                seen = now;
            }
            found(alive);
        }
    };
    thread::Builder::new().name("watchdog".into()).spawn(run).map(drop)
}

/// Time between two self-probes: the configured one, but always a few within the watchdog's time.
pub(super) fn probe_interval(configured: Duration, watchdog: Option<Duration>) -> Duration {
    watchdog.map_or(configured, |watchdog| configured.min(watchdog / LOOKS))
}

/// Asks the server itself for its health for ever, each `every`, and counts the answers.
pub(super) async fn probe_for_ever(own: Own, every: Duration, pulse: Pulse) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        match own.probe().await {
            Ok(_) => {
                pulse.answered();
                if std::mem::take(&mut failing) {
                    tracing::info!("answers its own health request again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(%error, "does not answer its own health request");
                }
            }
        }
    }
}

/// The way to the server's own router that passes no shared socket: behind that a sibling could
/// answer.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) host: Arc<Host>,
    /// Path of the health answer.
    pub(super) path: String,
    /// How long one answer may take.
    pub(super) timeout: Duration,
}

impl Own {
    /// One health request through the same code that serves every connection.
    ///
    /// # Errors
    /// Where no good answer comes in time.
    pub(super) async fn probe(&self) -> Result<Report, ProbeError> {
        let (client, server) = UnixStream::pair()
            .map_err(|source| ProbeError::Connect { path: "(own socket pair)".into(), source })?;
        let (host, patience) = (Arc::clone(&self.host), self.host.bounds.head);
        let serving = tokio::spawn(connection::serve(Stream::Unix(server), host, patience));
        let report = ask(client, &self.path, self.timeout).await;
        serving.abort();
        report
    }
}
