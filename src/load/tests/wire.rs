use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::load::wire::{AtOnce, read_answer};

/// Reads an answer that comes in pieces of at most `piece` bytes, then the end.
async fn read_in_pieces(answer: &[u8], piece: usize, request: &Request) -> Result<bool, Loss> {
    let (mut client, mut server) = tokio::io::duplex(piece);
    let send = async {
        // The client may stop reading at the first thing that is wrong.
        drop(server.write_all(answer).await);
        drop(server);
    };
    let receive = async move {
        let mut buffer = BytesMut::new();
        read_answer(&mut client, &mut buffer, request, &mut AtOnce).await
    };
    tokio::join!(receive, send).0
}

async fn read(answer: &str) -> Result<bool, Loss> {
    read_in_pieces(answer.as_bytes(), 1024, &page()).await
}

#[tokio::test]
async fn an_answer_says_whether_its_connection_is_kept() {
    assert!(read(OK).await.unwrap());
    assert!(!read(OK_AND_CLOSE).await.unwrap());
    assert!(!read("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap());
    let kept = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\nok";
    assert!(read(kept).await.unwrap());
    let listed = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: upgrade, Close\r\n\r\nok";
    assert!(!read(listed).await.unwrap());
}

#[tokio::test]
async fn a_body_without_a_length_ends_with_its_connection() {
    assert!(!read("HTTP/1.1 200 OK\r\n\r\nok").await.unwrap());
    assert!(matches!(
        read("HTTP/1.1 200 OK\r\n\r\no").await,
        Err(Loss::Length { expected: 2, got: 1 })
    ));
}

#[tokio::test]
async fn interim_answers_are_skipped() {
    let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    assert!(read(&format!("{early}{OK}")).await.unwrap());
}

#[tokio::test]
async fn an_ambiguous_length_is_malformed() {
    let twice = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok";
    assert!(matches!(read(twice).await, Err(Loss::Malformed(_))));
    let word = "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok";
    assert!(matches!(read(word).await, Err(Loss::Malformed(_))));
}

#[tokio::test]
async fn a_head_without_an_end_is_malformed_and_not_held_for_ever() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1024 * 1024));
    assert!(matches!(read(&endless).await, Err(Loss::Malformed(_))));
}

#[tokio::test]
async fn a_chunk_that_is_longer_than_it_says_is_malformed() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(matches!(read(&format!("{head}2\r\nokk\r\n0\r\n\r\n")).await, Err(Loss::Malformed(_))));
    assert!(matches!(read(&format!("{head}zz\r\nok")).await, Err(Loss::Malformed(_))));
}

/// The body in chunks of the given lengths, with a trailer.
fn chunked(body: &[u8], lengths: &[usize]) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let mut rest = body;
    let mut lengths = lengths.iter().cycle();
    while let Some(length) = lengths.next().filter(|_| !rest.is_empty()) {
        let (chunk, after) = rest.split_at(rest.len().min(*length));
        answer.extend(format!("{:x};note=1\r\n", chunk.len()).bytes());
        answer.extend(chunk);
        answer.extend(b"\r\n");
        rest = after;
    }
    answer.extend(b"0\r\nSum: 1\r\n\r\n");
    answer
}

proptest! {
    #[test]
    fn an_answer_is_the_same_however_it_is_cut_and_each_missing_byte_is_noticed(
        body in prop::collection::vec(any::<u8>(), 1..200),
        lengths in prop::collection::vec(1_usize..50, 1..4),
        piece in 1_usize..64,
        in_chunks: bool,
        cut: prop::sample::Index,
    ) {
        let answer = if in_chunks {
            chunked(&body, &lengths)
        } else {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            [head.as_bytes(), &body].concat()
        };
        let request = page().expecting_body(Body::Exact(body.into()));
        let cut = cut.index(answer.len());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (whole, partial) = runtime.block_on(async {
            (
                read_in_pieces(&answer, piece, &request).await,
                read_in_pieces(&answer[..cut], piece, &request).await,
            )
        });
        prop_assert!(matches!(whole, Ok(true)), "{:?}", whole);
        let received = cut as u64;
        prop_assert!(
            matches!(partial, Err(Loss::Ended { received: got }) if got == received),
            "{:?}", partial
        );
    }
}
