//! HTTP/1: answers that are not read, floods, idlers, WebSockets.

use std::time::Duration;

use super::{Also, FRONT, Kind, Row, Serves, row};
use crate::hostile::script::{Clients, Count, From, Reads, Step};

const SECOND: Duration = Duration::from_secs(1);

/// So many client addresses that none of them has many connections.
const ADDRESSES: From = From::Many(200);

const SMALL: &str = "GET /small HTTP/1.1\r\nHost: x\r\n\r\n";
const LARGE: &str = "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
const HANG: &str = "GET /x/hang HTTP/1.1\r\nHost: x\r\n\r\n";

/// Bytes of a line that no head may have.
const LONG: usize = 40 << 10;

fn send(text: &str) -> Step {
    Step::Send(text.into())
}

fn one(clients: Clients) -> Kind {
    Kind::Attack(vec![clients])
}

/// A crowd that sends this, and waits.
fn crowd(text: &str) -> Clients {
    Clients::new(Count::Crowd, vec![send(text), Step::Hold])
}

/// Clients that send this whole, read the answer, and begin anew.
fn again(text: String) -> Kind {
    let steps = vec![Step::Send(text.into_bytes()), Step::Await(1)];
    one(Clients::new(Count::Of(50, 10), steps).again().from(ADDRESSES))
}

fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

