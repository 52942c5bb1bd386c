//! The follower by itself, and beside hyper.

mod beside_hyper;

use super::*;

/// What each request of the bytes was made of, fed in pieces of `size`.
fn heads(bytes: &[u8], size: usize) -> Vec<Seen> {
    let mut framing = Framing::default();
    let mut heads = Vec::new();
    for mut piece in bytes.chunks(size) {
        while !piece.is_empty() {
            let count = framing.advance(piece);
            assert!(count > 0);
            piece = &piece[count..];
            if matches!(framing.place, Place::End | Place::Lost) && !framing.taken {
                heads.push(framing.head());
            }
        }
    }
    heads
}

fn in_pieces(bytes: &[u8]) -> Vec<Seen> {
    let whole = heads(bytes, bytes.len());
    for size in 1..bytes.len() {
        assert_eq!(heads(bytes, size), whole, "in pieces of {size}");
    }
    whole
}

const PLAIN: Seen = Seen { lengths: 0, encodings: 0, bare_lf: false, lost: false };
const SIZED: Seen = Seen { lengths: 1, ..PLAIN };
const CHUNKED: Seen = Seen { encodings: 1, ..PLAIN };

#[test]
fn each_request_is_told_from_the_next() {
    let bytes = b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n\
        POST / HTTP/1.1\r\ncontent-LENGTH:  8 \r\n\r\nGET\r\n\r\n1\
        POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
        A;x=\"y\"\r\n0123456\r\n9\r\n0\r\nContent-Length: 1\r\n\r\n\
        GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(in_pieces(bytes), [PLAIN, SIZED, CHUNKED, SIZED]);
}

#[test]
fn both_kinds_of_length_and_several_of_one_are_seen() {
    let both = Seen { lengths: 1, encodings: 1, ..PLAIN };
    for bytes in [
        "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    ] {
        assert_eq!(in_pieces(bytes.as_bytes()), [both]);
    }
    let twice = "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(in_pieces(twice.as_bytes()), [Seen { lengths: 2, ..PLAIN }]);
}

#[test]
fn a_bare_lf_is_seen_and_long_lines_are_no_matter() {
    let bare = Seen { bare_lf: true, ..PLAIN };
    assert_eq!(in_pieces(b"GET / HTTP/1.1\nHost: x\r\n\r\n"), [bare]);
    assert_eq!(in_pieces(b"GET / HTTP/1.1\r\nHost: x\r\n\n"), [bare]);
    let long = format!("GET /{0} HTTP/1.1\r\nX: {0}\r\n\r\n", "a".repeat(LINE));
    assert_eq!(in_pieces(long.as_bytes()), [PLAIN]);
}

#[test]
fn what_cannot_be_followed_is_lost_for_good() {
    for bytes in [
        "POST / HTTP/1.1\r\nContent-Length: +4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nabcd",
    ] {
        assert!(in_pieces(bytes.as_bytes())[0].lost, "{bytes}");
    }
    let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for bad in [
        "zz\r\n",
        "\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5;a\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        // hyper's trailers go on up to an empty line that ends with CR LF.
        "0\r\na: b\n\nGET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        "0\r\na: b\r\n\n",
    ] {
        for (first, second) in [(head.as_slice(), bad), (b"".as_slice(), bad)] {
            let mut framing = Framing::default();
            // In two pieces, and in one.
            framing.advance(first);
            let rest =
                if first.is_empty() { [head, bad.as_bytes()].concat() } else { second.into() };
            assert_eq!(framing.advance(&rest), rest.len(), "{bad:?}");
            assert!(!framing.head().lost, "{bad:?}: the head itself was good");
            framing.advance(b"GET / HTTP/1.1\r\n\r\n");
            assert!(framing.head().lost, "{bad:?}");
            assert!(framing.head().lost, "{bad:?}: for good");
        }
    }
}

#[test]
fn zeros_before_the_size_of_a_chunk_are_no_matter_however_they_are_cut() {
    let zeros = "0".repeat(60);
    let bytes = format!(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{zeros}5\r\n\r\n\r\nx\r\n{zeros}\r\n\r\n\
        POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    assert_eq!(in_pieces(bytes.as_bytes()), [CHUNKED, Seen { lengths: 1, ..CHUNKED }]);
}
