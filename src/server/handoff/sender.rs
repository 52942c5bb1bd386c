//! The side of who leaves: gives its idle connections to the siblings.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::super::accept::{Door, Held};
use super::super::stream::Stream;
use super::door_beside;
use super::wire::{self, GO, MOST, OFFER};

/// How long a sibling has to answer. It is on this machine and answers within a millisecond; a client
/// that asks in the meantime waits for as long.
const ANSWER: Duration = Duration::from_millis(500);

/// The siblings that take what is idle.
#[derive(Debug)]
pub(in super::super) struct HandOver {
    siblings: Vec<Sibling>,
    given: u64,
}

#[derive(Debug)]
struct Sibling {
    door: PathBuf,
    stream: UnixStream,
}

impl HandOver {
    /// To the siblings that have these control sockets, as far as they take anything: one of an older
    /// version does not. None: nobody does.
    pub(in super::super) async fn to(controls: &[PathBuf]) -> Option<Self> {
        let siblings = join_all(controls.iter().map(|control| Sibling::connect(control))).await;
        let siblings: Vec<Sibling> = siblings.into_iter().flatten().collect();
        (!siblings.is_empty()).then_some(Self { siblings, given: 0 })
    }

    /// Gives away what is idle behind the door, and what gets so, for as long as somebody takes it. It
    /// has no end of its own: the drain ends when nothing is left.
    pub(in super::super) async fn run(&mut self, door: &Arc<Door>) -> Infallible {
        let mut leaving = door.pass_on();
        let mut held = Vec::new();
        while leaving.recv_many(&mut held, MOST * self.siblings.len().max(1)).await > 0 {
            self.give(&mut held).await;
            if !held.is_empty() {
                door.keep();
                for held in held.drain(..) {
                    door.go_on(held);
                }
            }
        }
        pending().await
    }

    /// Spreads connections evenly. Leaves those that nobody took.
    async fn give(&mut self, held: &mut Vec<Held>) {
        while !held.is_empty() && !self.siblings.is_empty() {
            // Each time another one is the first, so that it does not get all that come one by one.
            self.siblings.rotate_left(1);
            for index in (0..self.siblings.len()).rev() {
                let share = held.len().div_ceil(index + 1).min(MOST);
                let sibling = &self.siblings[index];
                let taken = sibling.offer(&held[..share]).await.unwrap_or_else(|error| {
                    tracing::debug!(%error, door = %sibling.door.display(), "a hand-over failed");
                    0
                });
                held.drain(..taken);
                self.given += taken as u64;
                if taken < share {
                    // Closes the door to it, so that it knows for certain what it got.
                    self.siblings.remove(index);
                }
            }
        }
    }
}

impl Drop for HandOver {
    /// However the drain ends.
    fn drop(&mut self) {
        if self.given > 0 {
            tracing::info!("handed {} idle connections over to siblings", self.given);
        }
    }
}

impl Sibling {
    async fn connect(control: &Path) -> Option<Self> {
        let door = door_beside(control);
        let stream = timeout(ANSWER, UnixStream::connect(&door)).await.ok()?.ok()?;
        wire::is_of_same_user(&stream).then_some(Self { door, stream })
    }

    /// Offers connections; how many of them, the first ones, are the sibling's from now on.
    ///
    /// # Errors
    /// Where none of them is, if only the door is closed after it.
    async fn offer(&self, held: &[Held]) -> io::Result<usize> {
        if held.is_empty() {
            return Ok(0);
        }
        let sockets: Vec<BorrowedFd<'_>> = held.iter().map(|held| socket(&held.stream)).collect();
        let offering = async {
            wire::send(&self.stream, OFFER, &sockets).await?;
            let (taken, _) = wire::receive(&self.stream).await?;
            if taken > 0 {
                // The last step: once it is done nothing can come between any more.
                wire::send(&self.stream, GO, &[]).await?;
            }
            Ok(usize::from(taken).min(held.len()))
        };
        timeout(ANSWER, offering).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

fn socket(stream: &Stream) -> BorrowedFd<'_> {
    match stream {
        Stream::Tcp(stream) => stream.as_fd(),
        Stream::Unix(stream) => stream.as_fd(),
    }
}
