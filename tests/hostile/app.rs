//! A hostile app: what it answers is chosen by the path. It writes down who asked what, one line each:
//! its process, its instance, what happened, method, target.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use listenfd::ListenFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, yield_now};
use tokio::time::sleep;

use crate::hostile::good::SMALL;
use crate::hostile::{LARGE, Result};

/// Bytes of a head that it reads.
const HEAD: usize = 64 << 10;

/// Bytes sent in one go of an answer that is large or never ends.
const PIECE: usize = 16 << 10;

/// A chunk, and a message of a WebSocket, of that size: one for all connections, since the app's memory counts
/// for the instance.
static CHUNK: LazyLock<Vec<u8>> =
    LazyLock::new(|| [b"4000\r\n", &[b'.'; PIECE][..], b"\r\n"].concat());
static MESSAGE: LazyLock<Vec<u8>> =
    LazyLock::new(|| [&[0x82, 126, 0x40, 0x00], &[0; PIECE][..]].concat());

/// How often an app that reads nothing looks whether its client is there.
const LOOK: Duration = Duration::from_secs(1);

/// A good answer without a body.
const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What it does after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// It closes the connection.
    Close,
    /// It goes on as if all were well: whoever takes the rest of this answer for the next one is lost.
    Serve,
    /// It keeps the connection and says nothing more.
    Hold,
}

