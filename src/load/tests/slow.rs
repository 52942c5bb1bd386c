use std::convert::Infallible;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;

use super::*;

/// Enough to exceed the buffers of both ends, in bytes.
const LARGE: usize = 3 * 1024 * 1024;

/// A server that speaks both HTTP/1.1 and h2c: GET brings `LARGE` bytes; POST is read to its end
/// and answered with 405 and the length of what came.
async fn hyper_server() -> std::net::SocketAddr {
    let large = Bytes::from(vec![b'x'; LARGE]);
    server(move |stream| {
        let large = large.clone();
        let service = service_fn(move |request: http::Request<Incoming>| {
            let large = large.clone();
            async move {
                let mut answer = http::Response::new(Full::new(large));
                if request.method() == http::Method::POST {
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                    *answer.body_mut() = Full::new(body.len().to_string().into());
                }
                Ok::<_, Infallible>(answer)
            }
        });
        async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            // A client that leaves ends it with an error, which is none of the test's.
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        }
    })
    .await
}

fn post(length: usize) -> Request {
    Request::post(PathAndQuery::from_static("/"), vec![b'y'; length])
        .expecting(StatusCode::METHOD_NOT_ALLOWED)
        .expecting_body(Body::Exact(length.to_string().into()))
}

fn large() -> Request {
    Request::get(PathAndQuery::from_static("/big.bin"))
        .expecting_body(Body::Exact(vec![b'x'; LARGE].into()))
}

#[tokio::test]
async fn a_body_reaches_the_server_and_the_answer_may_be_an_error_status() {
    let report = send(hyper_server().await, FLAT_OUT, &post(100_000), 20).await;
    assert_eq!((report.lost(), report.total().connections), (0, 1), "{report}");
}

#[tokio::test]
async fn a_slow_upload_takes_its_time_and_arrives_whole() {
    let over = Duration::from_millis(60);
    let report = send(hyper_server().await, Kind::SlowUpload { over }, &post(64 * 1024), 2).await;
    assert_eq!((report.lost(), report.total().connections), (0, 1), "{report}");
    assert!(report.lasted() >= 2 * over, "{:?}", report.lasted());
}

#[tokio::test]
async fn a_slow_download_takes_its_time_and_arrives_whole() {
    let over = Duration::from_millis(200);
    let report = send(hyper_server().await, Kind::SlowDownload { over }, &large(), 2).await;
    assert_eq!((report.lost(), report.total().connections), (0, 1), "{report}");
    // The last bytes may come after the last pause.
    assert!(report.lasted() >= over, "{:?}", report.lasted());
}

#[tokio::test]
async fn the_standard_mix_runs_each_of_its_kinds_without_a_loss() {
    let site = Site { small: large(), large: large(), upload: post(64 * 1024) };
    let small = Request::post(PathAndQuery::from_static("/"), "")
        .expecting(StatusCode::METHOD_NOT_ALLOWED)
        .expecting_body(Body::Exact("0".into()));
    let running = start(Mix::standard(hyper_server().await, &Site { small, ..site }));
    running.until_each_answered(1).await.unwrap();
    let report = running.stop().await;
    assert_eq!(report.lost(), 0, "{report}");
    assert_eq!(report.by_kind().len(), 15);
    assert!(report.by_kind().iter().all(|kind| kind.figures.ok > 0), "{report}");
}

#[tokio::test]
async fn http2_carries_bodies_both_ways_on_one_connection() {
    let address = hyper_server().await;
    let kind = Kind::Http2 { streams: 4, gap: Duration::ZERO };
    let report = send(address, kind, &large(), 8).await;
    assert_eq!((report.lost(), report.total().connections), (0, 1), "{report}");
    let report = send(address, kind, &post(300_000), 8).await;
    assert_eq!((report.lost(), report.total().connections), (0, 1), "{report}");
}
