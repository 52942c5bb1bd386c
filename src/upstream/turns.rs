//! Whose turn it is to connect.
//!
//! An app has a queue of connections that it has not taken yet, often of 128 (listen(2)). A client of HTTP/2 may
//! ask for hundreds of things at a time: a few such clients would fill the queue again and again, and whoever
//! else needs a connection would wait behind all of them. So each client has only some made at a time, and those
//! of all clients are made in the order in which they were asked for.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Connections that are made for one client at a time. One takes a tenth of a millisecond where the app
/// takes them, so that nobody waits for these.
const OF_ONE: usize = 4;

/// Connections to one address that are made at a time: half of the usual queue of an app.
const AT_ONCE: usize = 64;

/// The turns of one client.
#[derive(Debug)]
pub(crate) struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(OF_ONE))
    }
}

/// Those who wait for a connection to one address.
#[derive(Debug)]
pub(super) struct Line(Semaphore);

impl Default for Line {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Line {
    /// Waits for the turn of a client; it is over when this is dropped.
    pub(super) async fn turn_of<'a>(
        &'a self,
        client: &'a Turns,
    ) -> [Option<SemaphorePermit<'a>>; 2] {
        // Nobody closes them. The client's own turn comes first: those of it that wait are not in the line.
        let own = client.0.acquire().await.ok();
        [own, self.0.acquire().await.ok()]
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn one_that_wants_many_is_only_a_few_places_ahead_of_the_next() {
        let (line, greedy, other) = (Line::default(), Turns::default(), Turns::default());
        let mut held: Vec<_> = (0..AT_ONCE).map(|_| line.0.try_acquire().unwrap()).collect();
        let many = async {
            let wanted = (0..100).map(|_| async {
                let _turn = line.turn_of(&greedy).await;
                std::future::pending::<()>().await;
            });
            futures_util::future::join_all(wanted).await;
        };
        let next = async {
            // They have asked before.
            yield_now().await;
            let next = line.turn_of(&other);
            let freed = async {
                yield_now().await;
                held.truncate(AT_ONCE - OF_ONE - 1);
            };
            tokio::join!(next, freed);
        };
        tokio::select! {
            biased;
            () = many => unreachable!("none of them ends"),
            () = next => {}
        }
    }
}
