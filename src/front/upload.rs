//! The body of a request as it comes from the client, which has to come at a pace.
//!
//! A body that never ends holds its connection for as long as its client likes; a bound on the silence
//! between two bytes does not help against one that sends a byte just before it. So a body has to arrive
//! at a rate, reckoned over the time that the server has waited for it, as `mod_reqtimeout` of Apache and
//! Kestrel do it. Time in which nobody asks the client for more, because the app does not take it,
//! does not count.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::budget::{Account, Awaited};

/// How fast a body has to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Bytes a second.
    pub(crate) rate: u32,
    /// How long it may be slower, in all.
    pub(crate) grace: Duration,
    /// How long no byte may come.
    pub(crate) silence: Duration,
}

impl Pace {
    /// How long the next byte of a body may take of which so many bytes came, and that was waited for
    /// for so long.
    fn patience(self, came: u64, waited: Duration) -> Duration {
        let earned = Duration::from_secs(came / u64::from(self.rate.max(1)));
        self.grace.saturating_add(earned).saturating_sub(waited).min(self.silence)
    }
}

/// Why a body did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    /// It came too slowly.
    #[error("it came too slowly")]
    Slow,
    /// The client broke off, or broke the rules.
    #[error(transparent)]
    Client(#[from] hyper::Error),
}

/// The body of a request.
#[derive(Debug)]
pub(crate) struct Upload {
    incoming: Incoming,
    account: Arc<Account>,
    pace: Pace,
    came: u64,
    /// How long it was waited for before.
    waited: Duration,
    /// Some: it is waited for.
    waiting: Option<Waiting>,
    late: Late,
}

/// Whether a body came too slowly.
#[derive(Debug, Clone, Default)]
pub(crate) struct Late(Arc<AtomicBool>);

impl Late {
    pub(crate) fn is_so(&self) -> bool {
        self.0.load(Relaxed)
    }
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    patience: Pin<Box<Sleep>>,
    _awaited: Awaited,
}

impl Upload {
    /// The body that comes in on the connection of this account.
    pub(crate) fn new(incoming: Incoming, account: Arc<Account>, pace: Pace) -> Self {
        Self {
            incoming,
            account,
            pace,
            came: 0,
            waited: Duration::ZERO,
            waiting: None,
            late: Late::default(),
        }
    }

    /// The account of its connection.
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Whether it came too slowly, for one who has given it away.
    pub(crate) fn late(&self) -> Late {
        self.late.clone()
    }

    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waiting = self.waiting.get_or_insert_with(|| Waiting {
            since: Instant::now(),
            patience: Box::pin(sleep(self.pace.patience(self.came, self.waited))),
            _awaited: Account::awaits(&self.account),
        });
        waiting.patience.as_mut().poll(cx)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let this = &mut *self;
        if this.late.is_so() {
            return Poll::Ready(Some(Err(UploadError::Slow)));
        }
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            if this.poll_late(cx).is_pending() {
                return Poll::Pending;
            }
            this.waiting = None;
            this.late.0.store(true, Relaxed);
            return Poll::Ready(Some(Err(UploadError::Slow)));
        };
        if let Some(waiting) = this.waiting.take() {
            this.waited += waiting.since.elapsed();
        }
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.came += data.len() as u64;
            this.account.received(data.len());
        }
        Poll::Ready(frame.map(|frame| frame.map_err(UploadError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace =
        Pace { rate: 100, grace: Duration::from_secs(10), silence: Duration::from_secs(60) };

    fn patience(came: u64, waited: u64) -> u64 {
        PACE.patience(came, Duration::from_secs(waited)).as_secs()
    }

    #[test]
    fn each_byte_earns_time_and_the_grace_is_given_once() {
        assert_eq!(patience(0, 0), 10);
        assert_eq!(patience(0, 10), 0);
        assert_eq!(patience(1_000, 10), 10);
        assert_eq!(patience(1_000, 20), 0);
        // A byte now and then earns nothing.
        assert_eq!(patience(5, 9), 1);
    }

    #[test]
    fn what_came_fast_earns_no_long_silence() {
        assert_eq!(patience(u64::MAX, 0), 60);
    }
}
