//! Clients as one wishes them, who must not notice that there are others: each asks ten times a second,
//! whether or not it was answered before.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::hostile::ground::Entrance;
use crate::hostile::{Result, broken};

/// Time between two requests of one client.
const EVERY: Duration = Duration::from_millis(100);

/// Time after which an answer is lost.
const DEADLINE: Duration = Duration::from_secs(15);

/// What they ask.
const NEW: &[u8] = b"GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const KEPT: &[u8] = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n";

/// What they expect at the end of the answer.
pub(crate) const SMALL: &str = "It serves.\n";

/// The good client that has the address of the attackers.
pub(crate) const NEIGHBOUR: &str = "a new connection from the address of the attack";

/// The good clients: what each is called, its address, and whether it keeps its connection.
const CLIENTS: [(&str, Ipv4Addr, bool); 3] = [
    ("a new connection from another address", Ipv4Addr::new(127, 9, 9, 9), false),
    ("a kept connection from another address", Ipv4Addr::new(127, 9, 9, 9), true),
    (NEIGHBOUR, Ipv4Addr::LOCALHOST, false),
];

/// One request of theirs.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Which client.
    pub(crate) who: &'static str,
    /// When it was due.
    pub(crate) at: Instant,
    /// How long it took.
    pub(crate) took: Duration,
    /// Why it was lost; none: it was answered with 200.
    pub(crate) lost: Option<String>,
    /// It was asked again on a new connection: the idle one that it was sent on had just ended.
    pub(crate) again: bool,
}

type Samples = Arc<Mutex<Vec<Sample>>>;

