//! Properties of what reads the bytes of others, for the fuzzer (`scripts/fuzz`) and for the tests, which
//! replay the corpus that it left in `tests/fuzz/corpus/`.
//!
//! Each property lies in the room that it is about, where it reaches what is private. It takes any
//! bytes and panics where what it promises does not hold. This module is there for them only: no build
//! of the product has it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a property that does not hold ends in a panic"
)]
#![allow(missing_docs, reason = "a target has its name, and its property says what it promises")]

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_util::task::noop_waker_ref;
use hyper::rt::ReadBufCursor;

/// A property of any bytes.
pub type Property = fn(&[u8]);

macro_rules! targets {
    ($($name:ident: $property:path;)*) => {
        $(pub fn $name(bytes: &[u8]) {
            $property(bytes);
        })*

        /// All of them, by their names.
        pub const TARGETS: &[(&str, Property)] = &[$((stringify!($name), $name)),*];

        #[cfg(test)]
        mod corpus_of {
            $(#[test]
            fn $name() {
                super::tests::replay(stringify!($name), super::$name);
            })*
        }
    };
}

targets! {
    answer: crate::upstream::fuzz::answer;
    archive: crate::ship::fuzz::archive;
    chunked: crate::upstream::fuzz::chunked;
    control: crate::health::fuzz::control;
    ecosystem: crate::adopt::fuzz::ecosystem;
    env_file: crate::front::fuzz::env_file;
    framing: crate::front::fuzz::framing;
    handover: crate::server::fuzz::handover;
    preface: crate::server::fuzz::preface;
    procfile: crate::adopt::fuzz::procfile;
    request: crate::front::fuzz::request;
    terminal: crate::text::fuzz::terminal;
    unit_file: crate::render::fuzz::unit_file;
}

/// Bytes up to which all ways to cut them in two are tried: the square of it is still cheap.
const CUT_EVERYWHERE: usize = 160;

/// The bytes in pieces, in several ways: whole, one by one, in pieces whose lengths only the bytes
/// decide, and, where they are few, in two parts everywhere.
pub(crate) fn ways_to_cut(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut ways = vec![vec![bytes], bytes.chunks(1).collect(), irregular(bytes)];
    if bytes.len() <= CUT_EVERYWHERE {
        ways.extend((1..bytes.len()).map(|at| {
            let (first, second) = bytes.split_at(at);
            vec![first, second]
        }));
    }
    ways
}

/// The bytes in pieces of one to sixteen, as a hash of them says (FNV-1a).
pub(crate) fn irregular(bytes: &[u8]) -> Vec<&[u8]> {
    let mut state = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let count = 1 + usize::try_from(state >> 60).unwrap_or(0);
        let (piece, after) = rest.split_at(count.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Turns of a future without a runtime, at most: all that it waits for is there, so that one which is
/// not done by then never is.
const TURNS: usize = 100_000;

/// Drives a future that waits for nothing outside of it.
pub(crate) fn drive<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(noop_waker_ref());
    for _ in 0..TURNS {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut context) {
            return outcome;
        }
    }
    panic!("it never comes to its end");
}

/// The other end of a connection: what it sends, piece by piece, before it closes its side; it takes
/// whatever it is sent.
#[derive(Debug)]
pub(crate) struct Peer<'a> {
    pieces: VecDeque<&'a [u8]>,
}

impl<'a> Peer<'a> {
    pub(crate) fn new(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { pieces: pieces.into_iter().filter(|piece| !piece.is_empty()).collect() }
    }

    /// What it sends next, up to so many bytes; none: it has closed its side.
    pub(crate) fn next(&mut self, most: usize) -> Option<&'a [u8]> {
        let piece = self.pieces.pop_front()?;
        let (now, later) = piece.split_at(most.min(piece.len()));
        if !later.is_empty() {
            self.pieces.push_front(later);
        }
        Some(now)
    }

    /// Takes back the end of what was sent last.
    pub(crate) fn take_back(&mut self, rest: &'a [u8]) {
        if !rest.is_empty() {
            self.pieces.push_front(rest);
        }
    }
}

impl hyper::rt::Read for Peer<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(piece) = self.next(buffer.remaining()) {
            buffer.put_slice(piece);
        }
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Peer<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    /// Says which file it was, where a property does not hold.
    struct Of(PathBuf);

    impl Drop for Of {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("of {}", self.0.display());
            }
        }
    }

    fn files(folder: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(folder);
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// The targets that take whole requests.
    const OF_REQUESTS: [&str; 2] = ["framing", "request"];

    pub(super) fn replay(name: &str, property: Property) {
        let mut kept = files(&format!("corpus/{name}"));
        assert!(!kept.is_empty(), "the corpus of {name} is kept");
        if OF_REQUESTS.contains(&name) {
            kept.extend(
                files("../raw")
                    .into_iter()
                    .filter(|path| path.extension() == Some("http".as_ref())),
            );
        }
        property(b"");
        for file in kept {
            let bytes = std::fs::read(&file).unwrap();
            let _of = Of(file);
            property(&bytes);
        }
    }

    #[test]
    fn each_property_has_a_target_and_a_corpus_and_no_other_is_there() {
        let there = |folder| {
            let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
            files(folder).into_iter().map(stem).collect::<Vec<_>>()
        };
        let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        assert!(names.is_sorted());
        assert_eq!(there("targets"), names);
        assert_eq!(there("corpus"), names);
        let manifest = files("").into_iter().find(|path| path.ends_with("Cargo.toml")).unwrap();
        let manifest = std::fs::read_to_string(manifest).unwrap();
        let bins =
            manifest.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        assert_eq!(bins.skip(1).collect::<Vec<_>>(), names);
    }

    #[test]
    fn however_bytes_are_cut_they_are_the_same_bytes() {
        let bytes: Vec<u8> = (0..=255).collect();
        for bytes in [&bytes[..], &bytes[..100], &[]] {
            for way in ways_to_cut(bytes) {
                assert_eq!(way.concat(), bytes);
            }
        }
        assert!(irregular(&bytes).len() > 16);
    }
}
