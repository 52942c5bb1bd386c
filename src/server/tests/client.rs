//! A client that sends exactly what it is told and shows exactly what comes back.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a test waits for at the most before it fails; never waited for by one that passes.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

pub(super) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// A response with a known length.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn code(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }

    pub(super) fn is_last(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, unread: Vec::new() }
    }

    pub(super) async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).await.unwrap();
    }

    pub(super) async fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    /// Sends a request without a body and reads the response.
    pub(super) async fn ask(&mut self, method: &str, path: &str, headers: &str) -> Answer {
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await;
        if method == "HEAD" { self.head().await } else { self.answer().await }
    }

    /// Reads a response without its body.
    pub(super) async fn head(&mut self) -> Answer {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                let head = String::from_utf8(self.unread.drain(..end + 4).collect()).unwrap();
                return Answer { head, body: String::new() };
            }
            assert!(self.read().await > 0, "closed before a response: {:?}", self.unread);
        }
    }

    /// Reads a response.
    pub(super) async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        let length: usize = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        while self.unread.len() < length {
            assert!(self.read().await > 0, "closed within a response");
        }
        answer.body = String::from_utf8(self.unread.drain(..length).collect()).unwrap();
        answer
    }

    /// Reads until the server closes; all that came.
    pub(super) async fn rest(&mut self) -> String {
        while self.read().await > 0 {}
        String::from_utf8(std::mem::take(&mut self.unread)).unwrap()
    }

    /// Reads until the server closes, whatever it sends and however it closes; all that came.
    pub(super) async fn rest_of_bytes(&mut self) -> Vec<u8> {
        loop {
            let reading = self.stream.read_buf(&mut self.unread);
            if matches!(timeout(DEADLINE, reading).await.expect("stays open"), Ok(0) | Err(_)) {
                return std::mem::take(&mut self.unread);
            }
        }
    }

    /// Reads this many bytes.
    pub(super) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            assert!(self.read().await > 0, "closed after {:?}", self.unread);
        }
        self.unread.drain(..count).collect()
    }

    pub(super) async fn read(&mut self) -> usize {
        let reading = self.stream.read_buf(&mut self.unread);
        timeout(DEADLINE, reading).await.expect("nothing came").unwrap()
    }

    pub(super) async fn close_sending(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
