//! The head of an answer and a chunked body: no bytes make a panic, and what comes of them does not
//! depend on how they are cut into reads.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use romuo::upstream::chunked::{Decoder, Step};
use romuo::upstream::is_head;

/// The body, if the bytes are a whole one.
fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Option<Vec<u8>>, ()> {
    let (mut decoder, mut read, mut body) = (Decoder::default(), BytesMut::new(), Vec::new());
    for piece in pieces {
        read.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut read).map_err(|_| ())? {
                Step::More => break,
                Step::Data(data) => body.extend_from_slice(&data),
                Step::End(_) => return Ok(Some(body)),
            }
        }
    }
    Ok(None)
}

fuzz_target!(|bytes: &[u8]| {
    let _ = is_head(bytes);
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let whole = decode(std::iter::once(bytes));
    let in_pieces = decode(bytes.chunks(usize::from(*cut).max(1)));
    assert_eq!(whole, in_pieces);
});
