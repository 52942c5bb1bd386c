//! The HTTP/1.1 clients: one request after the other, never a second try.

use std::mem;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncWriteExt;

use super::connect::{Idle, Stream, connect, look};
use super::within;
use crate::load::kind::Kind;
use crate::load::loss::Loss;
use crate::load::mix::Request;
use crate::load::run::{Attempt, Client};
use crate::load::wire::{AtOnce, Pace, read_answer};

/// Pieces of a slow body.
const PIECES: u32 = 30;

/// Size of the kernel's receive buffer of a slow download, in bytes: so small that the server
/// feels the slowness, and not below the segments of the loopback interface (64 KiB), which would
/// turn slow into stalled.
const SMALL_BUFFER: u32 = 64 * 1024;

/// The connection that an exchange leaves to the next one.
enum Link {
    /// None: at the start, after a loss, or as the client keeps none.
    None,
    /// The server has said that it closes after its answer.
    Announced,
    /// Kept, as far as the client knows.
    Kept(Kept),
}

/// A connection and what was read from it beyond the last answer.
struct Kept {
    stream: Stream,
    buffer: BytesMut,
}

/// Runs one client until the run stops.
pub(super) async fn run(client: &Client) {
    let message = Message::of(client);
    let mut link = Link::None;
    let mut first = true;
    while let Some(mut attempt) = client.begin() {
        let before = mem::replace(&mut link, Link::None);
        let exchange = exchange(client, &message, before, &mut attempt);
        let outcome = within(client.mix().deadline, exchange).await;
        let lost = outcome.is_err();
        attempt.settle(outcome.map(|after| link = after));
        client.gap(mem::take(&mut first), lost).await;
    }
}

/// Sends one request and reads its answer.
async fn exchange(
    client: &Client,
    message: &Message,
    before: Link,
    attempt: &mut Attempt,
) -> Result<Link, Loss> {
    let kind = client.group().kind;
    let mut kept = match before {
        Link::None => open(client).await?,
        Link::Announced => {
            let opened = open(client).await?;
            client.tally().numbers().reconnects += 1;
            opened
        }
        Link::Kept(kept) => match look(&kept.stream) {
            Idle::Quiet => kept,
            Idle::Unasked(count) => return Err(Loss::Unasked(count)),
            // A client of HTTP sees no difference: nothing was under way.
            Idle::Ended | Idle::Broken(_) => {
                let opened = open(client).await?;
                let mut numbers = client.tally().numbers();
                numbers.reconnects += 1;
                numbers.idle_closes += 1;
                opened
            }
        },
    };
    message.send(kind, &mut kept.stream, attempt).await?;
    let Kept { stream, buffer } = &mut kept;
    let request = &client.group().request;
    let keep = match kind {
        Kind::SlowDownload { over } => {
            let mut pace = Throttle { over, owed: Duration::ZERO, attempt };
            read_answer(stream, buffer, request, &mut pace).await?
        }
        _ => read_answer(stream, buffer, request, &mut AtOnce).await?,
    };
    Ok(match (kind.keeps_connection(), keep) {
        (false, _) => Link::None,
        (true, false) => Link::Announced,
        (true, true) => Link::Kept(kept),
    })
}

async fn open(client: &Client) -> Result<Kept, Loss> {
    let receive_buffer =
        matches!(client.group().kind, Kind::SlowDownload { .. }).then_some(SMALL_BUFFER);
    let stream = connect(&client.mix().target, receive_buffer).await.map_err(Loss::Connect)?;
    client.tally().numbers().connections += 1;
    Ok(Kept { stream, buffer: BytesMut::new() })
}

/// A request as it goes over the wire.
struct Message {
    head: Bytes,
    body: Bytes,
    /// Head and body.
    whole: Bytes,
}

impl Message {
    fn of(client: &Client) -> Self {
        let Request { method, path, body, .. } = &client.group().request;
        let host = client.mix().target.host();
        // RFC 9110, 8.6: a POST says its length even where that is zero.
        let length = if body.is_empty() && method != http::Method::POST {
            String::new()
        } else {
            format!("Content-Type: application/octet-stream\r\nContent-Length: {}\r\n", body.len())
        };
        let connection =
            if client.group().kind.keeps_connection() { "" } else { "Connection: close\r\n" };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n{length}{connection}\r\n"
        );
        let mut whole = BytesMut::from(head.as_bytes());
        whole.put_slice(body);
        let whole = whole.freeze();
        Self { head: whole.slice(..head.len()), body: whole.slice(head.len()..), whole }
    }

    /// Sends it in the manner of the kind.
    async fn send(
        &self,
        kind: Kind,
        stream: &mut Stream,
        attempt: &mut Attempt,
    ) -> Result<(), Loss> {
        match kind {
            Kind::HalfSent { pause, .. } => {
                let half = self.head.len() / 2;
                write(stream, &self.whole[..half]).await?;
                attempt.pause(pause).await;
                write(stream, &self.whole[half..]).await
            }
            Kind::SlowUpload { over } => {
                write(stream, &self.head).await?;
                for piece in self.body.chunks(self.body.len().div_ceil(PIECES as usize).max(1)) {
                    attempt.pause(over / PIECES).await;
                    write(stream, piece).await?;
                }
                Ok(())
            }
            Kind::LateFirstByte { wait } => {
                attempt.pause(wait).await;
                write(stream, &self.whole).await
            }
            _ => write(stream, &self.whole).await,
        }
    }
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> Result<(), Loss> {
    stream.write_all(bytes).await.map_err(Loss::Send)
}

/// Reads a body over a given time.
struct Throttle<'a> {
    over: Duration,
    /// Pause that the bytes read so far call for and that was not yet made.
    owed: Duration,
    attempt: &'a mut Attempt,
}

/// Shortest pause of a slow download: the timer's own step is 1 ms, and what is below adds up.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// Length that is assumed of a body whose length is not told, in bytes.
const ASSUMED_LENGTH: u64 = 1024 * 1024;

impl Pace for Throttle<'_> {
    async fn read(&mut self, bytes: usize, length: Option<u64>) {
        let length = u128::from(length.unwrap_or(ASSUMED_LENGTH).max(1));
        let nanos = self.over.as_nanos() * (bytes as u128) / length;
        self.owed += Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        if self.owed >= SHORTEST_PAUSE {
            self.attempt.pause(mem::take(&mut self.owed)).await;
        }
    }
}
