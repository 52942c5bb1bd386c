//! A property of what comes from a control socket, for the fuzzer: see `src/fuzz.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a property that does not hold ends in a panic"
)]

use std::fmt::Debug;

use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::{ANSWER_SIZE, exchange};
use super::probe::CODES;
use super::{Report, SwapAnswer, SwapState};
use crate::fuzz::{Peer, drive, ways_to_cut};

/// An answer is what its JSON says or it is none, however its bytes are cut; and an instance that says the
/// same itself is understood in the same way.
pub(crate) fn control(bytes: &[u8]) {
    read::<Report>(bytes);
    read::<SwapState>(bytes);
    read::<SwapAnswer>(bytes);
}

fn read<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) {
    let whole = ask::<T>(&[bytes]);
    for pieces in ways_to_cut(bytes).into_iter().take(3) {
        assert_eq!(ask::<T>(&pieces), whole, "{pieces:?}");
    }
    let Some(found) = whole else { return };
    let (code, is_chunked, body) = of_last_head(bytes);
    assert!(CODES.iter().any(|known| known.as_u16() == code), "the code {code}");
    if !is_chunked {
        assert!(body.len() <= ANSWER_SIZE, "{} bytes", body.len());
        assert_eq!(serde_json::from_slice::<T>(body).ok().as_ref(), Some(&found));
    }
    let said = serde_json::to_vec(&found).unwrap();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", said.len());
    assert_eq!(ask::<T>(&[head.as_bytes(), &said]), Some(found));
}

fn ask<T: DeserializeOwned>(pieces: &[&[u8]]) -> Option<T> {
    let peer = Peer::new(pieces.iter().copied());
    drive(exchange(peer, Method::GET, "/health", CODES)).ok()
}

/// Reads an answer by itself: its code, whether its body is in chunks, and else that body.
fn of_last_head(mut bytes: &[u8]) -> (u16, bool, &[u8]) {
    loop {
        let mut lines = [httparse::EMPTY_HEADER; 128];
        let mut response = httparse::Response::new(&mut lines);
        let length = match httparse::ParserConfig::default().parse_response(&mut response, bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            other => panic!("an answer without a head: {other:?}"),
        };
        let code = response.code.unwrap_or_default();
        bytes = &bytes[length..];
        if !(100..200).contains(&code) {
            let value = |name: &str| {
                let line =
                    response.headers.iter().find(|line| line.name.eq_ignore_ascii_case(name));
                line.map(|line| String::from_utf8_lossy(line.value).trim().to_owned())
            };
            let length = value("content-length").and_then(|length| length.parse().ok());
            let is_chunked = value("transfer-encoding").is_some();
            return (code, is_chunked, &bytes[..length.unwrap_or(bytes.len()).min(bytes.len())]);
        }
    }
}
