//! HTTP/2.

use std::time::Duration;

use super::{Also, FRONT, Kind, Row, row};
use crate::hostile::frames::{
    self, Ends, WIDE, continuation, data, data_end, goaway, head, hello, open_head, ping, priority,
    request, reset, settings, settings_window, stream, unknown, window_update,
};
use crate::hostile::script::{Clients, Count, Reads, Step};

/// Requests at the same time on one connection: as many as there may be.
const STREAMS: u32 = 128;

/// Streams that a client has in all, before it begins anew: ids end at 2^31.
const IDS: u32 = 1 << 24;

/// Frames that are sent in one write of a flood.
const FRAMES: u32 = 64;

const SECOND: Duration = Duration::from_secs(1);

/// So many requests at once.
fn gets(path: &str, streams: u32) -> Vec<u8> {
    let block = head("GET", path, &[]);
    (0..streams).flat_map(|number| request(stream(number), &block, Ends::Here)).collect()
}

/// Clients with `begin`, then these steps.
fn clients(count: Count, window: u32, steps: Vec<Step>) -> Clients {
    let begin = Step::Send(hello(window));
    Clients::new(count, [vec![begin], steps].concat())
}

/// Clients that ask for this on all streams with the widest window.
fn greedy(count: Count, path: &str, reads: Reads) -> Kind {
    let steps = vec![Step::Send(gets(path, STREAMS)), Step::Hold];
    Kind::Attack(vec![clients(count, WIDE, steps).reading(reads)])
}

/// Clients that send this again and again, and begin anew where they are sent away.
fn flood(bytes: Vec<u8>, reads: Reads) -> Kind {
    let steps = vec![Step::Send(gets("/small", 1)), Step::Flood(bytes)];
    Kind::Attack(vec![clients(Count::Of(20, 5), WIDE, steps).reading(reads).again()])
}

fn many(frame: &[u8]) -> Vec<u8> {
    frame.repeat(FRAMES as usize)
}

fn posts(path: &str, streams: u32) -> Vec<u8> {
    let block = head("POST", path, &[]);
    (0..streams).flat_map(|number| request(stream(number), &block, Ends::Later)).collect()
}

fn on_all(streams: u32, frame: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    (0..streams).flat_map(|number| frame(stream(number))).collect()
}

/// Requests that are taken back at once.
fn taken_back(number: u32) -> Vec<u8> {
    let block = head("GET", "/large", &[]);
    let one = |it| [request(stream(it), &block, Ends::Here), reset(stream(it))].concat();
    (number * FRAMES..(number + 1) * FRAMES).flat_map(one).collect()
}

/// Requests without a thought for how many there may be.
fn too_many(number: u32) -> Vec<u8> {
    let block = head("GET", "/large", &[]);
    let one = |it| request(stream(it), &block, Ends::Here);
    (number * FRAMES..(number + 1) * FRAMES).flat_map(one).collect()
}

/// A request with 120 copies of a cookie of 3 KB, which the table remembers.
fn bomb(number: u32) -> Vec<u8> {
    let mut block = head("GET", "/small", &[]);
    // With incremental indexing (RFC 7541, 6.2.1): `cookie` is 32 in the static table.
    block.push(0x40 | 0x20);
    block.extend(frames::text(&"x".repeat(3000)));
    // The newest entry of the dynamic table is 62.
    block.extend([0x80 | 0x3e; 120]);
    request(stream(number), &block, Ends::Here)
}

fn uploads(count: Count, path: &str, bytes: usize) -> Kind {
    let piece = vec![b'x'; bytes];
    let steps = vec![
        Step::Pause(SECOND / 2),
        // The settings of the server count from here on.
        Step::Send(frames::frame(4, 1, 0, &[])),
        Step::Send(posts(path, 120)),
        Step::Send(on_all(120, |stream| data(stream, &piece))),
        Step::Hold,
    ];
    Kind::Attack(vec![clients(count, WIDE, steps).reading(Reads::Nothing)])
}