/// Good clients at work.
pub(crate) struct Good {
    samples: Samples,
    end: watch::Sender<bool>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Good {
    /// Lets them begin on a thread of their own.
    pub(crate) fn start(address: SocketAddr, entrance: Entrance) -> Self {
        let samples = Samples::default();
        let (end, ended) = watch::channel(false);
        let theirs = Arc::clone(&samples);
        let thread = std::thread::spawn(move || {
            entrance()?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let all = LocalSet::new();
            for (who, from, keeps) in CLIENTS {
                let client = Client { who, from: from.into(), address, keeps };
                all.spawn_local(client.run(Arc::clone(&theirs), ended.clone()));
            }
            // What is under way at the end is waited for: it may be what was lost.
            runtime.block_on(all);
            Ok(())
        });
        Self { samples, end, thread }
    }

    /// Waits until each was answered at least once.
    pub(crate) fn until_answered(&self) -> Result<()> {
        let begun = Instant::now();
        while !CLIENTS.iter().all(|(who, ..)| self.answers(who, None) > 0) {
            if begun.elapsed() > DEADLINE {
                return Err(broken("the good clients were not even answered before".into()));
            }
            std::thread::sleep(EVERY);
        }
        Ok(())
    }

    /// Whether each of those that count got so many answers to what it has asked since.
    pub(crate) fn are_served(
        &self,
        since: Instant,
        answers: usize,
        counts: impl Fn(&str) -> bool,
    ) -> bool {
        let mut those = CLIENTS.iter().filter(|(who, ..)| counts(who));
        those.all(|(who, ..)| self.answers(who, Some(since)) >= answers)
    }

    fn answers(&self, who: &str, since: Option<Instant>) -> usize {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let is_one = |sample: &&Sample| {
            sample.who == who
                && sample.lost.is_none()
                && since.is_none_or(|since| sample.at >= since)
        };
        samples.iter().filter(is_one).count()
    }

    /// Ends them; what became of all their requests.
    pub(crate) fn stop(self) -> Vec<Sample> {
        let _ = self.end.send(true);
        let _ = self.thread.join();
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One good client.
#[derive(Debug, Clone, Copy)]
struct Client {
    who: &'static str,
    from: IpAddr,
    address: SocketAddr,
    keeps: bool,
}

fn late() -> String {
    format!("no answer within {} s", DEADLINE.as_secs())
}

impl Client {
    async fn run(self, samples: Samples, mut ended: watch::Receiver<bool>) {
        let mut due = interval(EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut kept = None;
        loop {
            let at = tokio::select! {
                biased;
                _ = ended.wait_for(|ended| *ended) => return,
                at = due.tick() => at.into_std(),
            };
            let samples = Arc::clone(&samples);
            let note = move |lost: Option<String>, again: bool| {
                let sample = Sample { who: self.who, at, took: at.elapsed(), lost, again };
                samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            };
            if self.keeps {
                // It has one connection: what is due meanwhile waits, and its time runs.
                let mut again = false;
                match timeout(DEADLINE, self.ask_kept(kept.take(), &mut again)).await {
                    Ok(Ok(stream)) => {
                        kept = Some(stream);
                        note(None, again);
                    }
                    Ok(Err(error)) => note(Some(error), again),
                    Err(_) => note(Some(late()), again),
                }
            } else {
                tokio::task::spawn_local(async move {
                    match timeout(DEADLINE, self.ask()).await {
                        Ok(answer) => note(answer.err(), false),
                        Err(_) => note(Some(late()), false),
                    }
                });
            }
        }
    }

    async fn connect(&self) -> std::result::Result<TcpStream, String> {
        let connected = async {
            let socket = TcpSocket::new_v4()?;
            socket.set_nodelay(true)?;
            socket.bind(SocketAddr::new(self.from, 0))?;
            socket.connect(self.address).await
        };
        connected.await.map_err(|error: std::io::Error| format!("could not connect: {error}"))
    }

    async fn ask(&self) -> std::result::Result<(), String> {
        let mut stream = self.connect().await?;
        exchange(&mut stream, NEW).await.map_err(|failed| failed.why)
    }

    /// Asks on the connection that was kept. Where that has ended without a byte of an answer, it was idle for
    /// the server, and gave way to others just then: the request is asked again on a new one, as browsers and
    /// other clients of HTTP do (RFC 9112, 9.3.1), and `again` is set.
    async fn ask_kept(
        &self,
        kept: Option<TcpStream>,
        again: &mut bool,
    ) -> std::result::Result<TcpStream, String> {
        // One that the server has ended while it was idle is replaced.
        if let Some(mut stream) = kept.filter(is_open) {
            match exchange(&mut stream, KEPT).await {
                Ok(()) => return Ok(stream),
                Err(failed) if failed.is_unheard => *again = true,
                Err(failed) => return Err(failed.why),
            }
        }
        let mut stream = self.connect().await?;
        exchange(&mut stream, KEPT).await.map_err(|failed| failed.why)?;
        Ok(stream)
    }
}

/// Asks the kernel, and not what the runtime has seen of the socket so far.
fn is_open(stream: &TcpStream) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    recv(stream, &mut [0; 1], flags).is_err_and(|error| error == Errno::WOULDBLOCK)
}

/// Why a request was not answered.
struct Failed {
    why: String,
    /// The connection has ended, and nothing came.
    is_unheard: bool,
}

async fn exchange(stream: &mut TcpStream, request: &[u8]) -> std::result::Result<(), Failed> {
    let failed = |is_unheard: bool, why: String| Failed { why, is_unheard };
    let sent = stream.write_all(request).await;
    sent.map_err(|error| failed(true, format!("could not send: {error}")))?;
    let mut text = Vec::new();
    while !text.ends_with(SMALL.as_bytes()) {
        let read = stream.read_buf(&mut text).await;
        let is_unheard = text.is_empty();
        if read.map_err(|error| failed(is_unheard, format!("no answer: {error}")))? == 0 {
            let said = String::from_utf8_lossy(&text);
            let said = said.lines().next().unwrap_or_default();
            return Err(failed(is_unheard, format!("ended after {said:?}")));
        }
        if text.starts_with(b"HTTP/1.1 ") && text.len() >= 12 && &text[9..12] != b"200" {
            return Err(failed(false, String::from_utf8_lossy(&text[..12]).into_owned()));
        }
    }
    Ok(())
}
