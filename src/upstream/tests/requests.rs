//! Requests: what goes out, and what is known of one that brought no answer.

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn a_body_of_unknown_length_goes_out_in_chunks_also_with_get() {
    for method in ["POST", "GET"] {
        let app = App::new().await;
        let request = http::Request::builder().method(method).uri("/x");
        let request = request.body(pieces(["hello ", "world"])).unwrap();
        let (answer, _stream) = tokio::join!(app.pool.send(request, false), async {
            let mut stream = app.accept().await;
            let text = read_until(&mut stream, "0\r\n\r\n").await;
            let head = format!("{method} /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
            assert_eq!(text, head + "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n");
            stream.write_all(OK).await.unwrap();
            stream
        });
        assert_eq!(whole(answer.unwrap().body).await.unwrap().0, "ok");
    }
}

#[tokio::test]
async fn an_app_that_is_asked_first_gets_the_body_when_it_says_so() {
    let app = App::new().await;
    let request = http::Request::post("/").header("expect", "100-continue");
    let request = request.body(http_body_util::Full::from("hello")).unwrap();
    let (answer, _stream) = tokio::join!(app.pool.send(request, false), async {
        let mut stream = app.accept().await;
        let head = read_until(&mut stream, "\r\n\r\n").await;
        assert!(head.contains("content-length: 5"), "{head}");
        let mut byte = [0];
        assert!(stream.try_read(&mut byte).is_err(), "the body came unasked");
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        read_until(&mut stream, "hello").await;
        stream.write_all(OK).await.unwrap();
        stream
    });
    assert_eq!(answer.unwrap().parts.status, 200);
}

#[tokio::test]
async fn an_app_that_refuses_gets_no_body_and_its_answer_is_passed_on() {
    let app = App::new().await;
    let request = http::Request::post("/").header("expect", "100-continue");
    let request = request.body(http_body_util::Full::from("hello")).unwrap();
    let (answer, _stream) = tokio::join!(app.pool.send(request, false), async {
        let mut stream = app.accept().await;
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        stream
    });
    assert_eq!(answer.unwrap().parts.status, 413);
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_is_sent_is_an_answer() {
    let app = App::new().await;
    // More than the sockets hold.
    let body = http_body_util::Full::from(vec![b'x'; 64 << 20]);
    let request = http::Request::post("/").body(body).unwrap();
    let (answer, ()) = tokio::join!(app.pool.send(request, false), async {
        let mut stream = app.accept().await;
        read_until(&mut stream, "x").await;
        stream.write_all(b"HTTP/1.1 413 No\r\ncontent-length: 3\r\n\r\nno!").await.unwrap();
        stream.shutdown().await.unwrap();
        // Reads no further, but is there until the answer has been read.
        tokio::spawn(async move { stream.readable().await });
    });
    assert_eq!(whole(answer.unwrap().body).await.unwrap().0, "no!");
}

#[tokio::test]
async fn a_request_goes_on_while_its_answer_is_read() {
    let app = App::new().await;
    let request = http::Request::post("/").body(http_body_util::Full::from(vec![b'x'; 8 << 20]));
    let (answer, ()) = tokio::join!(app.pool.send(request.unwrap(), false), async {
        let mut stream = app.accept().await;
        read_until(&mut stream, "x").await;
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head).await.unwrap();
        tokio::spawn(async move {
            let mut scrap = vec![0; 8 << 20];
            stream.read_exact(&mut scrap[..8 << 20 >> 1]).await.unwrap();
            stream.write_all(b"4\r\nhalf\r\n").await.unwrap();
            stream.read_exact(&mut scrap[..3 << 20]).await.unwrap();
            stream.write_all(b"0\r\n\r\n").await.unwrap();
            stream.read(&mut scrap).await
        });
    });
    assert_eq!(whole(answer.unwrap().body).await.unwrap().0, "half");
}

#[tokio::test]
async fn nobody_there_means_that_nothing_was_sent_and_the_request_comes_back() {
    let app = App::new().await;
    let App { listener, pool } = app;
    drop(listener);
    let failed = pool.send(get("/a"), false).await.unwrap_err();
    assert!(matches!(failed.error, UpstreamError::Connect(_)), "{}", failed.error);
    assert_eq!(failed.sent, Sent::Nothing);
    assert_eq!(failed.request.unwrap().uri(), "/a");
}

#[tokio::test]
async fn a_close_without_a_byte_of_an_answer_means_perhaps() {
    let failed = answer_of(b"", true).await.err().unwrap();
    assert!(matches!(failed.error, UpstreamError::Closed), "{}", failed.error);
    assert_eq!(failed.sent, Sent::Perhaps);
    assert!(failed.request.is_some());
}
