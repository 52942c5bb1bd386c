//! What follows a change of protocol: bytes both ways, and an end that the client understands.
//!
//! A WebSocket is told to come back (close code 1012) when the instance drains or its generation of
//! the app is retired: between two frames, so that nothing is torn. The client's answer to that goes to
//! the app as any other, which so learns that the client has left. Other protocols have no such word;
//! they are cut when time is up.

use std::future::{Future as _, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{sleep, timeout};

use super::ending::Ending;
use super::route::Lease;
use super::websocket::{Frames, RESTART};
use crate::budget::{Account, Lane};

/// Bytes that are moved in one go. They lie on the stack: an idle tunnel has no buffer.
const PIECE: usize = 16 << 10;

/// How long a client that was told to leave may take to say goodbye; browsers do it at once.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long the app may take to answer what the client has said last, before the client is told to
/// leave all the same. Most messages are answered at once, or not at all.
const LAST_WORD: Duration = Duration::from_secs(1);

/// How long a client that is silent is given to say something, so that it can be told to leave with the
/// answer. One that talks does so within this; a close at any other moment could cross what it says.
const SILENCE: Duration = Duration::from_millis(250);

/// A connection to the app that speaks another protocol from now on.
pub(crate) struct Tunnel<S> {
    app: S,
    /// What the app has sent already.
    first: Bytes,
    /// Of what the app sends; none: it is no WebSocket.
    frames: Option<Frames>,
    ending: Ending,
    /// The app is not stopped before the tunnel has ended.
    _lease: Option<Lease>,
}

/// How a direction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its source has closed, and so has its sink.
    Closed,
    /// The client was told to come back.
    ToldToLeave,
}

impl<S> std::fmt::Debug for Tunnel<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel").field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Tunnel<S> {
    pub(crate) fn new(
        app: S,
        first: Bytes,
        is_websocket: bool,
        ending: Ending,
        lease: Option<Lease>,
    ) -> Self {
        Self { app, first, frames: is_websocket.then(Frames::default), ending, _lease: lease }
    }

    /// Moves bytes until both sides have closed, or one is broken. `sent`: what the client has sent
    /// already; `account`: that of the client's connection.
    pub(crate) async fn run<C: AsyncRead + AsyncWrite + Unpin>(
        mut self,
        mut client: C,
        sent: &[u8],
        account: &Arc<Account>,
    ) {
        let mut up = Way::new(sent, account);
        let mut down = Way::new(&self.first, account);
        self.first = Bytes::new();
        if let Some(frames) = &mut self.frames {
            frames.advance(&down.pending);
        }
        // Whether the end is due, and the latest that the client is told of it.
        let (mut due, mut latest, mut silence) = (false, None, None);
        // Whether the client has spoken last.
        let mut waits = false;
        let told = poll_fn(|cx| {
            let said = up.moved;
            let upwards = up.poll(cx, &mut client, &mut self.app);
            waits = waits || up.moved != said;
            if !due && self.ending.as_mut().poll(cx).is_ready() {
                due = true;
                latest = Some(Box::pin(sleep(LAST_WORD)));
                silence = Some(Box::pin(sleep(SILENCE)));
            }
            for time in [&mut latest, &mut silence] {
                if time.as_mut().is_some_and(|time| time.as_mut().poll(cx).is_ready()) {
                    *time = None;
                }
            }
            let heard = down.moved;
            let holds_back = latest.is_some() && (waits || silence.is_some());
            let mut downwards = self.poll_down(cx, &mut down, &mut client, due && !holds_back);
            if down.moved != heard {
                waits = false;
                if due && holds_back {
                    // That was the answer: now is a good moment.
                    downwards = self.poll_down(cx, &mut down, &mut client, due);
                }
            }
            match (upwards, downwards) {
                (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(false),
                (_, Poll::Ready(Ok(End::ToldToLeave))) => Poll::Ready(true),
                (Poll::Ready(_), Poll::Ready(_)) => Poll::Ready(false),
                _ => Poll::Pending,
            }
        })
        .await;
        if told {
            // What the client still says goes to the app, its goodbye too; what the app says no longer
            // comes through.
            let mut unheard = Way::new(&[], account);
            let farewell = poll_fn(|cx| {
                while let Poll::Ready(read) = unheard.poll_read(cx, &mut self.app) {
                    if !matches!(read, Ok(true)) {
                        return Poll::Ready(());
                    }
                    unheard.pending.clear();
                }
                up.poll(cx, &mut client, &mut self.app).map(drop)
            });
            let _ = timeout(FAREWELL, farewell).await;
        }
        let _ = client.shutdown().await;
    }

    /// Moves what the app sends; where it is a WebSocket and the end is due, up to the end of a frame.
    fn poll_down<C: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        way: &mut Way,
        client: &mut C,
        due: bool,
    ) -> Poll<io::Result<End>> {
        let Some(frames) = &mut self.frames else {
            return way.poll(cx, &mut self.app, client).map_ok(|()| End::Closed);
        };
        loop {
            ready!(way.poll_write(cx, client))?;
            if way.told {
                return Poll::Ready(Ok(End::ToldToLeave));
            }
            if way.ended {
                return way.poll_shutdown(cx, client).map_ok(|()| End::Closed);
            }
            if due && frames.is_between() {
                way.tell();
                continue;
            }
            ready!(way.poll_read(cx, &mut self.app))?;
            if !due {
                frames.advance(&way.pending);
            } else if let Some(end) = frames.first_end(&way.pending) {
                way.pending.truncate(end);
                way.tell();
            }
        }
    }
}

