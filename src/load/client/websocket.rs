//! The WebSocket client: text messages on one connection, each of which has to come back (RFC 6455).

use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use tokio::io::AsyncWriteExt;

use super::connect::{Idle, Stream, connect, look};
use super::within;
use crate::load::frame::{Frame, Opcode, masked};
use crate::load::loss::Loss;
use crate::load::run::Client;
use crate::load::wire::{Fields, Incoming};

/// The nonce of the example of RFC 6455, 1.3. A fixed one will do: it only proves that the answer
/// was meant for a WebSocket.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What a server has to make of it.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Lengths of the messages, in turn, in bytes: one for each way in which a frame says its length.
const LENGTHS: [usize; 3] = [20, 2_000, 70_000];

/// The statuses with which a server says that it goes and that the client shall come again: "going
/// away" (RFC 6455, 7.4.1) and "service restart" (the IANA registry of close codes).
const COME_AGAIN: [u16; 2] = [1001, 1012];

/// An open WebSocket.
struct Socket {
    stream: Stream,
    buffer: BytesMut,
}

/// What a client finds that looks into its WebSocket between two messages.
enum Found {
    /// It can be used.
    Open(Socket),
    /// The server has said that it goes.
    Announced,
    /// The server has ended the connection in order, without a word.
    Ended,
}

/// Runs one client until the run stops.
pub(super) async fn run(client: &Client) {
    let mut socket = None;
    let mut first = true;
    let mut number = 0;
    while let Some(attempt) = client.begin() {
        number += 1;
        let message = message(number);
        let exchange = exchange(client, socket.take(), &message);
        let outcome = within(client.mix().deadline, exchange).await;
        let lost = outcome.is_err();
        attempt.settle(outcome.map(|open| socket = Some(open)));
        client.gap(mem::take(&mut first), lost).await;
    }
    if let Some(mut socket) = socket {
        // 1000, "normal closure". Whether it arrives is of no interest any more.
        drop(socket.send(Opcode::Close, &1000_u16.to_be_bytes()).await);
    }
}

/// The text of the message with this number: no two alike, so that an echo cannot be another's.
fn message(number: usize) -> String {
    let length = LENGTHS[number % LENGTHS.len()];
    let number = format!("{number} ");
    number.repeat(length.div_ceil(number.len()))[..length].to_owned()
}

/// Sends one message and reads its echo.
async fn exchange(client: &Client, before: Option<Socket>, text: &str) -> Result<Socket, Loss> {
    let mut socket = match before {
        None => Socket::open(client).await?,
        Some(socket) => match socket.look().await? {
            Found::Open(socket) => socket,
            found => {
                let opened = Socket::open(client).await?;
                let mut numbers = client.tally().numbers();
                numbers.reconnects += 1;
                numbers.idle_closes += u64::from(matches!(found, Found::Ended));
                opened
            }
        },
    };
    socket.send(Opcode::Text, text.as_bytes()).await?;
    let echo = socket.message().await?;
    if echo.len() != text.len() {
        return Err(Loss::Length { expected: text.len() as u64, got: echo.len() as u64 });
    }
    match echo.iter().zip(text.as_bytes()).position(|(got, sent)| got != sent) {
        Some(at) => Err(Loss::Differs { at: at as u64 }),
        None => Ok(socket),
    }
}

impl Socket {
    /// Connects and shakes hands.
    async fn open(client: &Client) -> Result<Self, Loss> {
        let target = &client.mix().target;
        let mut stream = connect(target, None).await.map_err(Loss::Connect)?;
        client.tally().numbers().connections += 1;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n",
            client.group().request.path,
            target.host(),
        );
        stream.write_all(request.as_bytes()).await.map_err(Loss::Send)?;
        let mut buffer = BytesMut::new();
        let mut incoming = Incoming::new(&mut stream, &mut buffer);
        let agrees = |fields: &Fields<'_>| {
            fields.says(&UPGRADE, "websocket")
                && fields.says(&CONNECTION, "upgrade")
                && fields.list(&SEC_WEBSOCKET_ACCEPT).eq([ACCEPT])
        };
        let (head, agrees) = incoming.head(agrees).await?;
        let expected = StatusCode::SWITCHING_PROTOCOLS;
        if head.status != expected {
            return Err(Loss::Status { expected, got: head.status });
        }
        if !agrees {
            return Err(Loss::Malformed("it does not agree to a WebSocket".to_owned()));
        }
        Ok(Self { stream, buffer })
    }

    /// Deals with what has come since the last message.
    async fn look(mut self) -> Result<Found, Loss> {
        loop {
            while let Some(frame) = Frame::take(&mut self.buffer)? {
                match frame.opcode {
                    Opcode::Close if frame.status().is_some_and(|s| COME_AGAIN.contains(&s)) => {
                        return Ok(Found::Announced);
                    }
                    Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                        return Err(Loss::Unasked(frame.payload.len()));
                    }
                    _ => self.control(&frame).await?,
                }
            }
            let between_frames = self.buffer.is_empty();
            if between_frames {
                match look(&self.stream) {
                    Idle::Quiet => return Ok(Found::Open(self)),
                    Idle::Ended => return Ok(Found::Ended),
                    Idle::Broken(source) => return Err(Loss::Receive { received: 0, source }),
                    Idle::Unasked(_) => {}
                }
            }
            self.need_more().await?;
        }
    }

    /// Reads one message, whatever parts it comes in.
    async fn message(&mut self) -> Result<Bytes, Loss> {
        let mut whole: Option<BytesMut> = None;
        loop {
            let frame = loop {
                match Frame::take(&mut self.buffer)? {
                    Some(frame) => break frame,
                    None => self.need_more().await?,
                }
            };
            match (frame.opcode, &mut whole) {
                (Opcode::Text, None) => whole = Some(BytesMut::from(frame.payload)),
                (Opcode::Continuation, Some(whole)) => whole.extend_from_slice(&frame.payload),
                (Opcode::Text | Opcode::Continuation | Opcode::Binary, _) => {
                    return Err(Loss::Malformed("a frame belongs to no text message".to_owned()));
                }
                _ => {
                    self.control(&frame).await?;
                    continue;
                }
            }
            if frame.last {
                return Ok(whole.unwrap_or_default().freeze());
            }
        }
    }

    /// Deals with a control frame that is no welcome end.
    async fn control(&mut self, frame: &Frame) -> Result<(), Loss> {
        match frame.opcode {
            Opcode::Ping => self.send(Opcode::Pong, &frame.payload).await,
            Opcode::Close => Err(Loss::Closed(frame.status())),
            _ => Ok(()),
        }
    }

    async fn send(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Loss> {
        // Unpredictable, as RFC 6455, 5.3 asks for.
        let [a, b, c, d, ..] = RandomState::new().build_hasher().finish().to_be_bytes();
        let frame = masked(opcode, payload, [a, b, c, d]);
        self.stream.write_all(&frame).await.map_err(Loss::Send)
    }

    /// Reads more of a frame, which [`Frame::take`] bounds: it may come in small pieces, and is longer than any head.
    async fn need_more(&mut self) -> Result<(), Loss> {
        let mut incoming = Incoming::new(&mut self.stream, &mut self.buffer);
        if incoming.read().await? { Ok(()) } else { Err(Loss::Ended { received: 0 }) }
    }
}
