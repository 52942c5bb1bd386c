//! Connections to one address, kept for the next request.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::Body;
use tokio::time::timeout;

use super::body::{Answer, AnswerBody};
use super::error::{Failed, Sent, UpstreamError};
use super::exchange::Exchange;
use super::sending::BodyError;
use super::socket::{Address, Socket};
use super::turns::Turns;

/// How long a connect may take. It is on this machine: only a full queue of connections makes it wait.
const CONNECT: Duration = Duration::from_secs(5);

/// Connections that are made at a time. An app has a queue of those that it has not taken yet, often of 128
/// (listen(2)), and what comes while it is full is thrown away by the kernel: half of it.
const AT_ONCE: usize = 64;

/// How long a connection is kept. It has to be shorter than the app's own patience, or a request could
/// meet the close: Node waits for 5 s, and with 3 s none was seen to.
const IDLE: Duration = Duration::from_secs(3);

/// Of the time that the app says it waits (`Keep-Alive: timeout=5`), what is used, in percent.
const OF_TIMEOUT: u32 = 60;

/// Connections that are kept, at most: more than an app answers at the same time.
const KEPT: usize = 256;

/// The connections to one address. The one that was used last goes out first, so that those which are
/// too many grow old.
#[derive(Debug)]
pub(crate) struct Pool {
    address: Address,
    turns: Turns,
    idle: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The newest last.
    connections: Vec<Idle>,
    closed: bool,
}

#[derive(Debug)]
struct Idle {
    socket: Socket,
    since: Instant,
    terms: Terms,
}

/// How long a connection may be kept, as far as the app says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms(Duration);

impl Terms {
    /// What the head of an answer says.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let said =
            headers.get("keep-alive").and_then(|value| value.to_str().ok()).and_then(|text| {
                let mut words = text.split(',').map(str::trim);
                words.find_map(|word| {
                    let (name, value) = word.split_once('=')?;
                    name.eq_ignore_ascii_case("timeout").then(|| value.parse::<u32>().ok())?
                })
            });
        Self(said.map_or(IDLE, |seconds| {
            IDLE.min(Duration::from_secs(seconds.into()) * OF_TIMEOUT / 100)
        }))
    }
}

impl Pool {
    pub(crate) fn new(address: Address) -> Self {
        Self { address, turns: Turns::new(AT_ONCE), idle: Mutex::default() }
    }

    /// Where its connections lead.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request, and waits for the head of its answer. `fresh`: on a connection of its own.
    ///
    /// # Errors
    /// Where no answer begins; what is known of the request then.
    pub(crate) async fn send<B>(
        self: &Arc<Self>,
        request: Request<B>,
        fresh: bool,
    ) -> Result<Answer<B>, Failed<B>>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BodyError>,
    {
        let kept = if fresh { None } else { self.take() };
        let socket = match kept {
            Some(socket) => socket,
            None => match self.connect().await {
                Ok(socket) => socket,
                Err(error) => {
                    let (error, request) = (UpstreamError::Connect(error), Some(request));
                    return Err(Failed { error, sent: Sent::Nothing, request });
                }
            },
        };
        let (parts, body) = request.into_parts();
        let mut exchange = Exchange::new(socket, &parts, body);
        match poll_fn(|cx| exchange.poll_answer(cx)).await {
            Ok(head) => {
                let body = AnswerBody::new(&head, exchange, self);
                Ok(Answer { parts: head.parts, body })
            }
            Err(error) => {
                let sent = exchange.sent();
                let body = exchange.sending.untouched();
                let request = body.map(|body| Request::from_parts(parts, body));
                Err(Failed { error, sent, request })
            }
        }
    }

    async fn connect(&self) -> io::Result<Socket> {
        let connecting = async {
            let _turn = self.turns.take().await;
            self.address.connect().await
        };
        timeout(CONNECT, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Closes the connections that have been idle for too long.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let mut kept = self.kept();
        let is_old = |idle: &mut Idle| now.saturating_duration_since(idle.since) >= idle.terms.0;
        let old: Vec<_> = kept.connections.extract_if(.., is_old).collect();
        if kept.connections.is_empty() {
            kept.connections = Vec::new();
        }
        // Closing is for the kernel, and takes its time: not while others wait for a connection.
        drop(kept);
        drop(old);
    }

    /// Closes the connections that are idle, and keeps none from now on.
    pub(crate) fn close(&self) {
        let last =
            std::mem::replace(&mut *self.kept(), Kept { connections: Vec::new(), closed: true });
        drop(last);
    }

    /// Keeps a connection that nothing is under way on.
    pub(super) fn keep(&self, socket: Socket, terms: Terms) {
        if terms.0.is_zero() {
            return;
        }
        let idle = Idle { socket, since: Instant::now(), terms };
        let mut kept = self.kept();
        if !kept.closed && kept.connections.len() < KEPT {
            kept.connections.push(idle);
        }
    }

    /// The connection that was used last, of those that are still good. However short it was idle, the
    /// kernel is asked: the app may have closed it, or said more than it was asked for, and that
    /// would be taken for the answer to the next request.
    fn take(&self) -> Option<Socket> {
        loop {
            let idle = self.kept().connections.pop()?;
            if idle.since.elapsed() < idle.terms.0 && idle.socket.is_silent() {
                return Some(idle.socket);
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
