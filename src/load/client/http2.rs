//! The HTTP/2 client: several streams at the same time on one connection, by prior knowledge and
//! without TLS (h2c, RFC 9113).

use std::mem;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::client::SendRequest;
use tokio::sync::Mutex;

use super::connect::connect;
use super::within;
use crate::load::loss::Loss;
use crate::load::mix::Request;
use crate::load::run::Client;
use crate::load::wire::BodyCheck;

/// The connection of a client, shared by its streams.
struct Link<'a> {
    client: &'a Client,
    current: Mutex<Option<SendRequest<Bytes>>>,
}

/// Runs one client with `streams` requests at a time until the run stops.
pub(super) async fn run(client: &Client, streams: usize) {
    let link = Link { client, current: Mutex::new(None) };
    join_all((0..streams).map(|_| run_stream(client, &link))).await;
}

async fn run_stream(client: &Client, link: &Link<'_>) {
    let mut first = true;
    while let Some(attempt) = client.begin() {
        let outcome = within(client.mix().deadline, exchange(client, link)).await;
        let lost = outcome.is_err();
        attempt.settle(outcome);
        client.gap(mem::take(&mut first), lost).await;
    }
}

/// Sends one request and reads its answer.
async fn exchange(client: &Client, link: &Link<'_>) -> Result<(), Loss> {
    let request = &client.group().request;
    let head = head(request, &client.mix().target.host())?;
    let mut sender = link.sender().await?;
    let (answer, mut upload) = sender.send_request(head, request.body.is_empty())?;
    if !request.body.is_empty() {
        // h2 holds what the flow control does not let through yet.
        upload.send_data(request.body.clone(), true)?;
    }
    let (answer, mut body) = answer.await?.into_parts();
    if answer.status != request.status {
        return Err(Loss::Status { expected: request.status, got: answer.status });
    }
    let mut check = BodyCheck::new(&request.answer);
    while let Some(piece) = body.data().await {
        let piece = piece?;
        check.feed(&piece)?;
        body.flow_control().release_capacity(piece.len())?;
    }
    check.finish()
}

fn head(request: &Request, host: &str) -> Result<http::Request<()>, Loss> {
    http::Request::builder()
        .method(request.method.clone())
        .uri(format!("http://{host}{}", request.path))
        .body(())
        .map_err(Loss::Unsendable)
}

impl Link<'_> {
    /// A handle for one stream. Where the connection is known to have ended, or the server has
    /// said GOAWAY, it opens a new one first.
    async fn sender(&self) -> Result<SendRequest<Bytes>, Loss> {
        let mut current = self.current.lock().await;
        let had_one = match current.take() {
            None => false,
            // A clone is not bound to an earlier stream: it answers at once.
            Some(sender) => match sender.ready().await {
                Ok(sender) => {
                    *current = Some(sender.clone());
                    return Ok(sender);
                }
                Err(_ended) => true,
            },
        };
        let sender = self.open().await?;
        if had_one {
            self.client.tally().numbers().reconnects += 1;
        }
        *current = Some(sender.clone());
        Ok(sender)
    }

    async fn open(&self) -> Result<SendRequest<Bytes>, Loss> {
        let stream = connect(&self.client.mix().target, None).await.map_err(Loss::Connect)?;
        self.client.tally().numbers().connections += 1;
        let (sender, connection) = h2::client::handshake(stream).await?;
        // It ends with the server's last word, or after the last handle is gone; what ends it
        // reaches each stream too.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender.ready().await?)
    }
}