/// What it does below `/x/`.
const ANSWERS: &[(&str, &[u8], After)] = &[
    ("close", b"", After::Close),
    ("garbage", b"\x16\x03\x01 this is no HTTP at all\r\n\r\n\0\xff", After::Close),
    ("garbage-held", b"\x16\x03\x01 this is no HTTP at all\r\n\r\n\0\xff", After::Hold),
    ("half-head", b"HTTP/1.1 200 OK\r\nContent-Le", After::Close),
    ("two-lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", After::Serve),
    (
        "both-framings",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        After::Serve,
    ),
    ("bare-lf", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", After::Serve),
    ("nul-in-head", b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 5\r\n\r\nhello", After::Serve),
    ("folded", b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 5\r\n\r\nhello", After::Serve),
    ("version", b"HTTP/3.7 200 OK\r\nContent-Length: 5\r\n\r\nhello", After::Serve),
    ("code", b"HTTP/1.1 99999 OK\r\nContent-Length: 5\r\n\r\nhello", After::Serve),
    ("length", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", After::Serve),
    ("length-huge", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello", After::Serve),
    ("upgrade", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", After::Serve),
    ("longer", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nstolen!", After::Serve),
    ("shorter", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello", After::Close),
    ("chunk-size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", After::Serve),
    ("chunk-huge", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello", After::Serve),
    ("chunk-cut", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", After::Close),
    ("trailers", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 7\r\nSet-Cookie: stolen\r\nX_Forwarded_For: stolen\r\n\r\n", After::Serve),
];

/// Runs it.
///
/// # Errors
/// Where it cannot listen, or write down what happens.
pub(crate) fn run(log: &Path) -> Result<()> {
    let log = OpenOptions::new().create(true).append(true).open(log)?;
    let instance = std::env::var("ROMUO_INSTANCE").unwrap_or_else(|_| "?".into());
    let log = Rc::new(Log { file: log, instance });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(async {
        let listener = listener().await?;
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(Duration::from_millis(10)).await;
                continue;
            };
            let log = Rc::clone(&log);
            tokio::task::spawn_local(async move {
                // Whatever became of it: the next one is as bad.
                let _ = Exchange { stream, log, begun: Vec::new() }.serve().await;
            });
        }
    }))
}

/// What systemd has handed over, or a port of its own.
async fn listener() -> Result<TcpListener> {
    if let Some(handed) = ListenFd::from_env().take_tcp_listener(0)? {
        handed.set_nonblocking(true)?;
        return Ok(TcpListener::from_std(handed)?);
    }
    let port: u16 = std::env::var("PORT")?.parse()?;
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".into());
    Ok(TcpListener::bind((host, port)).await?)
}

/// Where it writes what happens.
struct Log {
    file: File,
    instance: String,
}

impl Log {
    /// In one write, since all processes share the file.
    fn write(&self, what: &str, request: &str) {
        let line = format!("{} {} {what} {request}\n", std::process::id(), self.instance);
        let _ = (&self.file).write_all(line.as_bytes());
    }
}

/// A connection of the front.
struct Exchange {
    stream: TcpStream,
    log: Rc<Log>,
    /// What has come of the next request.
    begun: Vec<u8>,
}

impl Exchange {
    async fn serve(mut self) -> std::io::Result<()> {
        loop {
            let Some(head) = self.head().await? else { return Ok(()) };
            let mut words = head.split(' ');
            let (method, target) =
                (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let path = target.split('?').next().unwrap_or_default();
            let request = format!("{method} {target}");
            match path.split_at(path.len().min(3)) {
                ("/x/", name) => {
                    self.log.write("hit", &request);
                    if self.misbehave(name, &request).await? {
                        return Ok(());
                    }
                }
                _ => self.answer(path, &head).await?,
            }
        }
    }

    /// The next head; none: the front has nothing more to ask.
    async fn head(&mut self) -> std::io::Result<Option<String>> {
        loop {
            let end = self.begun.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                let rest = self.begun.split_off(end + 4);
                let head = std::mem::replace(&mut self.begun, rest);
                return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
            }
            if self.begun.len() > HEAD || self.stream.read_buf(&mut self.begun).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Answers well, on the whole.
    async fn answer(&mut self, path: &str, head: &str) -> std::io::Result<()> {
        match path {
            "/large" => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
                self.say(head.as_bytes()).await?;
                for _ in 0..LARGE / PIECE {
                    self.say(&[b'.'; PIECE]).await?;
                }
                self.say(&[b'.'; PIECE][..LARGE % PIECE]).await
            }
            "/echo" => {
                self.body(head).await?;
                self.say(EMPTY.as_bytes()).await
            }
            _ => {
                let length = SMALL.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{SMALL}");
                self.say(answer.as_bytes()).await
            }
        }
    }

    /// Does what it must not; whether the connection is over.
    async fn misbehave(&mut self, name: &str, request: &str) -> std::io::Result<bool> {
        match name {
            "die" => std::process::abort(),
            // Not even the rest of the request is read. It does see that its client goes: the sockets of one that
            // does not would count as memory that the instance never gives back.
            "deaf" => {
                while !has_left(&self.stream)? {
                    sleep(LOOK).await;
                }
                Ok(true)
            }
            "hang" => {
                let mut scrap = Vec::new();
                while self.stream.read_buf(&mut scrap).await.unwrap_or(0) > 0 {
                    scrap.clear();
                }
                self.log.write("gone", request);
                Ok(true)
            }
            "slow" => {
                sleep(Duration::from_secs(2)).await;
                self.say(EMPTY.as_bytes()).await?;
                Ok(false)
            }
            "endless" => {
                self.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
                self.for_ever(&CHUNK).await
            }
            "endless-head" => {
                self.say(b"HTTP/1.1 200 OK\r\n").await?;
                self.for_ever(b"X-More: and more and more and more\r\n").await
            }
            "head-of-1-mb" => {
                let value = "x".repeat(1 << 20);
                let answer =
                    format!("HTTP/1.1 200 OK\r\nX-Big: {value}\r\nContent-Length: 0\r\n\r\n");
                self.say(answer.as_bytes()).await?;
                Ok(false)
            }
            "flood-of-1xx" => {
                self.for_ever(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await
            }
            "ws" | "ws-flood" => {
                let head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                             Upgrade: websocket\r\n\r\n";
                self.say(head).await?;
                if name == "ws" {
                    // It says nothing, and sees its client go, as "deaf" does.
                    let mut scrap = Vec::new();
                    while self.stream.read_buf(&mut scrap).await.unwrap_or(0) > 0 {
                        scrap.clear();
                    }
                    return Ok(true);
                }
                // A binary message of 16 KiB.
                self.for_ever(&MESSAGE).await
            }
            _ => {
                let known = ANSWERS.iter().find(|(known, ..)| *known == name);
                let Some((_, answer, after)) = known else {
                    self.say(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await?;
                    return Ok(false);
                };
                self.say(answer).await?;
                if *after == After::Hold {
                    let mut scrap = Vec::new();
                    while self.stream.read_buf(&mut scrap).await? > 0 {
                        scrap.clear();
                    }
                }
                Ok(*after != After::Serve)
            }
        }
    }

    /// Reads the body of a request to its end.
    async fn body(&mut self, head: &str) -> std::io::Result<()> {
        let lines = head.to_ascii_lowercase();
        let length = lines.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|length| length.parse::<usize>().ok());
        let is_whole = |bytes: &[u8], seen: usize| match length {
            Some(length) => seen >= length,
            // Chunked, by an app that believes what it gets.
            None => bytes.ends_with(b"0\r\n\r\n"),
        };
        let mut body = std::mem::take(&mut self.begun);
        let mut seen = body.len();
        while !is_whole(&body, seen) {
            let keep = body.len().saturating_sub(8);
            body.drain(..keep);
            let read = self.stream.read_buf(&mut body).await?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            seen += read;
        }
        Ok(())
    }

    /// Then it is the others' turn, as in the event loops of real apps: what is measured is not how long this
    /// one writes without a break.
    async fn say(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await?;
        yield_now().await;
        Ok(())
    }

    async fn for_ever(&mut self, bytes: &[u8]) -> std::io::Result<bool> {
        loop {
            self.say(bytes).await?;
        }
    }
}

/// Whether the other end has closed its side, whatever there is to be read before that.
fn has_left(stream: &TcpStream) -> std::io::Result<bool> {
    let mut asked = [PollFd::new(stream, PollFlags::RDHUP)];
    poll(&mut asked, Some(&Timespec::default()))?;
    Ok(asked[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR))
}
