//! The body of a request on its way to the app, and what of it is kept for a second way.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::trailers;
use super::upload::{Upload, UploadError};
use crate::budget::{Account, Extra};

/// Bytes of a body that are kept, at most; forms and calls of an API are smaller. At the worst each
/// request that waits for its answer holds so much.
const KEPT: usize = 64 << 10;

/// Why a body did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is longer than `limits.body`.
    #[error("the request's body is too large")]
    TooLarge,
    /// The client broke off, or broke the rules, or was too slow.
    #[error("the request's body broke off: {0}")]
    Client(#[from] UploadError),
}

/// The body of a request. An empty one costs nothing.
#[derive(Debug, Default)]
pub(crate) struct RequestBody {
    source: Option<Arc<Source>>,
    /// Bytes that this reader has had.
    given: u64,
}

/// Where the bytes of a body come from. Shared by those who read it one after the other.
#[derive(Debug)]
pub(crate) struct Source {
    /// `Content-Length`; none: not known before the end.
    length: Option<u64>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    upload: Upload,
    /// What came so far; none: too much, no room for it, or no longer wanted.
    kept: Option<Kept>,
    came: u64,
    limit: u64,
    outcome: Outcome,
    /// It has come to its end.
    ended: bool,
}

/// What came of a body so far.
#[derive(Debug)]
struct Kept {
    /// Copied: a piece of a single byte would keep the whole buffer that it came in.
    bytes: Vec<u8>,
    _room: Extra,
}

impl Kept {
    /// Room for a body of this length, or of one that nobody knows.
    fn room(length: Option<u64>, account: &Arc<Account>) -> Option<Self> {
        let most = length.unwrap_or(KEPT as u64);
        let bytes = usize::try_from(most).ok().filter(|most| *most <= KEPT)?;
        let room = account.extra(bytes)?;
        Some(Self { bytes: Vec::with_capacity(bytes), _room: room })
    }
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Not yet, or well.
    Open,
    TooLarge,
    /// The client broke off.
    Broken,
    /// It came too slowly.
    Slow,
}

impl RequestBody {
    /// The body that comes from the client; more than `limit` bytes of it are an error.
    pub(crate) fn new(upload: Option<Upload>, limit: u64) -> Self {
        let Some(upload) = upload else { return Self::default() };
        let length = upload.size_hint().exact();
        let source = Source {
            length,
            inner: Mutex::new(Inner {
                kept: Kept::room(length, upload.account()),
                upload,
                came: 0,
                limit,
                outcome: Outcome::Open,
                ended: false,
            }),
        };
        Self { source: Some(Arc::new(source)), given: 0 }
    }

    /// What the bytes come from; none: there are none.
    pub(crate) fn source(&self) -> Option<Arc<Source>> {
        self.source.clone()
    }
}

impl Source {
    /// The whole body once more, if all that came of it so far was kept.
    pub(crate) fn again(self: &Arc<Self>) -> Option<RequestBody> {
        let inner = self.inner();
        let whole = inner.kept.is_some() && inner.outcome == Outcome::Open;
        whole.then(|| RequestBody { source: Some(Arc::clone(self)), given: 0 })
    }

    /// Keeps nothing from now on.
    pub(crate) fn forget(&self) {
        self.inner().kept = None;
    }

    pub(crate) fn outcome(&self) -> Outcome {
        self.inner().outcome
    }

    /// Whether all of it has come, as far as it was asked for.
    pub(crate) fn is_whole(&self) -> bool {
        let inner = self.inner();
        inner.ended || inner.upload.is_end_stream()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.outcome == Outcome::TooLarge {
            return Poll::Ready(Some(Err(BodyError::TooLarge)));
        }
        let frame = match ready!(Pin::new(&mut self.upload).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                self.outcome = match error {
                    UploadError::Slow => Outcome::Slow,
                    UploadError::Client(_) => Outcome::Broken,
                };
                return Poll::Ready(Some(Err(error.into())));
            }
            None => {
                self.ended = true;
                return Poll::Ready(None);
            }
        };
        let Some(data) = frame.data_ref() else {
            // Trailers are not kept, so there is no second time. Nothing follows them.
            self.kept = None;
            self.ended = true;
            return Poll::Ready(trailers::of_request(frame).map(Ok));
        };
        self.came += data.len() as u64;
        if self.came > self.limit {
            self.outcome = Outcome::TooLarge;
            self.kept = None;
            return Poll::Ready(Some(Err(BodyError::TooLarge)));
        }
        if self.came > KEPT as u64 {
            self.kept = None;
        } else if let Some(kept) = &mut self.kept {
            kept.bytes.extend_from_slice(data);
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(source) = &this.source else { return Poll::Ready(None) };
        let mut inner = source.inner();
        let given = usize::try_from(this.given).unwrap_or(usize::MAX);
        let again = inner.kept.as_ref().and_then(|kept| kept.bytes.get(given..));
        let frame = match again.filter(|again| !again.is_empty()) {
            Some(again) => Frame::data(Bytes::copy_from_slice(again)),
            None => match ready!(inner.poll(cx)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            },
        };
        if let Some(data) = frame.data_ref() {
            this.given += data.len() as u64;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        let Some(source) = &self.source else { return true };
        // A length that has been reached is the end; without a length only the source knows.
        match source.length {
            Some(length) => self.given >= length,
            None => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.source.as_deref() {
            None => SizeHint::with_exact(0),
            Some(Source { length: Some(length), .. }) => {
                SizeHint::with_exact(length.saturating_sub(self.given))
            }
            Some(_) => SizeHint::default(),
        }
    }
}
