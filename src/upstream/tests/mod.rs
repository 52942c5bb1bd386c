//! The client against servers that say exactly what is written here.

mod answers;
mod codec;
mod pooled;
mod requests;

use std::sync::Arc;

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A server that a test plays.
struct App {
    listener: TcpListener,
    pool: Arc<Pool>,
}

impl App {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        Self { listener, pool: Arc::new(Pool::new(address)) }
    }

    async fn accept(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }
}

/// Reads from a client until what it has sent ends like this.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        assert!(
            stream.read_buf(&mut text).await.unwrap() > 0,
            "{}",
            String::from_utf8_lossy(&text)
        );
    }
    String::from_utf8(text).unwrap()
}

/// The answer to a GET that the app answers with these bytes, and closes or not.
async fn answer_of(bytes: &[u8], closes: bool) -> Result<(Answer<Empty>, App), Failed<Empty>> {
    let app = App::new().await;
    let pool = Arc::clone(&app.pool);
    let asking = tokio::spawn(async move { pool.send(get("/"), false).await });
    let mut stream = app.accept().await;
    read_until(&mut stream, "\r\n\r\n").await;
    stream.write_all(bytes).await.unwrap();
    if closes {
        drop(stream);
        return asking.await.unwrap().map(|answer| (answer, app));
    }
    let answer = asking.await.unwrap()?;
    // Open for as long as the test lasts.
    tokio::spawn(async move { stream.read_u8().await });
    Ok((answer, app))
}

type Empty = http_body_util::Empty<Bytes>;

fn get(path: &str) -> http::Request<Empty> {
    http::Request::get(path).header("host", "localhost").body(Empty::new()).unwrap()
}

/// The whole body of an answer, and whether trailers came.
async fn whole<B>(body: AnswerBody<B>) -> Result<(Bytes, bool), UpstreamError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let collected = body.collect().await?;
    let trailers = collected.trailers().is_some();
    Ok((collected.to_bytes(), trailers))
}

/// A body of these pieces, of no known length.
fn pieces<const N: usize>(
    pieces: [&'static str; N],
) -> impl Body<Data = Bytes, Error = std::io::Error> + Unpin + std::fmt::Debug {
    let frames = pieces.map(|piece| Ok(Frame::data(Bytes::from(piece))));
    http_body_util::StreamBody::new(futures_util::stream::iter(frames))
}
