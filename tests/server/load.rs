//! Clients of every kind. None of them sends a request twice: each failure is a lost request.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};

/// Bytes of a response that is larger than the buffers on its way.
pub(crate) const LARGE: usize = 4 << 20;

/// Requests of each kind that have to be answered between two steps of a roll.
const MORE: usize = 5;

/// The pause of a client that pauses by its nature; a fraction of the linger in use.
const PAUSE: Duration = Duration::from_millis(50);

/// What one kind of client saw.
pub(crate) struct Outcome {
    pub(crate) kind: &'static str,
    pub(crate) answered: usize,
    pub(crate) lost: Vec<String>,
}

pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<Running>,
}

/// A client at work: its kind, what was answered so far, and in the end what was lost.
type Running = (&'static str, Arc<AtomicUsize>, JoinHandle<Vec<String>>);

/// One request of a client.
type Step = fn(&mut Client) -> io::Result<()>;

/// Starts a client of each kind.
pub(crate) fn start(address: SocketAddr) -> Load {
    let stop = Arc::new(AtomicBool::new(false));
    let kinds: [(&'static str, Step); 6] = [
        ("keep-alive", |client| client.exchange(&[GET], Duration::ZERO)),
        ("keep-alive with pauses", |client| {
            thread::sleep(PAUSE);
            client.exchange(&[GET], Duration::ZERO)
        }),
        ("a connection each", |client| {
            client.stream = None;
            client.exchange(&[GET], Duration::ZERO)
        }),
        ("half-sent", |client| {
            client.exchange(&["GET / HTT", "P/1.1\r\nHost: x\r", "\n\r\n"], PAUSE)
        }),
        ("half-sent body", |client| {
            let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n";
            client.exchange(&[head, "01234", "56789"], PAUSE)
        }),
        ("large", |client| {
            client.exchange(&["GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n"], Duration::ZERO)
        }),
    ];
    let mut clients: Vec<_> = kinds
        .into_iter()
        .map(|(kind, step)| {
            let (stop, answered) = (Arc::clone(&stop), Arc::<AtomicUsize>::default());
            let counted = Arc::clone(&answered);
            let run = move || {
                let mut client = Client { address, stream: None };
                let mut lost = Vec::new();
                while !stop.load(SeqCst) {
                    match step(&mut client) {
                        Ok(()) => drop(counted.fetch_add(1, SeqCst)),
                        Err(error) => {
                            client.stream = None;
                            lost.push(error.to_string());
                        }
                    }
                }
                lost
            };
            (kind, answered, thread::spawn(run))
        })
        .collect();
    let answered = Arc::<AtomicUsize>::default();
    let client = thread::spawn({
        let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
        move || http2(address, &stop, &answered)
    });
    clients.push(("HTTP/2", answered, client));
    Load { stop, clients }
}

impl Load {
    /// Waits until every kind of client got some more answers, or lost something.
    pub(crate) fn wait_for_more(&self) {
        let before: Vec<usize> =
            self.clients.iter().map(|(_, count, _)| count.load(SeqCst)).collect();
        for ((kind, answered, client), before) in self.clients.iter().zip(before) {
            while answered.load(SeqCst) < before + MORE {
                assert!(!client.is_finished(), "{kind}: the client is gone");
                thread::yield_now();
            }
        }
    }

    /// Ends all clients after the request they are at.
    pub(crate) fn stop(self) -> Vec<Outcome> {
        self.stop.store(true, SeqCst);
        self.clients
            .into_iter()
            .map(|(kind, answered, client)| {
                let lost = client.join().unwrap();
                Outcome { kind, answered: answered.load(SeqCst), lost }
            })
            .collect()
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// A client with a connection that it keeps for as long as the server does.
struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Client {
    /// Sends one request in parts with pauses between them, and reads the response.
    fn exchange(&mut self, parts: &[&str], pause: Duration) -> io::Result<()> {
        let mut stream = match self.stream.take() {
            Some(stream) if !is_closed(&stream)? => stream,
            _ => TcpStream::connect(self.address)?,
        };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                thread::sleep(pause);
            }
            stream.write_all(part.as_bytes())?;
        }
        if read_response(&mut stream)? {
            self.stream = Some(stream);
        }
        Ok(())
    }
}

/// Whether the server has closed the connection before a request was sent on it, as every client
/// with a pool of connections looks.
fn is_closed(stream: &TcpStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let closed = match stream.peek(&mut [0]) {
        Ok(0) => true,
        Ok(_) => return Err(io::Error::other("a response that nobody asked for")),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
        Err(_) => true,
    };
    stream.set_nonblocking(false)?;
    Ok(closed)
}

/// Reads a response to its end; whether the connection may be used again.
fn read_response(stream: &mut TcpStream) -> io::Result<bool> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::Error::other(format!("closed after {} bytes", bytes.len())));
        }
        bytes.extend_from_slice(&buffer[..count]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    if !head.starts_with("http/1.1 200") && !head.starts_with("http/1.1 405") {
        return Err(io::Error::other(head));
    }
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| io::Error::other("no length"))?;
    let mut left = length.saturating_sub(bytes.len() - end);
    while left > 0 {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::Error::other(format!("closed {left} bytes before the end")));
        }
        left = left.saturating_sub(count);
    }
    Ok(!head.contains("connection: close"))
}

/// A client of HTTP/2 that opens a new connection when it is told that the old one ends.
fn http2(address: SocketAddr, stop: &AtomicBool, answered: &AtomicUsize) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut lost = Vec::new();
        while !stop.load(SeqCst) {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                    .await
                    .unwrap();
            let connection = tokio::spawn(connection);
            while !stop.load(SeqCst) && sender.ready().await.is_ok() {
                let request = http::Request::get("http://x/").body(Empty::<Bytes>::new()).unwrap();
                match sender.try_send_request(request).await {
                    Ok(response) => {
                        match response.into_body().collect().await.map(Collected::to_bytes) {
                            Ok(body) if body == "hello" => {
                                answered.fetch_add(1, SeqCst);
                            }
                            Ok(_) => lost.push("a wrong body".into()),
                            Err(error) => lost.push(format!("{error:?}")),
                        }
                    }
                    Err(mut error) => {
                        if error.take_message().is_some() {
                            // It came back unsent: the connection had ended before.
                            break;
                        }
                        lost.push(format!("{:?}", error.into_error()));
                    }
                }
            }
            connection.abort();
        }
        lost
    })
}
