//! Properties of what is parsed here.

use bytes::BytesMut;
use http::HeaderMap;
use proptest::prelude::*;

use super::chunked::{Decoder, Step};
use super::is_head;

/// Decodes bytes that come in these pieces: the body, or why it is none.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Vec<u8>>, String> {
    let (mut decoder, mut read, mut body) = (Decoder::default(), BytesMut::new(), Vec::new());
    for piece in pieces {
        read.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut read).map_err(|error| error.to_string())? {
                Step::More => break,
                Step::Data(data) => body.extend_from_slice(&data),
                Step::End(_) => return Ok(Some(body)),
            }
        }
    }
    Ok(None)
}

fn encode(pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        encoded.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        encoded.extend_from_slice(piece);
        encoded.extend_from_slice(b"\r\n");
    }
    encoded.extend_from_slice(b"0\r\n\r\n");
    encoded
}

#[test]
fn what_differs_from_the_grammar_by_a_byte_is_refused() {
    for body in [
        "\r\n",
        "g\r\n",
        "5\rhello",
        "5\n",
        "5\r\nhellox",
        "5\r\nhello\n",
        "11111111111111111\r\n",
        "5;\nx",
        "0\r\nx",
        ";a\r\n",
        " 5\r\n",
    ] {
        let outcome = decode([body.as_bytes()]);
        assert!(!matches!(outcome, Ok(Some(_))), "{body:?}: {outcome:?}");
    }
    assert_eq!(
        decode(["5;a=\"b\"\r\nhello\r\n0\r\na: b\r\n\r\n".as_bytes()]),
        Ok(Some(b"hello".into()))
    );
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_however_it_is_cut(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
        cut in 1usize..50,
    ) {
        let encoded = encode(&pieces);
        prop_assert_eq!(decode(encoded.chunks(cut)), Ok(Some(pieces.concat())));
    }

    #[test]
    fn any_bytes_are_a_body_or_are_not_but_the_same_however_they_are_cut(
        bytes in "[0-9a-f;\r\n x]{0,60}", cut in 1usize..9,
    ) {
        let whole = decode([bytes.as_bytes()]);
        prop_assert_eq!(decode(bytes.as_bytes().chunks(cut)), whole);
    }

    #[test]
    fn no_bytes_make_the_head_of_an_answer_a_panic(bytes in any::<Vec<u8>>()) {
        let _ = is_head(&bytes);
        let _ = is_head(&[b"HTTP/1.1 200 OK\r\n", &bytes[..], b"\r\n\r\n"].concat());
        let mut read = BytesMut::from(&bytes[..]);
        let _ = Decoder::default().decode(&mut read);
    }
}

#[test]
fn a_whole_head_is_found() {
    assert!(is_head(b"HTTP/1.1 200 OK\r\na:\r\nb: c\r\n\r\n"));
    assert!(!is_head(b"HTTP/1.1 200 OK\r\na: b\r\n"));
    assert_eq!(Step::End(HeaderMap::new()), Step::End(HeaderMap::new()));
}
