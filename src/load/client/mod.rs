//! The clients: one file per protocol.

mod connect;
mod events;
mod http1;
mod http2;
mod websocket;

use std::time::Duration;

use tokio::time::timeout;

use super::kind::Kind;
use super::loss::Loss;
use super::run::Client;

/// Runs one client until the run stops.
pub(super) async fn run(client: Client) {
    match client.group().kind {
        Kind::Http2 { streams, .. } => http2::run(&client, streams).await,
        Kind::WebSocket { .. } => websocket::run(&client).await,
        Kind::Events => events::run(&client).await,
        _ => http1::run(&client).await,
    }
}

/// The outcome of an exchange, which is a loss where it takes longer than the deadline.
async fn within<T>(
    deadline: Duration,
    exchange: impl Future<Output = Result<T, Loss>>,
) -> Result<T, Loss> {
    timeout(deadline, exchange).await.unwrap_or(Err(Loss::Deadline(deadline)))
}