pub(super) const ROWS: &[Row] = &[
    row(
        "h2-never-reads-10",
        (
            "HTTP/2: 10 connections, each with 128 GETs of 20 MB and the widest window, never read",
            "",
        ),
        || greedy(Count::Of(10, 10), "/large", Reads::Nothing),
    )
    .quick_both(),
    row("h2-never-reads-80", ("the same, 80 connections", ""), || {
        greedy(Count::Of(80, 80), "/large", Reads::Nothing)
    })
    .lasting(20, 2),
    row("h2-reads-a-byte", ("the same, of which each reads a byte a second", ""), || {
        greedy(Count::Of(80, 20), "/large", Reads::Slowly(SECOND))
    })
    .lasting(20, 2),
    row(
        "h2-zero-window",
        ("HTTP/2: 128 GETs on each of 80 connections with a window of 0", ""),
        || {
            let steps = vec![Step::Send(gets("/large", STREAMS)), Step::Hold];
            Kind::Attack(vec![clients(Count::Of(80, 20), 0, steps)])
        },
    )
    .quick(),
    row(
        "h2-window-trickle",
        ("the same with a window of one byte, and one byte more a second", ""),
        || {
            let more = on_all(STREAMS, |stream| window_update(stream, 1));
            let steps = vec![Step::Send(gets("/large", STREAMS)), Step::Beat(more, SECOND)];
            Kind::Attack(vec![clients(Count::Of(80, 20), 1, steps)])
        },
    )
    .lasting(20, 2),
    row(
        "h2-window-shuffle",
        ("HTTP/2: 128 GETs, then settings that open and close all windows in turn", ""),
        || {
            let shuffle = [settings_window(WIDE), settings_window(0)].concat();
            let steps = vec![Step::Send(gets("/large", STREAMS)), Step::Flood(many(&shuffle))];
            let all = clients(Count::Of(10, 3), 0, steps).reading(Reads::Nothing);
            Kind::Attack(vec![all.again()])
        },
    ),
    row(
        "h2-endless-never-read",
        ("HTTP/2: 80 connections, each with 100 GETs of an answer without an end, never read", ""),
        || {
            let steps = vec![Step::Send(gets("/x/endless", 100)), Step::Hold];
            Kind::Attack(vec![clients(Count::Of(80, 20), WIDE, steps).reading(Reads::Nothing)])
        },
    )
    .on(FRONT),
    row(
        "h2-uploads-not-read",
        ("HTTP/2: 400 connections, each with 120 POSTs of which the app reads nothing", ""),
        || uploads(Count::Of(400, 40), "/x/deaf", 540),
    )
    .on(FRONT)
    .lasting(20, 2),
    row("h2-uploads-not-read-large", ("the same, as much of each as the server takes", ""), || {
        uploads(Count::Of(400, 40), "/x/deaf", 8 << 10)
    })
    .on(FRONT)
    .lasting(20, 2)
    .quick(),
    row(
        "h2-bodies-that-never-begin",
        ("HTTP/2: 80 connections, each with 128 POSTs whose bodies never begin", ""),
        || {
            let steps = vec![Step::Send(posts("/echo", STREAMS)), Step::Hold];
            Kind::Attack(vec![clients(Count::Of(80, 20), WIDE, steps)])
        },
    ),
    row("h2-bodies-that-trickle", ("the same, a byte of each in 5 s", ""), || {
        let bytes = on_all(STREAMS, |stream| data(stream, b"x"));
        let steps = vec![Step::Send(posts("/echo", STREAMS)), Step::Beat(bytes, 5 * SECOND)];
        Kind::Attack(vec![clients(Count::Of(80, 20), WIDE, steps)])
    })
    .lasting(20, 2),
    row(
        "h2-rapid-reset",
        ("HTTP/2: requests that are taken back at once (CVE-2023-44487)", "they are ended"),
        || {
            let steps = vec![Step::Make(taken_back, IDS / FRAMES)];
            Kind::Attack(vec![clients(Count::Of(20, 5), WIDE, steps).again()])
        },
    )
    .most(150)
    .also(&[Also::SentAway])
    .quick(),
    row(
        "h2-too-many-streams",
        ("HTTP/2: requests far beyond the 128 that are allowed, nothing read", ""),
        || {
            let steps = vec![Step::Make(too_many, IDS / FRAMES)];
            let all = clients(Count::Of(20, 5), WIDE, steps);
            Kind::Attack(vec![all.reading(Reads::Nothing).again()])
        },
    )
    .quick(),
    row("h2-continuation-flood", ("HTTP/2: a head that goes on and on (CONTINUATION)", "they are ended"), || {
        let more = continuation(1, &[vec![0], frames::text("a"), frames::text("b")].concat());
        let steps =
            vec![Step::Send(open_head(1, &head("GET", "/", &[]))), Step::Flood(many(&more))];
        Kind::Attack(vec![clients(Count::Of(20, 5), WIDE, steps).again()])
    })
    .most(150)
    .also(&[Also::SentAway])
    .quick(),
    row(
        "h2-heads-without-end",
        ("HTTP/2: a crowd whose heads are begun and never continued", ""),
        || {
            let steps = vec![Step::Send(open_head(1, &head("GET", "/", &[]))), Step::Hold];
            Kind::Attack(vec![clients(Count::Crowd, WIDE, steps)])
        },
    )
    .lasting(20, 2),
    row("h2-idle-crowd", ("HTTP/2: a crowd that greets and then asks nothing", ""), || {
        Kind::Attack(vec![clients(Count::Crowd, WIDE, vec![Step::Hold])])
    })
    .lasting(20, 2),
    row("h2-settings-flood", ("HTTP/2: SETTINGS at full speed", ""), || {
        flood(many(&settings()), Reads::All)
    })
    .most(150),
    row("h2-settings-never-read", ("the same, and no answer to them is read", ""), || {
        flood(many(&settings()), Reads::Nothing)
    })
    .most(150),
    row("h2-ping-flood", ("HTTP/2: PING at full speed", ""), || flood(many(&ping()), Reads::All))
        .most(150),
    row("h2-ping-never-read", ("the same, and no answer to them is read", ""), || {
        flood(many(&ping()), Reads::Nothing)
    })
    .most(150)
    .quick(),
    row("h2-empty-data", ("HTTP/2: empty DATA frames at full speed on an open stream", ""), || {
        let open = request(stream(1), &head("POST", "/echo", &[]), Ends::Later);
        let steps = vec![Step::Send(open), Step::Flood(many(&data(stream(1), &[])))];
        Kind::Attack(vec![clients(Count::Of(20, 5), WIDE, steps).again()])
    })
    .most(150)
    .quick(),
    row("h2-priority-flood", ("HTTP/2: PRIORITY at full speed", ""), || {
        flood(many(&priority(stream(7))), Reads::All)
    })
    .most(150),
    row("h2-unknown-flood", ("HTTP/2: frames of an unknown type at full speed", ""), || {
        flood(many(&unknown(&[0; 1000])), Reads::All)
    })
    .most(150),
    row(
        "h2-window-update-flood",
        ("HTTP/2: WINDOW_UPDATE by one byte at full speed, with 128 answers waiting", ""),
        || {
            let more = on_all(STREAMS, |stream| window_update(stream, 1));
            let steps = vec![Step::Send(gets("/large", STREAMS)), Step::Flood(more)];
            let all = clients(Count::Of(10, 3), 0, steps);
            Kind::Attack(vec![all.again()])
        },
    ),
    row("h2-window-overflow", ("HTTP/2: a window beyond 2^31 - 1, again and again", "they are ended"), || {
        let steps = vec![
            Step::Send(gets("/large", STREAMS)),
            Step::Send(window_update(1, WIDE)),
            Step::Send(window_update(0, WIDE)),
            Step::Hold,
        ];
        Kind::Attack(vec![clients(Count::Of(20, 5), WIDE, steps).again()])
    })
    .most(150)
    .also(&[Also::SentAway]),
    row(
        "h2-header-bomb",
        ("HTTP/2: a cookie of 3 KB that each request refers to 120 times", ""),
        || {
            let steps = vec![Step::Make(bomb, IDS)];
            Kind::Attack(vec![clients(Count::Of(20, 5), WIDE, steps).again()])
        },
    )
    .quick(),
    row(
        "h2-open-files",
        ("HTTP/2: 600 connections, each with 128 GETs of 20 MB and a window of 0", ""),
        || {
            let steps = vec![Step::Send(gets("/large", STREAMS)), Step::Hold];
            Kind::Attack(vec![clients(Count::Of(600, 40), 0, steps)])
        },
    )
    .lasting(20, 2),
    row(
        "h2-puts-kept",
        (
            "HTTP/2: 80 connections, each with 120 PUTs of 8 KB to an app that reads them and never answers",
            "",
        ),
        || {
            let block = head("PUT", "/x/hang", &[]);
            let put = |number| {
                let id = stream(number);
                let body = [data(id, &[b'x'; 8 << 10]), data_end(id)].concat();
                [request(id, &block, Ends::Later), body].concat()
            };
            let steps = vec![
                Step::Pause(SECOND / 2),
                Step::Send(frames::frame(4, 1, 0, &[])),
                Step::Send((0..120).flat_map(put).collect()),
                Step::Hold,
            ];
            Kind::Attack(vec![clients(Count::Of(80, 20), WIDE, steps)])
        },
    )
    .on(FRONT)
    .quick(),
    row("h2-goaway-and-on", ("HTTP/2: GOAWAY, and then more requests, nothing read", ""), || {
        let more = [goaway(), gets("/large", STREAMS), goaway(), ping()].concat();
        let steps = vec![Step::Send(more), Step::Pause(SECOND)];
        let all = clients(Count::Of(40, 10), WIDE, steps);
        Kind::Attack(vec![all.reading(Reads::Nothing).again()])
    }),
    row(
        "mixed",
        ("all at once: HTTP/2 and HTTP/1 that is not read, slow heads, bodies without end", ""),
        || {
            let get = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
            let post = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".to_vec();
            let wait = |bytes: Vec<u8>| vec![Step::Send(bytes), Step::Hold];
            let ask = vec![Step::Send(gets("/large", STREAMS)), Step::Hold];
            Kind::Attack(vec![
                clients(Count::Of(10, 5), WIDE, ask.clone()).reading(Reads::Nothing),
                clients(Count::Of(10, 5), 0, ask),
                Clients::new(Count::Of(200, 20), wait(get)).reading(Reads::Nothing),
                Clients::new(Count::Of(100, 20), wait(post)),
                Clients::new(Count::Of(100, 20), wait(b"GET / HTTP/1.1\r\nX: ".to_vec())),
            ])
        },
    )
    .lasting(20, 2)
    .quick(),
];
