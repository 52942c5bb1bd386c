//! Answers: where they end, and what is none.

use super::*;

async fn text_of(bytes: &str, closes: bool) -> Result<String, UpstreamError> {
    let (answer, _app) =
        answer_of(bytes.as_bytes(), closes).await.map_err(|failed| failed.error)?;
    let (body, _) = whole(answer.body).await?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn each_way_to_tell_the_end_of_a_body_is_understood() {
    for (answer, closes, body) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", false, "hello"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello", false, "hello"),
        ("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", false, ""),
        ("HTTP/1.1 204 No Content\r\ncontent-length: 9\r\n\r\n", false, ""),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", false, ""),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
            false,
            "hello",
        ),
        ("HTTP/1.1 200 OK\r\n\r\nhello", true, "hello"),
        ("HTTP/1.0 200 OK\r\n\r\nhello", true, "hello"),
        (
            "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            false,
            "ok",
        ),
    ] {
        assert_eq!(text_of(answer, closes).await.unwrap(), body, "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_never_ends_well() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\ncont",
    ] {
        let error = text_of(answer, true).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Cut), "{answer}: {error}");
    }
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 999999 OK\r\n\r\n",
        "220 mail.example.org ESMTP\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
    ] {
        let error = text_of(answer, false).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Malformed(_)), "{answer}: {error}");
    }
}

#[tokio::test]
async fn trailers_come_after_the_body_without_those_that_must_not() {
    let bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\
                  checksum: 7\r\ncontent-length: 9\r\n\r\n";
    let (answer, _app) = answer_of(bytes, false).await.unwrap();
    let collected = answer.body.collect().await.unwrap();
    let trailers = collected.trailers().unwrap();
    assert_eq!(trailers["checksum"], "7");
    assert_eq!(trailers.len(), 1);
}

#[tokio::test]
async fn the_answer_to_head_has_no_body_whatever_it_says() {
    let app = App::new().await;
    let request = http::Request::head("/").body(Empty::new()).unwrap();
    let asking = app.pool.send(request, false);
    let serving = async {
        let mut stream = app.accept().await;
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await.unwrap();
        stream
    };
    let (answer, _stream) = tokio::join!(asking, serving);
    let answer = answer.unwrap();
    assert_eq!(answer.parts.headers["content-length"], "5");
    assert!(answer.body.is_end_stream());
}

#[tokio::test]
async fn an_app_that_changes_the_protocol_hands_over_its_connection() {
    let bytes = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nfirst";
    let (answer, _app) = answer_of(bytes, false).await.unwrap();
    assert_eq!(answer.parts.status, 101);
    assert_eq!(answer.body.into_tunnel().unwrap().read, "first");
    let (answer, _app) = answer_of(b"HTTP/1.1 204 No\r\n\r\n", false).await.unwrap();
    assert!(answer.body.into_tunnel().is_none());
}
