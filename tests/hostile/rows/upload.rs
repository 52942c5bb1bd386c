//! HTTP/1: requests that do not come to an end.

use std::time::Duration;

use super::{Also, FRONT, Kind, Row, Serves, row};
use crate::hostile::script::{Clients, Count, From, Reads, Step};

const SECOND: Duration = Duration::from_secs(1);

/// So many client addresses that none of them has many connections.
const ADDRESSES: From = From::Many(200);

const BODY: &str = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
const CHUNKED: &str =
    "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
const HEAD: &str = "GET /small HTTP/1.1\r\nHost: x\r\n";

fn send(text: &str) -> Step {
    Step::Send(text.into())
}

/// A crowd that sends this and then does that.
fn crowd(text: &str, then: Step) -> Clients {
    Clients::new(Count::Crowd, vec![send(text), then])
}

fn one(clients: Clients) -> Kind {
    Kind::Attack(vec![clients])
}

pub(super) const ROWS: &[Row] = &[
    row(
        "bodies-that-never-begin",
        (
            "a crowd of POSTs with `Content-Length: 1000` and no body, from one address",
            "they are ended",
        ),
        || one(crowd(BODY, Step::Hold)),
    )
    .lasting(45, 2)
    .also(&[Also::Ended])
    .quick(),
    row("bodies-that-never-begin-200", ("the same from 200 addresses", "they are ended"), || {
        one(crowd(BODY, Step::Hold).from(ADDRESSES))
    })
    .lasting(45, 2)
    .also(&[Also::Ended]),
    row(
        "bodies-a-byte-in-17-s",
        ("a crowd of POSTs of which a byte comes each 17 s", "they are ended"),
        || one(crowd(BODY, Step::Drip(b"x".to_vec(), 17 * SECOND))),
    )
    .lasting(60, 2)
    .also(&[Also::Ended]),
    row(
        "bodies-a-byte-a-second",
        (
            "a crowd of POSTs of which a byte comes each second, from 200 addresses",
            "they are ended",
        ),
        || one(crowd(BODY, Step::Drip(b"x".to_vec(), SECOND)).from(ADDRESSES)),
    )
    .lasting(60, 2)
    .also(&[Also::Ended]),
    row(
        "chunked-without-end",
        ("a crowd of chunked POSTs, a chunk of one byte each 5 s", "they are ended"),
        || one(crowd(CHUNKED, Step::Beat(b"1\r\nx\r\n".to_vec(), 5 * SECOND))),
    )
    .lasting(60, 2)
    .also(&[Also::Ended]),
    row("chunked-at-full-speed", ("chunked POSTs without an end, at full speed", ""), || {
        let chunk = [b"4000\r\n", &[b'x'; 0x4000][..], b"\r\n"].concat();
        let steps = vec![send(CHUNKED), Step::Flood(chunk)];
        one(Clients::new(Count::Of(20, 5), steps).again())
    })
    .most(150)
    .quick(),
    row("chunks-of-one-byte", ("the same in chunks of one byte", ""), || {
        let steps = vec![send(CHUNKED), Step::Flood(b"1\r\nx\r\n".repeat(1000))];
        one(Clients::new(Count::Of(20, 5), steps).again())
    })
    .most(150),
    row("chunk-extension-without-end", ("a chunk whose extension never ends, at full speed", "they are ended"), || {
        let begin = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=";
        let steps = vec![send(begin), Step::Flood(vec![b'x'; 16 << 10])];
        one(Clients::new(Count::Of(20, 5), steps).again())
    })
    .most(150)
    .also(&[Also::SentAway])
    .quick(),
    row("chunk-size-without-end", ("a chunk size of zeros without an end", "they are ended"), || {
        let begin = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let steps = vec![send(begin), Step::Flood(vec![b'0'; 16 << 10])];
        one(Clients::new(Count::Of(20, 5), steps).again())
    })
    .most(150)
    .also(&[Also::SentAway])
    .quick(),
    row("trailers-without-end", ("trailers that never end, at full speed", "they are ended"), || {
        let begin = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
        let steps = vec![send(begin), Step::Flood(b"X-More: and more\r\n".repeat(500))];
        one(Clients::new(Count::Of(20, 5), steps).again())
    })
    .most(150)
    .also(&[Also::SentAway])
    .quick(),
    row("empty-lines", ("empty lines before a request that never comes", "they are ended"), || {
        one(Clients::new(Count::Of(20, 5), vec![Step::Flood(b"\r\n".repeat(5000))]).again())
    })
    .most(150)
    .also(&[Also::SentAway]),
    row(
        "puts-kept",
        ("a crowd of PUTs of 60 KB to an app that reads them and never answers, from one address",
         "good clients of other addresses are served"),
        || {
            let body = "x".repeat(60_000);
            let head = "PUT /x/hang HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n";
            one(crowd(&format!("{head}{body}"), Step::Hold).from(From::Many(1)))
        },
    )
    .on(FRONT)
    .serving(Serves::Others)
    .quick(),
    row(
        "uploads-not-read",
        (
            "200 uploads of 1 GB at full speed to an app that does not read, from one address",
            "good clients of other addresses are served",
        ),
        || {
            let head = "POST /x/deaf HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n";
            let steps = vec![send(head), Step::Flood(vec![b'x'; 64 << 10])];
            one(Clients::new(Count::Of(200, 40), steps).from(From::Many(1)))
        },
    )
    .on(FRONT)
    .serving(Serves::Others)
    // That a client has gone lies behind what it has sent, which nobody reads: it is found by the stall.
    .back_within(75)
    .quick(),
    row("slow-heads", ("a crowd whose heads get a line each 2 s", "they are ended"), || {
        one(crowd(HEAD, Step::Beat(b"X-More: and more\r\n".to_vec(), 2 * SECOND)))
    })
    .lasting(45, 2)
    .also(&[Also::Ended])
    .quick(),
    row(
        "slow-heads-200",
        ("the same from 200 addresses, a byte a second", "they are ended"),
        || one(crowd(HEAD, Step::Drip(b"X-More: and more\r\n".to_vec(), SECOND)).from(ADDRESSES)),
    )
    .lasting(45, 2)
    .also(&[Also::Ended]),
    row(
        "slow-heads-first",
        ("slow heads on every connection that there is, before anybody waits", "they are ended"),
        || {
            let head = Step::Drip(b"X-More: and more\r\n".to_vec(), SECOND);
            let first = Clients::new(Count::Full, vec![send(HEAD), head]);
            let later = Clients::new(Count::Of(50, 10), vec![send("G"), Step::Hold]);
            Kind::Attack(vec![first, later.after(5 * SECOND)])
        },
    )
    .lasting(45, 6)
    .also(&[Also::Ended]),
    row("heads-of-one-byte", ("a crowd that sends `G` and nothing more", "they are ended"), || {
        one(crowd("G", Step::Hold))
    })
    .lasting(45, 2)
    .also(&[Also::Ended])
    .quick(),
    row(
        "prefaces-of-one-byte",
        ("a crowd that sends `P` and nothing more", "they are ended"),
        || one(crowd("P", Step::Hold)),
    )
    .lasting(45, 2)
    .also(&[Also::Ended])
    .quick(),
    row(
        "prefaces-in-part",
        ("a crowd that sends `PRI * HTTP/2.0` and nothing more", "they are ended"),
        || one(crowd("PRI * HTTP/2.0\r\n", Step::Hold)),
    )
    .lasting(45, 2)
    .also(&[Also::Ended]),
    row(
        "prefaces-that-trickle",
        ("a crowd whose preface of HTTP/2 comes a byte each 5 s", "they are ended"),
        || {
            let preface = Step::Drip(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 5 * SECOND);
            one(Clients::new(Count::Crowd, vec![preface]))
        },
    )
    .lasting(45, 2)
    .also(&[Also::Ended]),
    row(
        "expects-100",
        ("a crowd that expects `100 Continue` and sends no body then", "they are ended"),
        || {
            let head = "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                        Content-Length: 1000\r\n\r\n";
            one(crowd(head, Step::Hold))
        },
    )
    .lasting(45, 2)
    .also(&[Also::Ended]),
    row("half-closed-heads", ("a crowd that closes its side within a head", ""), || {
        one(Clients::new(Count::Crowd, vec![send(HEAD), Step::Half, Step::Hold]))
    })
    .also(&[Also::Ended]),
    row("half-closed-bodies", ("a crowd that closes its side within a body", ""), || {
        let all = Clients::new(Count::Crowd, vec![send(BODY), Step::Half, Step::Hold]);
        one(all.reading(Reads::All))
    })
    .also(&[Also::Ended]),
];