/// One direction.
struct Way {
    /// Read and not yet written.
    pending: BytesMut,
    /// The source has closed.
    ended: bool,
    /// The sink has been closed.
    shut: bool,
    /// The close frame is among what is pending.
    told: bool,
    /// Bytes so far.
    moved: u64,
    /// Room for what is pending.
    lane: Lane,
}

impl Way {
    fn new(first: &[u8], account: &Arc<Account>) -> Self {
        let lane = Lane::new(Arc::clone(account), PIECE);
        let pending = BytesMut::from(first);
        Self { pending, ended: false, shut: false, told: false, moved: 0, lane }
    }

    /// Ready when the source has closed, everything has been written, and the sink is closed.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_write(cx, to))?;
            if self.ended {
                return self.poll_shutdown(cx, to);
            }
            ready!(self.poll_read(cx, from))?;
        }
    }

    /// Reads one piece; none: the source has closed.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<bool>> {
        ready!(self.lane.poll_room(cx));
        let mut space = [const { MaybeUninit::uninit() }; PIECE];
        let mut piece = ReadBuf::uninit(&mut space);
        let read = Pin::new(from).poll_read(cx, &mut piece);
        if piece.filled().is_empty() {
            self.lane.rest();
        }
        ready!(read)?;
        self.ended = piece.filled().is_empty();
        self.pending.extend_from_slice(piece.filled());
        self.moved += piece.filled().len() as u64;
        Poll::Ready(Ok(!self.ended))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        if self.pending.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.pending.is_empty() {
            let count = ready!(Pin::new(&mut *to).poll_write(cx, &self.pending))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.advance(count);
        }
        self.pending = BytesMut::new();
        self.lane.rest();
        Pin::new(to).poll_flush(cx)
    }

    fn poll_shutdown(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(Pin::new(to).poll_shutdown(cx))?;
            self.shut = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Lets the client know that it is to come back.
    fn tell(&mut self) {
        self.pending.extend_from_slice(&RESTART);
        self.told = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    struct Rig {
        client: DuplexStream,
        app: DuplexStream,
        end: Option<oneshot::Sender<()>>,
        running: JoinHandle<()>,
    }

    impl Rig {
        fn new(is_websocket: bool) -> Self {
            let (client, inner_client) = duplex(1 << 16);
            let (app, inner_app) = duplex(1 << 16);
            let (end, ended) = oneshot::channel::<()>();
            let ending = Box::pin(async move {
                let _ = ended.await;
            });
            let tunnel = Tunnel::new(
                inner_app,
                Bytes::from_static(b"\x81\x01a"),
                is_websocket,
                ending,
                None,
            );
            let running = tokio::spawn(async move {
                let account = Budget::unbounded().account();
                tunnel.run(inner_client, b"up", &account).await;
            });
            Self { client, app, end: Some(end), running }
        }

        async fn client_reads(&mut self, bytes: &[u8]) {
            let mut got = vec![0; bytes.len()];
            self.client.read_exact(&mut got).await.unwrap();
            assert_eq!(got, bytes);
        }

        async fn app_reads(&mut self, bytes: &[u8]) {
            let mut got = vec![0; bytes.len()];
            self.app.read_exact(&mut got).await.unwrap();
            assert_eq!(got, bytes);
        }
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_each_side_may_close_first() {
        let mut rig = Rig::new(false);
        rig.app_reads(b"up").await;
        rig.client_reads(b"\x81\x01a").await;
        rig.client.write_all(b"ping").await.unwrap();
        rig.app_reads(b"ping").await;
        rig.client.shutdown().await.unwrap();
        assert_eq!(rig.app.read(&mut [0; 1]).await.unwrap(), 0);
        rig.app.write_all(b"pong").await.unwrap();
        rig.client_reads(b"pong").await;
        drop(rig.app);
        rig.running.await.unwrap();
    }

    #[tokio::test]
    async fn a_websocket_that_is_quiet_is_told_to_come_back() {
        let mut rig = Rig::new(true);
        rig.client_reads(b"\x81\x01a").await;
        rig.end.take().unwrap().send(()).unwrap();
        rig.client_reads(&RESTART).await;
        // Its goodbye goes to the app; what the app says after is not heard.
        rig.app.write_all(b"\x81\x01b").await.unwrap();
        rig.client.write_all(b"bye").await.unwrap();
        rig.app_reads(b"upbye").await;
        drop(rig.app);
        assert_eq!(rig.client.read(&mut [0; 9]).await.unwrap(), 0);
        rig.running.await.unwrap();
    }

    #[tokio::test]
    async fn a_frame_that_has_begun_is_whole_before_the_end() {
        let mut rig = Rig::new(true);
        rig.app.write_all(b"\x82\x04wh").await.unwrap();
        rig.client_reads(b"\x81\x01a\x82\x04wh").await;
        rig.end.take().unwrap().send(()).unwrap();
        rig.app.write_all(b"ol\x81\x01b").await.unwrap();
        let mut rest = b"ol\x81\x01b".to_vec();
        rest.extend(RESTART);
        rig.client_reads(&rest).await;
        rig.client.shutdown().await.unwrap();
        rig.app_reads(b"up").await;
        rig.running.await.unwrap();
    }
}
