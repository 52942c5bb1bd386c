//! The body of an answer on its way to the client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderValue, Method, Uri};
use http_body::{Body, Frame, SizeHint};

use super::body::RequestBody;
use super::ending::Ending;
use super::events::Events;
use super::refusal::Complaints;
use super::route::Lease;
use super::trailers;
use crate::upstream::{AnswerBody, UpstreamError};

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct FrontBody(Kind);

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every answer is the app's, and a box costs")]
enum Kind {
    /// Of the front itself; none: it has none, or has been given.
    Own(Option<Bytes>),
    /// Of the app.
    Passed(Passed),
}

#[derive(Debug)]
struct Passed {
    body: AnswerBody<RequestBody>,
    /// Whose answer it is, for the case that the app ends in the middle of it. None: that was told.
    asked: Option<Asked>,
    /// The app is not stopped before the answer is whole. None: a sibling's.
    lease: Option<Lease>,
    /// Whether the client takes trailers.
    trailers: bool,
    events: Option<Box<Stream>>,
}

/// A request as the journal names it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) complaints: Arc<Complaints>,
    pub(super) id: HeaderValue,
    pub(super) method: Method,
    pub(super) uri: Uri,
}

/// A stream of events that is ended between two of them when it is time.
struct Stream {
    events: Events,
    ending: Ending,
    due: bool,
    over: bool,
}

impl FrontBody {
    /// A text of the front itself.
    pub(crate) fn short(text: Bytes) -> Self {
        Self(Kind::Own(Some(text)))
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self(Kind::Own(None))
    }

    /// Whether it goes on for as long as somebody listens.
    pub(crate) fn is_endless(&self) -> bool {
        matches!(&self.0, Kind::Passed(Passed { events: Some(_), .. }))
    }

    /// The app's, to what was asked. `ending`: it is a stream of events, to be ended when that is ready.
    pub(super) fn passed(
        body: AnswerBody<RequestBody>,
        asked: Asked,
        lease: Option<Lease>,
        trailers: bool,
        ending: Option<Ending>,
    ) -> Self {
        let stream = |ending| {
            Box::new(Stream { events: Events::default(), ending, due: false, over: false })
        };
        let (asked, events) = (Some(asked), ending.map(stream));
        Self(Kind::Passed(Passed { body, asked, lease, trailers, events }))
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("events", &self.events).finish_non_exhaustive()
    }
}

impl Stream {
    /// Whether the stream is over: it is time, and between two events.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.due = self.due || self.ending.as_mut().poll(cx).is_ready();
        self.over = self.over || self.due && self.events.is_between();
        self.over
    }

    /// What of these bytes is passed on.
    fn pass(&mut self, mut data: Bytes) -> Bytes {
        let end = self.events.advance(&data);
        if let (true, Some(end)) = (self.due, end) {
            data.truncate(end);
            self.over = true;
        }
        data
    }
}

impl Passed {
    /// Tells the journal if the app has ended in the middle of the answer.
    fn broke_off(&mut self) {
        let (Some(lease), Some(asked)) = (&self.lease, self.asked.take()) else { return };
        let generation = Arc::clone(lease.generation());
        tokio::spawn(async move {
            if generation.has_ended().await && generation.has_crashed() {
                let Asked { complaints, id, method, uri } = asked;
                complaints.crashed(Some(&id), &method, uri.path());
            }
        });
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        if self.events.as_mut().is_some_and(|stream| stream.is_over(cx)) {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Err(_)) = frame {
            self.broke_off();
        }
        Poll::Ready(match (frame, &mut self.events) {
            (Some(Ok(frame)), _) if frame.is_trailers() => {
                trailers::of_answer(frame).filter(|_| self.trailers).map(Ok)
            }
            (Some(Ok(frame)), Some(stream)) => Some(Ok(match frame.into_data() {
                Ok(data) => Frame::data(stream.pass(data)),
                Err(frame) => frame,
            })),
            (frame, _) => frame,
        })
    }
}

impl Body for FrontBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        match &mut self.0 {
            Kind::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Kind::Passed(passed) => passed.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Own(text) => text.is_none(),
            Kind::Passed(passed) => passed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Own(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Kind::Passed(passed) => passed.body.size_hint(),
        }
    }
}
