//! A connection that speaks another protocol, as one among the others: it ends when nothing has been said
//! on it for too long, or when it has to make room.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

use super::activity::lock;
use super::crowd::{Member, Stage};
use super::stream::Stream;
use crate::budget::Account;
use crate::front::Tunnel;

/// Moves bytes until either side has closed, nothing was said for `idle`, or it has to make room. `sent`:
/// what the client has sent already.
pub(super) async fn run(
    tunnel: Tunnel,
    client: Stream,
    sent: &[u8],
    idle: Duration,
    account: &Arc<Account>,
    member: &Member,
) {
    let last = Arc::new(Mutex::new(Instant::now()));
    member.is(Stage::Tunnel(Arc::clone(&last)));
    let client = Noted { stream: client, last: Arc::clone(&last) };
    tokio::select! {
        biased;
        () = tunnel.run(client, sent, account) => {}
        () = silence(&last, idle) => {}
        () = member.asked_to_leave() => {}
    }
}

/// Waits until nothing has been said for so long.
async fn silence(last: &Mutex<Instant>, idle: Duration) {
    loop {
        let until = *lock(last) + idle;
        if until <= Instant::now() {
            return;
        }
        sleep_until(until).await;
    }
}

/// A stream of which it is noted when bytes moved last, in either direction.
struct Noted {
    stream: Stream,
    last: Arc<Mutex<Instant>>,
}

impl Noted {
    fn note(&self) {
        *lock(&self.last) = Instant::now();
    }
}

impl AsyncRead for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.note();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Noted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.note();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
