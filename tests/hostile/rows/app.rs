//! A hostile app behind the front.

use super::{Also, FRONT, INHERIT, Kind, Row, Serves, row};
use crate::hostile::exchange::{Ask, Code};

/// What is answered where the app failed.
const BAD: Code = Code::Is(502);

fn asks(asks: &[Ask]) -> Kind {
    Kind::Asks(asks.to_vec())
}

pub(super) const ROWS: &[Row] = &[
    row(
        "app-closes",
        ("the app closes without an answer", "502 at once; asked once more at most, a POST never"),
        || {
            let get = Ask::get("/x/close", BAD, 2);
            let post = Ask::get("/x/close", BAD, 1);
            asks(&[get, get.by("PUT", "x"), get.by("DELETE", ""), post.by("POST", "x")])
        },
    )
    .on(FRONT)
    .quick(),
    row(
        "app-answers-garbage",
        (
            "the app answers what is no HTTP, or with a head that may not be",
            "502 at once, asked once",
        ),
        || {
            let paths = [
                "/x/garbage",
                "/x/garbage-held",
                "/x/half-head",
                "/x/two-lengths",
                "/x/both-framings",
                "/x/nul-in-head",
                "/x/version",
                "/x/code",
                "/x/length",
                "/x/length-huge",
                "/x/upgrade",
            ];
            Kind::Asks(paths.iter().map(|path| Ask::get(path, BAD, 1)).collect())
        },
    )
    .on(FRONT)
    .quick(),
    row(
        "app-floods-heads",
        (
            "the app answers with a head without an end, one of 1 MB, or 1xx without an end",
            "502 at once, asked once",
        ),
        || {
            let paths = ["/x/endless-head", "/x/head-of-1-mb", "/x/flood-of-1xx"];
            Kind::Asks(paths.iter().map(|path| Ask::get(path, BAD, 1)).collect())
        },
    )
    .on(FRONT)
    .most(150)
    .quick(),
    row(
        "app-frames-badly",
        (
            "the app's body is longer or shorter than it said, or its chunks are broken",
            "what is too much never reaches anybody; what is broken is cut off; asked once",
        ),
        || {
            asks(&[
                Ask::get("/x/longer", Code::Without(&["stolen"]), 1),
                Ask::get("/x/shorter", Code::CutOff, 1),
                Ask::get("/x/chunk-size", Code::CutOff, 1),
                Ask::get("/x/chunk-huge", Code::CutOff, 1),
                Ask::get("/x/chunk-cut", Code::CutOff, 1),
                Ask::get("/x/folded", Code::Either(200, 502), 1),
                Ask::get("/x/trailers", Code::Without(&["stolen"]), 1),
            ])
        },
    )
    .on(FRONT)
    .quick(),
    row(
        "app-dies",
        (
            "a request of which the app dies",
            "502; two processes of one instance die at most, and no other instance has it in hand",
        ),
        || asks(&[Ask::get("/x/die", Code::Either(502, 503), 2)]),
    )
    .on(FRONT)
    .dying(2)
    .also(&[Also::OneInstance("/x/die")])
    .quick(),
    row("app-dies-of-a-post", ("the same, a POST", "502; one process dies"), || {
        asks(&[Ask::get("/x/die", Code::Either(502, 503), 1).by("POST", "x")])
    })
    .on(FRONT)
    .dying(1)
    .also(&[Also::OneInstance("/x/die")]),
    row("app-dies-eight-times", ("eight such requests", "no instance is given up"), || {
        asks(&[Ask::get("/x/die", Code::Either(502, 503), 2); 8])
    })
    .on(FRONT)
    .serving(Serves::Hardly)
    .dying(16),
    row(
        "app-dies-that-took-the-sockets",
        (
            "five requests of which an app dies that took the sockets itself",
            "each is sent once; the instances are up again",
        ),
        || asks(&[Ask::get("/x/die", Code::Nothing, 1); 5]),
    )
    .on(INHERIT)
    .serving(Serves::Hardly)
    .quick(),
];
