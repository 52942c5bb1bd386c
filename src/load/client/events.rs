//! The client of an event stream, as a browser's `EventSource` is: reads events, comes again after
//! the end of the stream and says what it has seen (the HTML standard, "server-sent events").

use std::mem;

use bytes::{Buf, BytesMut};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::io::AsyncWriteExt;

use super::connect::{Stream, connect};
use super::within;
use crate::load::loss::Loss;
use crate::load::run::Client;
use crate::load::wire::{Fields, Incoming, Pieces};

/// Longest event that a client takes, in bytes: far above what it expects, so that only a stream
/// that is none exceeds it.
const MAX_EVENT: usize = 64 * 1024;

/// An open stream.
struct Events {
    stream: Stream,
    /// What was read and not used yet, as HTTP frames it.
    buffer: BytesMut,
    body: Pieces,
    /// What was read of the body and is no whole event yet.
    text: BytesMut,
    /// Whether an event has come.
    proven: bool,
}

/// What a stream brings next.
enum Next {
    /// The event with this number.
    Event(u64),
    /// Its end, as HTTP says it.
    End,
    /// The end of its connection, in order and between two events.
    Cut,
}

/// Runs one client until the run stops.
pub(super) async fn run(client: &Client) {
    let mut events = None;
    let mut last = None;
    let mut first = true;
    while let Some(attempt) = client.begin() {
        let exchange = exchange(client, events.take(), &mut last);
        let outcome = within(client.mix().deadline, exchange).await;
        let failed = outcome.is_err();
        attempt.settle(outcome.map(|open| events = Some(open)));
        client.gap(mem::take(&mut first), failed).await;
    }
}

/// Waits for the event after `last`.
async fn exchange(
    client: &Client,
    before: Option<Events>,
    last: &mut Option<u64>,
) -> Result<Events, Loss> {
    let mut events = match before {
        None => Events::open(client, *last).await?,
        Some(events) => events,
    };
    let number = loop {
        let announced = match events.next().await? {
            Next::Event(number) => break number,
            Next::End => true,
            Next::Cut => false,
        };
        if !events.proven {
            return Err(Loss::Ended { received: 0 });
        }
        events = Events::open(client, *last).await?;
        let mut numbers = client.tally().numbers();
        numbers.reconnects += 1;
        numbers.idle_closes += u64::from(!announced);
    };
    match last.replace(number) {
        Some(last) if last.checked_add(1) != Some(number) => Err(Loss::Gap { last, got: number }),
        _ => Ok(events),
    }
}

impl Events {
    /// Connects and asks for the stream, from behind the event `last`.
    async fn open(client: &Client, last: Option<u64>) -> Result<Self, Loss> {
        let target = &client.mix().target;
        let mut stream = connect(target, None).await.map_err(Loss::Connect)?;
        client.tally().numbers().connections += 1;
        let seen = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\
             Cache-Control: no-store\r\n{seen}\r\n",
            client.group().request.path,
            target.host(),
        );
        stream.write_all(request.as_bytes()).await.map_err(Loss::Send)?;
        let mut buffer = BytesMut::new();
        let mut incoming = Incoming::new(&mut stream, &mut buffer);
        let is_stream = |fields: &Fields<'_>| {
            fields.list(&CONTENT_TYPE).any(|kind| kind.starts_with("text/event-stream"))
        };
        let (head, is_stream) = incoming.head(is_stream).await?;
        let expected = client.group().request.status;
        if head.status != expected || head.status != StatusCode::OK {
            return Err(Loss::Status { expected, got: head.status });
        }
        if !is_stream {
            return Err(Loss::Malformed("it is no event stream".to_owned()));
        }
        let body = Pieces::of(&head);
        Ok(Self { stream, buffer, body, text: BytesMut::new(), proven: false })
    }

    /// Waits for the next event, or the end.
    async fn next(&mut self) -> Result<Next, Loss> {
        let Self { stream, buffer, body, text, proven } = self;
        let mut incoming = Incoming::new(stream, buffer);
        loop {
            if let Some(number) = take_event(text)? {
                *proven = true;
                return Ok(Next::Event(number));
            }
            if text.len() > MAX_EVENT {
                return Err(Loss::Malformed(format!("an event exceeds {MAX_EVENT} bytes")));
            }
            let end = match body.next(&mut incoming).await {
                Ok(Some(piece)) => {
                    text.extend_from_slice(&piece);
                    continue;
                }
                Ok(None) => Next::End,
                // The end of the connection, in order. A browser comes again all the same; it is
                // luck where that hits no event.
                Err(Loss::Ended { .. }) if body.is_between() && incoming.buffer.is_empty() => {
                    Next::Cut
                }
                Err(loss) => return Err(loss),
            };
            if text.is_empty() {
                return Ok(end);
            }
            return Err(Loss::Malformed("the stream ended within an event".to_owned()));
        }
    }
}

/// Takes the first whole event off `text` and returns its number; none: more has to come.
///
/// An event has to have a number as its `id`, and the same as its `data`. Lines end with a line
/// feed, with or without a carriage return before it.
fn take_event(text: &mut BytesMut) -> Result<Option<u64>, Loss> {
    let (mut id, mut data, mut at) = (None, None, 0);
    while let Some(length) = text[at..].iter().position(|byte| *byte == b'\n') {
        let line = text[at..at + length].trim_ascii_end();
        at += length + 1;
        if line.is_empty() {
            let event = (id.take(), data.take());
            text.advance(at);
            at = 0;
            match event {
                // Comments only, or a blank line more than needed.
                (None, None) => {}
                (Some(id), Some(data)) if id == data => return Ok(Some(id)),
                (id, data) => {
                    let what = format!("an event has the id {id:?} and the data {data:?}");
                    return Err(Loss::Malformed(what));
                }
            }
            continue;
        }
        let line = String::from_utf8_lossy(line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let number = || {
            let number = value.trim().parse::<u64>();
            number.map_err(|_| Loss::Malformed(format!("an event has the line {line:?}")))
        };
        match field {
            "id" => id = Some(number()?),
            "data" if data.is_none() => data = Some(number()?),
            "data" => return Err(Loss::Malformed("an event has two lines of data".to_owned())),
            _ => {}
        }
    }
    Ok(None)
}
