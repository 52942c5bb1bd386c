//! To the app, and again where it was in vain.
//!
//! [`Attempts`] says how often and to whom; here it is done. The body has to be there still. While the
//! app is down a request is held until it is back.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::request::Parts;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::attempts::{Attempts, End, Next};
use super::body::{RequestBody, Source};
use super::forward::{BROKEN, Entry, Front, UNSERVED, of_body};
use super::refusal::Refusal;
use super::request_id::REQUEST_ID;
use super::route::{Generation, Lease};
use super::siblings::Siblings;
use crate::upstream::{Answer, Failed, Sent, UpstreamError};

/// How long a request that is held waits before it looks again whether a sibling is healthy, or whether
/// an app that took no connections takes some.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// An answer, and the right to its generation; none: it is a sibling's.
pub(super) struct Passed {
    pub(super) answer: Answer<RequestBody>,
    pub(super) lease: Option<Lease>,
}

/// What a request needs to be sent again.
struct Spare {
    parts: Parts,
    source: Option<Arc<Source>>,
}

/// An attempt that brought no answer, and whose it was.
type Lost = (Failed<RequestBody>, Arc<Generation>);

impl Front {
    /// Gets the answer to a request, wherever from.
    pub(super) async fn pass(
        &self,
        request: Request<RequestBody>,
        entry: Entry,
    ) -> Result<Passed, Refusal> {
        let (parts, body) = request.into_parts();
        let source = body.source();
        let Some(lease) = self.route.lease() else {
            return Box::pin(self.pass_on(Spare { parts, source }, None, entry)).await;
        };
        // A request without a body comes back whole when it fails; the head of another one may be gone.
        let spare = source.as_ref().map(|_| parts.clone());
        let request = Request::from_parts(parts, body);
        let sent = lease.generation().pool.send(request, false).await;
        match sent {
            Ok(answer) => {
                if let Some(source) = source {
                    source.forget();
                }
                Ok(Passed { answer, lease: Some(lease) })
            }
            Err(mut failed) => {
                let head = failed.request.take().map(|request| request.into_parts().0);
                // One of the two is there: what is not given back had a body.
                let parts = head.or(spare).ok_or(BROKEN)?;
                let lost = Some((failed, Arc::clone(lease.generation())));
                drop(lease);
                Box::pin(self.pass_on(Spare { parts, source }, lost, entry)).await
            }
        }
    }

    /// Goes on with a request: to the same app, to a sibling, or to the app when it is back.
    async fn pass_on(
        &self,
        spare: Spare,
        mut lost: Option<Lost>,
        entry: Entry,
    ) -> Result<Passed, Refusal> {
        let mut attempts = Attempts::of(&spare.parts.method);
        let deadline = Instant::now() + self.hold;
        let mut held: Option<SemaphorePermit<'_>> = None;
        let mut tried = None;
        // The connection may have been one that the app closed at this moment.
        let mut is_stale = lost.is_some();
        loop {
            let next = match lost.take() {
                None => attempts.next(),
                Some((failed, generation)) => {
                    tried = Some(generation.number);
                    let end = self.end_of(&spare, &failed, &generation).await?;
                    attempts.judge(end, spare.is_whole())?
                }
            };
            let at_once =
                next == Next::Own || next == Next::Anywhere && std::mem::take(&mut is_stale);
            if !at_once {
                if next == Next::Anywhere {
                    if entry == Entry::Relay {
                        // Whoever brought it has others to ask.
                        return Err(self.give_up(&attempts));
                    }
                    if let Some(siblings) = &self.siblings
                        && let Some(passed) =
                            self.to_sibling(siblings, &spare, &mut attempts).await?
                    {
                        return Ok(passed);
                    }
                }
                if Instant::now() >= deadline {
                    return Err(self.give_up(&attempts));
                }
                if held.is_none() {
                    held = Some(self.held.try_acquire().map_err(|_| self.give_up(&attempts))?);
                }
                tokio::select! {
                    () = self.route.until_other(tried) => {}
                    () = sleep_until(deadline.min(Instant::now() + LOOK_AGAIN)) => {}
                }
            }
            if let Some(lease) = self.route.lease() {
                let again = spare.request().ok_or_else(|| self.give_up(&attempts))?;
                match lease.generation().pool.send(again, at_once).await {
                    Ok(answer) => return Ok(spare.passed(answer, Some(lease))),
                    Err(failed) => lost = Some((failed, Arc::clone(lease.generation()))),
                }
            }
        }
    }

