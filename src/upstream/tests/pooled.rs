//! Connections that are kept.

use super::*;

/// Answers on one connection, each time with these bytes, until the client closes it; how often.
async fn serve(mut stream: TcpStream, bytes: &'static [u8]) -> usize {
    let mut head = Vec::new();
    let mut answered = 0;
    while stream.read_buf(&mut head).await.unwrap_or(0) > 0 {
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            stream.write_all(bytes).await.unwrap();
            answered += 1;
        }
    }
    answered
}

async fn ask(pool: &Arc<Pool>, fresh: bool) {
    let answer = pool.send(get("/"), fresh).await.map_err(|failed| failed.error).unwrap();
    whole(answer.body).await.unwrap();
}

#[tokio::test]
async fn a_connection_is_used_again_and_closed_with_its_pool() {
    let app = App::new().await;
    let pool = Arc::clone(&app.pool);
    let asking = async {
        for _ in 0..3 {
            ask(&pool, false).await;
        }
        pool.close();
        ask(&pool, false).await;
    };
    let serving = async {
        let bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
        let first = serve(app.accept().await, bytes).await;
        (first, serve(app.accept().await, bytes).await)
    };
    assert_eq!(tokio::join!(asking, serving).1, (3, 1));
}

#[tokio::test]
async fn a_connection_that_the_app_gives_up_is_not_kept() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"[..],
        b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nkeep-alive: timeout=0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nmore than was asked for",
    ] {
        let app = App::new().await;
        let (stream, ()) = tokio::join!(app.accept(), ask_once(&app, answer));
        drop(stream);
    }
}

/// One request, after which the pool holds nothing.
async fn ask_once(app: &App, answer: &'static [u8]) {
    let pool = Arc::clone(&app.pool);
    let asking = tokio::spawn(async move {
        ask(&pool, false).await;
        pool
    });
    let served = serve(app.accept().await, answer);
    // It ends when the client closes the connection: at once, and not when the pool does.
    assert_eq!(served.await, 1);
    let pool = asking.await.unwrap();
    // For the accept beside this one.
    let _ = pool.address().connect().await;
}

#[tokio::test]
async fn a_connection_that_the_app_closed_meanwhile_is_not_used() {
    let app = App::new().await;
    let first = async {
        let mut stream = app.accept().await;
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    };
    tokio::join!(ask(&app.pool, false), first);
    // Older than what counts as fresh.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let second =
        async { serve(app.accept().await, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await };
    let asking = async {
        ask(&app.pool, false).await;
        app.pool.close();
    };
    assert_eq!(tokio::join!(asking, second).1, 1);
}

#[tokio::test]
async fn a_request_that_asks_for_it_gets_a_connection_of_its_own() {
    let app = App::new().await;
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let asking = async {
        ask(&app.pool, false).await;
        ask(&app.pool, true).await;
        app.pool.close();
    };
    let serving = async {
        let first = app.accept().await;
        let first = tokio::spawn(serve(first, bytes));
        (serve(app.accept().await, bytes).await, first.await.unwrap())
    };
    assert_eq!(tokio::join!(asking, serving).1, (1, 1));
}
