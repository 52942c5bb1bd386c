//! Requests of a site that are put together at random, always the same ones.

use std::collections::HashSet;

use axum::body::Body;
use http::{Request, Uri};
use http_body_util::BodyExt as _;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::super::site::Site;
use super::full::{SECRET, fill};
use crate::config::StaticSite;

/// Of these targets are made.
const PIECES: [&str; 36] = [
    "/",
    "/",
    "/",
    "..",
    ".",
    "...",
    "%2e",
    "%2E%2e",
    "%252e",
    "%2f",
    "%5c",
    "\\",
    "%00",
    "%",
    "%ff",
    "%c0%af",
    ";",
    "?",
    "~",
    "*",
    ":",
    "@",
    "&",
    ".br",
    ".gz",
    "self",
    "link",
    "chain",
    "hidden",
    "outside",
    "secret.txt",
    "docs",
    "app.js",
    "out",
    "pipe",
    "loop",
];

/// Of these header lines are made.
const HEADERS: [(&str, &str); 14] = [
    ("range", "bytes=0-"),
    ("range", "bytes=18446744073709551615-0,-1"),
    ("range", "bytes=-18446744073709551615"),
    ("if-range", "\""),
    ("if-match", "*"),
    ("if-match", "\"a\""),
    ("if-none-match", "*"),
    ("if-none-match", "W/\"\", *, \"a"),
    ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("if-unmodified-since", "Sun, 31 Dec 9999 23:59:60 GMT"),
    ("accept-encoding", "br;q=1.000, *"),
    ("accept-encoding", "gzip"),
    ("accept", "text/html"),
    ("host", "\u{e4}"),
];

#[tokio::test]
async fn no_odd_request_is_a_failure_or_leads_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let site = fill(folder.path());
    let site = [None, Some("index.html"), Some("link.txt")].map(|fallback| {
        let site = StaticSite { fallback: fallback.map(str::to_owned), ..site.clone() };
        Site::new(&site, 4 << 10).unwrap()
    });
    let targets =
        vec(select(&PIECES[..]), 0..12).prop_map(|pieces| format!("/{}", pieces.concat()));
    let requests = (targets, vec(select(&HEADERS[..]), 0..4), 0..site.len(), any::<bool>());
    let mut runner = TestRunner::deterministic();
    let mut codes = HashSet::new();
    for _ in 0..3_000 {
        let case = requests.new_tree(&mut runner).unwrap().current();
        let (target, headers, which, head) = &case;
        // What hyper would not take is no request.
        let Ok(uri) = target.parse::<Uri>() else { continue };
        let mut request = Request::builder().method(if *head { "HEAD" } else { "GET" }).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let (parts, body) = site[*which].answer(request).await.into_parts();
        let code = parts.status.as_u16();
        assert!(code < 500, "{code}: {case:?}");
        if let Some(location) = parts.headers.get("location") {
            let bytes = location.as_bytes();
            assert!(
                bytes.starts_with(b"/") && ![b'/', b'\\'].contains(&bytes[1]),
                "{location:?}: {case:?}"
            );
        }
        let body = body.collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&body).contains(SECRET), "{case:?}");
        codes.insert(code);
    }
    // The pieces lead somewhere.
    for code in [200, 206, 304, 307, 404, 412, 416] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
}
