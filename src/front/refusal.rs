//! What the front answers by itself, and how it tells the journal.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, Response, StatusCode};

use super::reply::FrontBody;
use super::request_id::REQUEST_ID;

pub(crate) use super::strict::Refusal;

/// Lines in a row that go to the journal. Who looks for the cause has enough with these; a flood of
/// bad requests must not push everything else out of it.
const BURST: u32 = 20;

/// Time after which one more line may go there.
const REFILL: Duration = Duration::from_secs(1);

/// Goes with an answer of the front's own that was given before the client had sent its request whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Early;

impl Refusal {
    /// The answer: one sentence, with the id that is in the journal too. `close`: nothing that comes
    /// after the request can be trusted to be a request.
    pub(crate) fn answer(self, id: &HeaderValue, close: bool) -> Response<FrontBody> {
        let id_text = id.to_str().unwrap_or_default();
        let text = format!("{}: {} (request {id_text})\n", self.status, self.reason);
        let mut response = Response::new(FrontBody::short(Bytes::from(text)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(REQUEST_ID, id.clone());
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            // A second: an app that is restarted is back by then, or is not coming.
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Bytes of a path that go to the journal: enough to find it in the app.
const PATH: usize = 256;

/// The lines about requests in the journal, so many of each kind and no more.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    refusals: Lines,
    /// Apart, so that no flood of bad requests hides them.
    crashes: Lines,
}

#[derive(Debug)]
struct Lines(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    left: u32,
    since: Instant,
    /// Lines that were left out.
    unsaid: u64,
}

impl Default for Lines {
    fn default() -> Self {
        Self(Mutex::new(Bucket { left: BURST, since: Instant::now(), unsaid: 0 }))
    }
}

impl Complaints {
    /// Tells the journal of a request that the front refused or could not get answered.
    pub(crate) fn refused(&self, refusal: Refusal, id: &HeaderValue, method: &Method, path: &str) {
        if let Some(unsaid) = self.refusals.take(Instant::now()) {
            tracing::warn!(
                request = id.to_str().unwrap_or_default(),
                method = shown(method.as_str()),
                path = shown(path),
                status = refusal.status.as_u16(),
                unsaid,
                "{}",
                refusal.reason
            );
        }
    }

    /// Tells the journal of a connection whose bytes were no request.
    pub(crate) fn unreadable(&self, reason: &dyn std::fmt::Display) {
        if let Some(unsaid) = self.refusals.take(Instant::now()) {
            tracing::warn!(unsaid, "refused what is no HTTP request: {reason}");
        }
    }

    /// Tells the journal of a file of a site that is there and cannot be read.
    pub(crate) fn unread(&self, reason: &dyn std::fmt::Display) {
        if let Some(unsaid) = self.refusals.take(Instant::now()) {
            tracing::error!(unsaid, "could not read a file of the site: {reason}");
        }
    }

    /// Tells the journal which request the app had in hand when it crashed; not what is behind the `?`,
    /// where secrets may be.
    pub(crate) fn crashed(&self, id: Option<&HeaderValue>, method: &Method, path: &str) {
        if let Some(unsaid) = self.crashes.take(Instant::now()) {
            let id = id.and_then(|id| id.to_str().ok());
            let (method, path) = (shown(method.as_str()), shown(path));
            tracing::warn!(
                request = id.unwrap_or_default(),
                method,
                path,
                unsaid,
                "the app had {method} {path} in hand when it crashed"
            );
        }
    }
}

/// A method or a path as it may stand in the journal: of printable ASCII, and not too long. What else a client
/// sends could make a terminal show something that is not there.
fn shown(path: &str) -> String {
    let mut text = String::new();
    for byte in path.bytes() {
        if text.len() >= PATH {
            text.push_str("...");
            break;
        }
        if byte.is_ascii_graphic() {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

impl Lines {
    /// Whether a line may go out now; with it, how many were left out before it.
    fn take(&self, now: Instant) -> Option<u64> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while bucket.left < BURST && now.saturating_duration_since(bucket.since) >= REFILL {
            bucket.left += 1;
            bucket.since += REFILL;
        }
        if bucket.left == 0 {
            bucket.unsaid += 1;
            return None;
        }
        if bucket.left == BURST {
            bucket.since = now;
        }
        bucket.left -= 1;
        Some(std::mem::take(&mut bucket.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_the_journal_is_plain_and_bounded() {
        assert_eq!(shown("/a%20b;c"), "/a%20b;c");
        assert_eq!(shown("/\u{202e}x\u{7f}"), "/%E2%80%AEx%7F");
        assert!(shown(&"/\u{e4}".repeat(PATH)).len() <= PATH + 5);
    }

    #[test]
    fn a_flood_of_refusals_is_counted_and_not_told_one_by_one() {
        let complaints = Lines::default();
        let start = Instant::now();
        for _ in 0..BURST {
            assert_eq!(complaints.take(start), Some(0));
        }
        for _ in 0..1000 {
            assert_eq!(complaints.take(start), None);
        }
        assert_eq!(complaints.take(start + REFILL), Some(1000));
        assert_eq!(complaints.take(start + REFILL), None);
        let later = start + REFILL * (10 * BURST);
        assert_eq!((0..100).filter_map(|_| complaints.take(later)).count(), BURST as usize);
    }
}
