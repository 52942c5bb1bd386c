use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::Reason;

use super::*;

const STREAMS: Kind = Kind::Http2 { streams: 4, gap: Duration::ZERO };

/// Answers `ok` to one stream.
fn answer(mut respond: h2::server::SendResponse<Bytes>) {
    if let Ok(mut body) = respond.send_response(http::Response::new(()), false) {
        // The client may have gone.
        drop(body.send_data("ok".into(), true));
    }
}

#[tokio::test]
async fn goaway_leads_to_a_new_connection_and_no_loss() {
    let connections = Arc::new(AtomicUsize::new(0));
    let opened = Arc::clone(&connections);
    let address = server(move |stream| {
        opened.fetch_add(1, Ordering::Relaxed);
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let mut served = 0;
            while let Some(Ok((_request, respond))) = connection.accept().await {
                answer(respond);
                served += 1;
                if served == 5 {
                    connection.graceful_shutdown();
                }
            }
        }
    })
    .await;
    let report = send(address, STREAMS, &page(), 100).await;
    let total = report.total();
    assert_eq!(total.lost, 0, "{report}");
    assert!(total.reconnects >= 2, "{report}");
    assert_eq!(total.connections, total.reconnects + 1);
    assert_eq!(connections.load(Ordering::Relaxed) as u64, total.connections);
}

#[tokio::test]
async fn a_refused_stream_is_lost_and_told_apart() {
    let address = server(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let mut refuse = false;
        while let Some(Ok((_request, mut respond))) = connection.accept().await {
            if refuse {
                respond.send_reset(Reason::REFUSED_STREAM);
            } else {
                answer(respond);
            }
            refuse = !refuse;
        }
    })
    .await;
    let report = send(address, STREAMS, &page(), 20).await;
    let total = report.total();
    assert_eq!((total.lost, total.refused, total.connections), (10, 10, 1), "{report}");
    assert!(matches!(report.failures()[0].loss, Loss::Refused(_)));
}

#[tokio::test]
async fn a_stream_beyond_the_last_one_of_goaway_is_lost_and_told_apart() {
    /// An empty SETTINGS frame, and GOAWAY with last stream 0 and no error (RFC 9113, 6.5, 6.8).
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const HEADERS: u8 = 1;
    let address = server(|mut stream| async move {
        stream.write_all(&SETTINGS).await.unwrap();
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        loop {
            let mut frame = [0; 9];
            stream.read_exact(&mut frame).await.unwrap();
            let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            stream.read_exact(&mut payload).await.unwrap();
            if frame[3] == HEADERS {
                break;
            }
        }
        stream.write_all(&GOAWAY).await.unwrap();
        // Holds the connection until the client has closed it.
        drop(stream.read_to_end(&mut Vec::new()).await);
    })
    .await;
    let kind = Kind::Http2 { streams: 1, gap: Duration::ZERO };
    let report = send(address, kind, &page(), 3).await;
    let total = report.total();
    assert_eq!((total.lost, total.refused, total.connections), (3, 3, 3), "{report}");
}

#[tokio::test]
async fn a_failed_stream_or_connection_is_lost_but_not_refused() {
    let address = server(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_request, mut respond))) = connection.accept().await {
            respond.send_reset(Reason::INTERNAL_ERROR);
        }
    })
    .await;
    let report = send(address, STREAMS, &page(), 8).await;
    assert_eq!((report.lost(), report.total().refused), (8, 0), "{report}");

    let address = server(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        drop(connection.accept().await);
    })
    .await;
    let kind = Kind::Http2 { streams: 1, gap: Duration::ZERO };
    let report = send(address, kind, &page(), 4).await;
    assert_eq!((report.lost(), report.total().refused), (4, 0), "{report}");
}

#[tokio::test]
async fn another_body_over_http2_is_a_loss() {
    let address = server(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_request, respond))) = connection.accept().await {
            answer(respond);
        }
    })
    .await;
    let longer = page().expecting_body(Body::Length(3));
    assert_eq!(send(address, STREAMS, &longer, 8).await.lost(), 8);
    let other = page().expecting_body(Body::Exact("no".into()));
    assert_eq!(send(address, STREAMS, &other, 8).await.lost(), 8);
    assert_eq!(send(address, STREAMS, &page(), 8).await.lost(), 0);
}
