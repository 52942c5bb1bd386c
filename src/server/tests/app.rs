//! An app behind the front: it notes what it is asked, and answers what it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as the app has seen it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Request line and headers.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    /// The lines after a chunked body.
    pub(super) trailers: String,
}

impl Asked {
    /// `GET /path`.
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1")
    }

    /// The values of a header.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }
}

/// What the app does with a request.
pub(super) enum Deed {
    /// Answers with these bytes, and takes the next one.
    Answer(Vec<u8>),
    /// Sends these bytes and closes the connection.
    Close(Vec<u8>),
    /// Sends these bytes and hands the connection over.
    Handed(Vec<u8>, tokio::sync::mpsc::UnboundedSender<TcpStream>),
}

/// Answers 200 with this body.
pub(super) fn ok(body: &str) -> Deed {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    Deed::Answer(format!("{head}{body}").into())
}

pub(super) struct App {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Asked>>>,
    accepting: JoinHandle<()>,
}

impl App {
    /// An app that answers `ok`.
    pub(super) async fn start() -> Self {
        Self::with(|_| ok("ok")).await
    }

    pub(super) async fn with(deed: impl Fn(&Asked) -> Deed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, deed)
    }

    pub(super) fn on(
        listener: TcpListener,
        deed: impl Fn(&Asked) -> Deed + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (noted, deed) = (Arc::clone(&seen), Arc::new(deed));
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&noted), Arc::clone(&deed)));
            }
        });
        Self { address, seen, accepting }
    }

    /// What it has been asked so far.
    pub(super) fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }

    /// Ends with all its connections, as a killed one does.
    pub(super) async fn kill(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<Mutex<Vec<Asked>>>,
    deed: Arc<impl Fn(&Asked) -> Deed>,
) {
    let mut bytes = Vec::new();
    loop {
        let mut told = false;
        let asked = loop {
            if !told && wants_to_be_told(&bytes) {
                told = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok();
            }
            if let Some((asked, used)) = whole(&bytes) {
                bytes.drain(..used);
                break asked;
            }
            match stream.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        seen.lock().unwrap().push(asked.clone());
        let (answer, on) = match deed(&asked) {
            Deed::Answer(answer) => (answer, true),
            Deed::Close(answer) => (answer, false),
            Deed::Handed(answer, to) => {
                stream.write_all(&answer).await.unwrap();
                to.send(stream).unwrap();
                return;
            }
        };
        if stream.write_all(&answer).await.is_err() || !on {
            return;
        }
    }
}

fn wants_to_be_told(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.contains("\r\n\r\n") && text.to_ascii_lowercase().contains("\r\nexpect: 100-continue\r\n")
}

/// The first request of the bytes and its size, if it is whole.
fn whole(bytes: &[u8]) -> Option<(Asked, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut asked = Asked { head, body: Vec::new(), trailers: String::new() };
    let mut used = end;
    if let Some(length) = asked.all("content-length").first() {
        let length: usize = length.parse().unwrap();
        asked.body = bytes.get(end..end + length)?.to_vec();
        used += length;
    } else if asked.all("transfer-encoding") == ["chunked"] {
        loop {
            let line = bytes[used..].windows(2).position(|window| window == b"\r\n")?;
            let size = std::str::from_utf8(&bytes[used..used + line]).unwrap();
            let size = usize::from_str_radix(size.split(';').next().unwrap(), 16).unwrap();
            used += line + 2;
            if size == 0 {
                // The trailers, up to an empty line.
                let mut rest = &bytes[used - 2..];
                let end = rest.windows(4).position(|window| window == b"\r\n\r\n")?;
                rest = &rest[..end];
                asked.trailers = String::from_utf8_lossy(rest).trim().to_owned();
                used += rest.len() + 2;
                break;
            }
            asked.body.extend(bytes.get(used..used + size)?);
            bytes.get(used + size + 1)?;
            used += size + 2;
        }
    }
    Some((asked, used))
}
