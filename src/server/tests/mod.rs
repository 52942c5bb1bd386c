//! The server on real sockets, in this process.

mod app;
mod bounds;
mod client;
mod crowd;
mod drain;
mod front;
mod full;
mod handoff;
mod liveness;
mod odd;
mod paths;
mod pressure;
mod raw;
mod site;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::accept::Door;
use super::bounds::Bounds;
use super::connection::{Handler, Host};
use super::crowd::Crowd;
use super::drain::Drain;
use super::figures::Answers;
use super::router::{Health, Public};
use super::sockets::{Bound, Listeners};
use super::stream::Stream;
use super::watchdog::Pulse;
use crate::budget::Budget;
use crate::config::Subnet;
use crate::front::Pace;
use client::Client;

/// Longer than any test waits: what should not happen in a test gets this time.
const NEVER: Duration = Duration::from_secs(3600);

/// Short enough to wait for.
const SOON: Duration = Duration::from_millis(50);

/// Bounds that no test meets by chance.
fn wide() -> Bounds {
    Bounds {
        head: NEVER,
        park: NEVER,
        keep_alive: NEVER,
        stall: NEVER,
        silence: NEVER,
        farewell: NEVER,
        hang_up: NEVER,
        connections: 100,
        slow: 100,
        pace: Pace { rate: 0, grace: NEVER, silence: NEVER },
        piece: 64 << 10,
        tunnel_idle: NEVER,
    }
}

/// A host with room for everybody.
fn host(handler: Handler, drain: Drain, bounds: Bounds) -> Host {
    Host {
        handler,
        answered: Arc::default(),
        drain,
        linger: NEVER,
        bounds,
        crowd: Crowd::default(),
        budget: Budget::unbounded(),
        proxies: Subnet::loopback().to_vec(),
    }
}

/// A server on a port of its own.
struct Server {
    address: SocketAddr,
    door: Arc<Door>,
    drain: Drain,
    answered: Arc<Answers>,
    stop: Option<oneshot::Sender<()>>,
    accepting: JoinHandle<Listeners>,
}

/// What the public listeners of an instance without a site answer.
fn public(health: Health) -> Handler {
    Handler::Public(Arc::new(Public::new("/health", health, None)))
}

impl Server {
    fn start(router: Router, bounds: Bounds, linger: Duration) -> Self {
        Self::with(|_| Handler::Router(router), bounds, linger)
    }

    /// A server whose handler may want to know of the drain.
    fn with(handler: impl FnOnce(&Drain) -> Handler, bounds: Bounds, linger: Duration) -> Self {
        Self::of(|drain| Host { linger, ..host(handler(&drain), drain, bounds) })
    }

    /// A server of this host.
    fn of(host: impl FnOnce(Drain) -> Host) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listeners = Listeners::new(vec![Bound::Tcp(listener)]).unwrap();
        let drain = Drain::default();
        let host = Arc::new(host(drain.clone()));
        let answered = Arc::clone(&host.answered);
        let door = Arc::new(Door::new(host, Pulse::default(), None));
        let (stop, stopped) = oneshot::channel::<()>();
        let accepting = tokio::spawn({
            let door = Arc::clone(&door);
            async move {
                let end = async {
                    let _ = stopped.await;
                };
                door.accept_until(&listeners, end).await;
                listeners
            }
        });
        Self { address, door, drain, answered, stop: Some(stop), accepting }
    }

    async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Stops accepting and begins the drain.
    async fn begin_drain(&mut self) {
        let waiting = self.stop_accepting().await;
        self.drain.close();
        self.door.admit(waiting);
    }

    /// Stops accepting; brings what waits in the queue.
    async fn stop_accepting(&mut self) -> Vec<Stream> {
        drop(self.stop.take());
        (&mut self.accepting).await.unwrap().close()
    }

    /// Waits for the last connection to end.
    async fn drained(&self) {
        let empty = self.door.wait_until_empty();
        tokio::time::timeout(client::DEADLINE, empty).await.expect("a connection stays open");
    }
}

/// A router whose `/gated` tells when it has begun and answers when it may.
struct Gate {
    begun: Arc<Notify>,
    open: Arc<Notify>,
}

impl Gate {
    fn router() -> (Router, Self) {
        let gate = Self { begun: Arc::default(), open: Arc::default() };
        let (begun, open) = (Arc::clone(&gate.begun), Arc::clone(&gate.open));
        let gated = async move || {
            begun.notify_one();
            open.notified().await;
            "at last"
        };
        let router = Router::new()
            .route("/", get(async || "hello"))
            .route("/echo", post(async |body: String| body))
            .route("/gated", get(gated));
        (router, gate)
    }
}