pub(super) const ROWS: &[Row] = &[
    row("never-reads", ("a crowd of GETs of 20 MB, never read", ""), || {
        one(crowd(LARGE).reading(Reads::Nothing))
    })
    .lasting(20, 2)
    .quick(),
    row("never-reads-200", ("the same from 200 addresses", ""), || {
        one(crowd(LARGE).reading(Reads::Nothing).from(ADDRESSES))
    })
    .lasting(20, 2),
    row("reads-a-byte-a-second", ("the same, a byte a second", ""), || {
        one(crowd(LARGE).reading(Reads::Slowly(SECOND)))
    })
    .lasting(20, 2),
    row("never-reads-half-closed", ("the same, its own side closed", ""), || {
        let steps = vec![send(LARGE), Step::Half, Step::Hold];
        one(Clients::new(Count::Crowd, steps).reading(Reads::Nothing))
    })
    .lasting(20, 2),
    row(
        "pipelines",
        ("200 connections, each with 5,000 GETs of 20 MB at once, never read", ""),
        || {
            let steps = vec![Step::Send(LARGE.repeat(5000).into_bytes()), Step::Hold];
            one(Clients::new(Count::Of(200, 40), steps).reading(Reads::Nothing))
        },
    )
    .quick(),
    row(
        "endless-never-read",
        ("a crowd of GETs of an answer without an end, never read", ""),
        || one(crowd("GET /x/endless HTTP/1.1\r\nHost: x\r\n\r\n").reading(Reads::Nothing)),
    )
    .on(FRONT)
    .lasting(20, 2),
    row("idle", ("a crowd of idle connections that were answered before", ""), || {
        one(crowd(SMALL))
    })
    .quick(),
    row("idle-200", ("the same from 200 addresses", ""), || one(crowd(SMALL).from(ADDRESSES))),
    row("silent", ("a crowd that connects and sends nothing", ""), || {
        one(Clients::new(Count::Crowd, vec![Step::Hold]))
    })
    .quick(),
    row("connects-and-resets", ("connections that are reset at once", ""), || {
        one(Clients::new(Count::Of(200, 50), vec![Step::Reset]).again().from(ADDRESSES))
    })
    .most(150)
    .quick(),
    row("asks-and-resets", ("GETs of 20 MB that are reset at once", ""), || {
        let steps = vec![send(LARGE), Step::Reset];
        one(Clients::new(Count::Of(200, 50), steps).again().from(ADDRESSES))
    })
    .most(150)
    .quick(),
    row("tiny-requests", ("GETs of a small file at full speed, pipelined", ""), || {
        let steps = vec![Step::Flood(SMALL.repeat(20).into_bytes())];
        one(Clients::new(Count::Of(50, 10), steps).again())
    })
    .most(150)
    .quick(),
    row("tiny-requests-never-read", ("the same, and nothing is read", ""), || {
        let steps = vec![Step::Flood(SMALL.repeat(20).into_bytes())];
        one(Clients::new(Count::Of(50, 10), steps).reading(Reads::Nothing).again())
    })
    .most(150),
    row("heads-too-long", ("heads of 40 KB at full speed", "no answer is a 5xx"), || {
        again(format!("GET /small HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(LONG)))
    })
    .most(150)
    .also(&[Also::NoFailures])
    .quick(),
    row("targets-too-long", ("targets of 40 KB at full speed", "no answer is a 5xx"), || {
        again(format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(LONG)))
    })
    .most(150)
    .also(&[Also::NoFailures]),
    row(
        "components-too-long",
        ("targets of 5,000 bytes without a slash", "no answer is a 5xx"),
        || again(format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(5000))),
    )
    .most(150)
    .also(&[Also::NoFailures])
    .quick(),
    row("many-headers", ("heads of 5,000 headers at full speed", "no answer is a 5xx"), || {
        again(format!("GET /small HTTP/1.1\r\nHost: x\r\n{}\r\n", "a:b\r\n".repeat(5000)))
    })
    .most(150)
    .also(&[Also::NoFailures]),
    row("ranges", ("GETs of 3,000 ranges of one file", "no answer is a 5xx"), || {
        let ranges: Vec<_> = (0..3000).map(|it| format!("{}-{}", it * 3, it * 3 + 1)).collect();
        let ranges = ranges.join(",");
        again(format!("GET /large HTTP/1.1\r\nHost: x\r\nRange: bytes={ranges}\r\n\r\n"))
    })
    .most(150)
    .also(&[Also::NoFailures])
    .quick(),
    row(
        "both-framings",
        (
            "`Content-Length` and `Transfer-Encoding` in one request, at full speed",
            "no answer is a 5xx",
        ),
        || {
            let hidden = "GET /x/close HTTP/1.1\r\nHost: x\r\n\r\n";
            again(format!(
                "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\
                 Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
                hidden.len() + 5
            ))
        },
    )
    .most(150)
    .also(&[Also::NoFailures])
    .quick(),
    row("noise", ("bytes that are no HTTP, at full speed", "no answer is a 5xx"), || {
        again("\u{1}\u{2}\u{3}\u{7f} /?\r\n\r\n".repeat(100))
    })
    .most(150)
    .also(&[Also::NoFailures]),
    row(
        "hangs-up",
        (
            "GETs of an answer that never comes, hung up after half a second",
            "the app is asked once for each and sees them go; a reload waits for none of them",
        ),
        || {
            let steps = vec![send(HANG), Step::Pause(SECOND / 2), Step::Close];
            one(Clients::new(Count::Of(100, 40), steps))
        },
    )
    .on(FRONT)
    .also(&[Also::Gone("/x/hang"), Also::Hits("/x/hang"), Also::Reload(Duration::from_secs(12))])
    .quick(),
    row(
        "hangs-up-after-a-post",
        ("the same, POSTs", "the app is asked once for each and sees them go"),
        || {
            let post = "POST /x/hang HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx";
            let steps = vec![send(post), Step::Pause(SECOND / 2), Step::Reset];
            one(Clients::new(Count::Of(100, 40), steps))
        },
    )
    .on(FRONT)
    .also(&[Also::Gone("/x/hang"), Also::Hits("/x/hang")])
    .quick(),
    row(
        "hangs-up-again-and-again",
        ("GETs of what takes 2 s, hung up at once, at full speed", ""),
        || {
            let steps = vec![send("GET /x/slow HTTP/1.1\r\nHost: x\r\n\r\n"), Step::Reset];
            one(Clients::new(Count::Of(200, 40), steps).again().from(ADDRESSES))
        },
    )
    .on(FRONT),
    row(
        "waits-for-a-slow-app",
        (
            "a crowd of GETs of an answer that never comes, from one address",
            "good clients of other addresses are served",
        ),
        || one(crowd(HANG).from(From::Many(1))),
    )
    .on(FRONT)
    .serving(Serves::Others),
    row(
        "websockets-silent",
        (
            "a crowd of WebSockets that say nothing, from one address",
            "good clients of other addresses are served",
        ),
        || one(crowd(&upgrade("/x/ws")).from(From::Many(1))),
    )
    .on(FRONT)
    .serving(Serves::Others)
    .quick(),
    row("websockets-never-read", ("200 WebSockets to which the app sends, never read", ""), || {
        let steps = vec![Step::Send(upgrade("/x/ws-flood").into_bytes()), Step::Hold];
        one(Clients::new(Count::Of(200, 40), steps).reading(Reads::Nothing))
    })
    .on(FRONT)
    .quick(),
    row(
        "websockets-not-heard",
        ("200 WebSockets that send to an app that does not read", ""),
        || {
            let steps =
                vec![Step::Send(upgrade("/x/ws").into_bytes()), Step::Flood(vec![0x82; 64 << 10])];
            one(Clients::new(Count::Of(200, 40), steps))
        },
    )
    .on(FRONT),
];