    /// Sends it to the first healthy sibling that takes it; none: none does.
    async fn to_sibling(
        &self,
        siblings: &Siblings,
        spare: &Spare,
        attempts: &mut Attempts,
    ) -> Result<Option<Passed>, Refusal> {
        for sibling in siblings.healthy().await {
            let again = || spare.request().ok_or_else(|| self.give_up(attempts));
            let mut sent = sibling.pool.send(again()?, false).await;
            if matches!(&sent, Err(failed) if failed.sent == Sent::Nothing) {
                sent = sibling.pool.send(again()?, true).await;
            }
            match sent {
                Ok(answer) if answer.parts.headers.contains_key(UNSERVED) => {}
                Ok(answer) => return Ok(Some(spare.passed(answer, None))),
                Err(failed) => {
                    spare.check_body(&failed)?;
                    if failed.sent != Sent::Nothing {
                        attempts.judge(End::Sibling, spare.is_whole())?;
                    }
                }
            }
            siblings.doubt(&sibling).await;
        }
        Ok(None)
    }

    /// How an attempt ended. Waits until it can be told whether the app has ended with it.
    ///
    /// # Errors
    /// What the client is told where it is the request that was at fault.
    async fn end_of(
        &self,
        spare: &Spare,
        failed: &Failed<RequestBody>,
        generation: &Generation,
    ) -> Result<End, Refusal> {
        spare.check_body(failed)?;
        if failed.sent == Sent::Nothing {
            return Ok(End::Unsent);
        }
        if let UpstreamError::Malformed(why) = failed.error {
            return Ok(End::Malformed(why));
        }
        if generation.has_ended().await {
            if generation.has_crashed() {
                let Parts { method, uri, headers, .. } = &spare.parts;
                self.complaints.crashed(headers.get(REQUEST_ID), method, uri.path());
            }
            return Ok(End::Died);
        }
        Ok(if matches!(failed.error, UpstreamError::Cut) { End::Cut } else { End::Closed })
    }

    fn give_up(&self, attempts: &Attempts) -> Refusal {
        attempts.given_up(self.route.lease().is_some())
    }
}

impl Spare {
    /// The request once more; none: part of its body is gone.
    fn request(&self) -> Option<Request<RequestBody>> {
        let body = match &self.source {
            Some(source) => source.again()?,
            None => RequestBody::default(),
        };
        Some(Request::from_parts(self.parts.clone(), body))
    }

    /// Whether it can be sent once more.
    fn is_whole(&self) -> bool {
        self.source.as_ref().is_none_or(|source| source.again().is_some())
    }

    /// It has been answered, so it will not go again.
    fn passed(&self, answer: Answer<RequestBody>, lease: Option<Lease>) -> Passed {
        if let Some(source) = &self.source {
            source.forget();
        }
        Passed { answer, lease }
    }

    /// Whether the request itself was whole, as far as it came.
    ///
    /// # Errors
    /// What its client is told otherwise.
    fn check_body(&self, failed: &Failed<RequestBody>) -> Result<(), Refusal> {
        if let Some(refusal) = self.source.as_ref().and_then(|source| of_body(source.outcome())) {
            return Err(refusal);
        }
        if matches!(failed.error, UpstreamError::Body(_)) { Err(BROKEN) } else { Ok(()) }
    }
}
