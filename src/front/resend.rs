//! To the app, and again where it was in vain.
//!
//! What the app cannot have seen goes again, whatever it is. What it may have seen goes again only if
//! doing it twice is as good as once (RFC 9110, 9.2.2). In both cases the body has to be there still.
//! It goes to the app itself if that is up, else to a sibling, else it is held until the app is back.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, Request};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::body::{RequestBody, Source};
use super::forward::{CUT, DOWN, Entry, Front, UNSERVED, of_body};
use super::refusal::Refusal;
use super::route::Lease;
use super::siblings::Siblings;
use crate::upstream::{Answer, Failed, Sent};

/// How often a request goes again that somebody may have seen: a request that kills each app that it
/// meets must not get all of them.
const RESENDS: u32 = 2;

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
    /// How many may have seen it.
    seen_by: u32,
    /// The generation that may have seen it last.
    last: Option<u32>,
}

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
            let copy = Spare { parts, source, seen_by: 0, last: None };
            return Box::pin(self.pass_elsewhere(copy, None, entry)).await;
        };
        // A request without a body comes back whole when it fails; the head of another one may be gone.
        let spare = source.as_ref().map(|_| parts.clone());
        let sent = lease.generation().pool.send(Request::from_parts(parts, body), false).await;
        match sent {
            Ok(answer) => {
                if let Some(source) = source {
                    source.forget();
                }
                Ok(Passed { answer, lease: Some(lease) })
            }
            Err(mut failed) => {
                let head = failed.request.take().map(|request| request.into_parts().0);
                let parts = head.or(spare).ok_or(CUT)?;
                let copy = Spare { parts, source, seen_by: 0, last: None };
                Box::pin(self.pass_again(copy, &failed, lease, entry)).await
            }
        }
    }

    /// Sends it to the same app on a connection of its own: the one that failed may have been one
    /// that the app closed at this moment.
    async fn pass_again(
        &self,
        mut copy: Spare,
        failed: &Failed<RequestBody>,
        lease: Lease,
        entry: Entry,
    ) -> Result<Passed, Refusal> {
        copy.judge(failed, Some(lease.generation().number))?;
        match lease.generation().pool.send(copy.request()?, true).await {
            Ok(answer) => Ok(copy.passed(answer, Some(lease))),
            Err(failed) => {
                let dead = lease.generation().number;
                copy.judge(&failed, Some(dead))?;
                drop(lease);
                self.pass_elsewhere(copy, Some(dead), entry).await
            }
        }
    }

    /// Sends it to a sibling, or holds it until the app is back. `dead`: the generation that has
    /// just failed.
    async fn pass_elsewhere(
        &self,
        mut copy: Spare,
        mut dead: Option<u32>,
        entry: Entry,
    ) -> Result<Passed, Refusal> {
        if entry == Entry::Relay {
            return Err(DOWN);
        }
        let deadline = Instant::now() + self.hold;
        let mut held: Option<SemaphorePermit<'_>> = None;
        loop {
            if let Some(siblings) = &self.siblings
                && let Some(passed) = to_sibling(siblings, &mut copy).await?
            {
                return Ok(passed);
            }
            if held.is_none() {
                held = Some(self.held.try_acquire().map_err(|_| DOWN)?);
            }
            tokio::select! {
                () = self.route.until_other(dead) => {}
                () = sleep_until(deadline.min(Instant::now() + LOOK_AGAIN)) => {}
            }
            if let Some(lease) = self.route.lease() {
                match lease.generation().pool.send(copy.request()?, false).await {
                    Ok(answer) => return Ok(copy.passed(answer, Some(lease))),
                    Err(failed) => {
                        dead = Some(lease.generation().number);
                        copy.judge(&failed, dead)?;
                    }
                }
            }
            if Instant::now() >= deadline {
                return Err(DOWN);
            }
        }
    }
}

/// Sends it to the first healthy sibling that takes it; none: none does.
async fn to_sibling(siblings: &Siblings, copy: &mut Spare) -> Result<Option<Passed>, Refusal> {
    for sibling in siblings.healthy().await {
        let mut sent = sibling.pool.send(copy.request()?, false).await;
        if matches!(&sent, Err(failed) if failed.sent == Sent::Nothing) {
            sent = sibling.pool.send(copy.request()?, true).await;
        }
        match sent {
            Ok(answer) if answer.parts.headers.contains_key(UNSERVED) => {}
            Ok(answer) => return Ok(Some(copy.passed(answer, None))),
            Err(failed) => copy.judge(&failed, None)?,
        }
        siblings.doubt(&sibling).await;
    }
    Ok(None)
}

impl Spare {
    /// The request once more.
    ///
    /// # Errors
    /// Where part of its body is gone.
    fn request(&self) -> Result<Request<RequestBody>, Refusal> {
        let body = match &self.source {
            Some(source) => source.again().ok_or(CUT)?,
            None => RequestBody::default(),
        };
        Ok(Request::from_parts(self.parts.clone(), body))
    }

    /// It has been answered, so it will not go again.
    fn passed(&self, answer: Answer<RequestBody>, lease: Option<Lease>) -> Passed {
        if let Some(source) = &self.source {
            source.forget();
        }
        Passed { answer, lease }
    }

    /// Whether it may go again after this. `generation`: of the app that failed; none: a sibling's.
    ///
    /// # Errors
    /// What the client is told otherwise.
    fn judge(
        &mut self,
        failed: &Failed<RequestBody>,
        generation: Option<u32>,
    ) -> Result<(), Refusal> {
        if let Some(refusal) = self.source.as_ref().and_then(|source| of_body(source.outcome())) {
            return Err(refusal);
        }
        if failed.sent == Sent::Nothing {
            return Ok(());
        }
        // An app on its way down may break off more than once.
        if generation.is_none() || generation != self.last {
            self.seen_by += 1;
            self.last = generation;
        }
        let again = is_idempotent(&self.parts.method) && self.seen_by <= RESENDS;
        if again { Ok(()) } else { Err(CUT) }
    }
}

fn is_idempotent(method: &Method) -> bool {
    let methods =
        [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE];
    methods.contains(method)
}
