//! A request on its way to the app: where it goes, and where it goes when that fails.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::{COOKIE, HOST, HeaderName, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::body::{Outcome, RequestBody};
use super::ending::Closing;
use super::events;
use super::forwarded::{self, Peer};
use super::framing::Seen;
use super::hop;
use super::refusal::{Complaints, Early, Refusal};
use super::reply::{Asked, FrontBody};
use super::request_id::{self, REQUEST_ID};
use super::resend::Passed;
use super::route::Route;
use super::siblings::Siblings;
use super::strict;
use super::tunnel;
use super::upload::Upload;
use crate::config::{Settings, Subnet};
use crate::upstream;

/// Requests that wait for the app to come back, at most. Each holds its head and up to 64 KiB of its
/// body.
const HELD: usize = 1024;

/// How often connections that are idle for too long are looked for.
const TIDY: Duration = Duration::from_secs(1);

/// Said by a relay door of what it has not passed on to its app, so that it may go elsewhere.
pub(super) const UNSERVED: HeaderName = HeaderName::from_static("romuo-unserved");

/// What stands between the clients and the app.
#[derive(Debug)]
pub(crate) struct Front {
    pub(super) route: Arc<Route>,
    /// None: there are no others, or they cannot be reached.
    pub(super) siblings: Option<Siblings>,
    proxies: Vec<Subnet>,
    /// How long a request waits for an app that is down.
    pub(super) hold: Duration,
    /// Most bytes of a request's body.
    limit: u64,
    /// Bytes of an answer that are read in one go, at most.
    piece: usize,
    closing: Closing,
    /// One permit for each request that may still be held.
    pub(super) held: Semaphore,
    pub(super) complaints: Arc<Complaints>,
}

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The app's address.
    Public,
    /// From a sibling that cannot serve it itself: it has judged the request and told who asks. It is
    /// answered here or not at all, so that no request goes round in circles.
    Relay,
}

/// A connection to the app that speaks another protocol from now on.
pub(crate) type Tunnel = tunnel::Tunnel<crate::upstream::Socket>;

/// What became of a request.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response<FrontBody>,
    /// What follows the response on its connection.
    pub(crate) tunnel: Option<Box<Tunnel>>,
}

/// What has to be known of a request when its answer comes.
struct Context {
    id: HeaderValue,
    method: Method,
    uri: Uri,
    asked: hop::Asked,
    is_http1: bool,
    entry: Entry,
}

impl Front {
    /// `ending`: cancelled when the instance begins to drain.
    pub(crate) fn new(
        settings: &Settings,
        route: Arc<Route>,
        siblings: Option<Siblings>,
        ending: CancellationToken,
    ) -> Self {
        Self {
            route,
            siblings,
            proxies: settings.front.trusted_proxies.clone(),
            hold: settings.limits.hold,
            limit: settings.limits.body.bytes(),
            piece: upstream::piece(settings.limits.memory.bytes()),
            closing: Closing { begun: ending, linger: settings.reload.linger },
            held: Semaphore::new(HELD),
            complaints: Arc::default(),
        }
    }

    /// Where the siblings bring what they cannot answer; none: there can be none.
    pub(crate) fn relay_door(&self) -> Option<PathBuf> {
        self.siblings.as_ref().map(Siblings::own_door)
    }

    /// Who is at the other end of a connection; no address: it is a unix socket.
    pub(crate) fn peer(&self, address: Option<IpAddr>) -> Peer {
        Peer::new(address, &self.proxies)
    }

    /// Tells the journal of a connection whose bytes were no request.
    pub(crate) fn unreadable(&self, reason: &dyn std::fmt::Display) {
        self.complaints.unreadable(reason);
    }

    /// How many requests wait for the app to come back.
    #[cfg(test)]
    pub(crate) fn held_now(&self) -> usize {
        HELD - self.held.available_permits()
    }

    /// Closes what has been idle for too long, each second, for ever.
    pub(crate) async fn tidy_for_ever(&self) {
        let mut ticks = interval(TIDY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(lease) = self.route.lease() {
                lease.generation().pool.sweep();
            }
            if let Some(siblings) = &self.siblings {
                siblings.sweep();
            }
        }
    }

    /// Answers one request. `seen`: what its head was made of on the wire; none: HTTP/2.
    pub(crate) async fn answer(
        &self,
        request: Request<Option<Upload>>,
        peer: &Peer,
        entry: Entry,
        seen: Option<Seen>,
    ) -> Answered {
        let (mut parts, upload) = request.into_parts();
        if let Err(refusal) = strict::check(&parts, seen) {
            return self.refuse_unseen(refusal, &parts);
        }
        if parts.uri.path() == "*" {
            // Asked of the server, not of the app (RFC 9110, 9.3.7).
            return own(Response::new(FrontBody::empty()));
        }
        let body = RequestBody::new(upload, self.limit);
        if body.size_hint().lower() > self.limit {
            return self.refuse_unseen(TOO_LARGE, &parts);
        }
        let source = body.source();
        let is_http1 = parts.version < Version::HTTP_2;
        let may_upgrade = parts.version == Version::HTTP_11 && body.is_end_stream();
        let asked = prepare(&mut parts, may_upgrade);
        let id = if entry == Entry::Public {
            forwarded::tell(&mut parts.headers, peer);
            request_id::ensure(&mut parts.headers)
        } else {
            parts.headers.get(REQUEST_ID).cloned().unwrap_or_else(request_id::new)
        };
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let mut context = Context { id, method, uri, asked, is_http1, entry };
        let passed = self.pass(Request::from_parts(parts, body), entry).await;
        match passed.and_then(|passed| self.finish(passed, &mut context)) {
            Ok(answered) => answered,
            Err(refusal) => {
                let Context { method, uri, .. } = &context;
                self.complaints.refused(refusal, &context.id, method, uri.path());
                // The client may be in the middle of its body.
                let close = is_http1 && refusal.status != StatusCode::SERVICE_UNAVAILABLE;
                let mut response = refusal.answer(&context.id, close);
                if refusal.status == StatusCode::BAD_GATEWAY
                    && source.is_some_and(|source| !source.is_whole())
                {
                    response.extensions_mut().insert(Early);
                }
                // Of this kind is only what nobody has seen.
                if entry == Entry::Relay && refusal.status == StatusCode::SERVICE_UNAVAILABLE {
                    response.headers_mut().insert(UNSERVED, HeaderValue::from_static("1"));
                }
                own(response)
            }
        }
    }

    /// Refuses a request that nothing was done for yet.
    fn refuse_unseen(&self, refusal: Refusal, parts: &Parts) -> Answered {
        let id = request_id::new();
        self.complaints.refused(refusal, &id, &parts.method, parts.uri.path());
        own(refusal.answer(&id, parts.version < Version::HTTP_2))
    }

    /// Makes the client's answer from the app's. It takes from the context what goes along with one.
    fn finish(&self, passed: Passed, context: &mut Context) -> Result<Answered, Refusal> {
        let Passed { answer, lease } = passed;
        let (mut parts, body) = (answer.parts, answer.body.in_pieces_of(self.piece));
        parts.version = Version::HTTP_11;
        hop::strip_answer(parts.status, &mut parts.headers, context.is_http1);
        if context.entry == Entry::Relay {
            parts.headers.remove(UNSERVED);
        }
        if !parts.headers.contains_key(REQUEST_ID) {
            parts.headers.insert(REQUEST_ID, context.id.clone());
        }
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            let protocol = parts.headers.get(UPGRADE).filter(|_| context.asked.upgrade);
            let is_websocket =
                protocol.ok_or(UNASKED)?.as_bytes().eq_ignore_ascii_case(b"websocket");
            let app = body.into_tunnel().ok_or(UNASKED)?;
            let ending = self.closing.ending(lease.as_ref());
            let tunnel = tunnel::Tunnel::new(app.stream, app.read, is_websocket, ending, lease);
            let response = Response::from_parts(parts, FrontBody::empty());
            return Ok(Answered { response, tunnel: Some(Box::new(tunnel)) });
        }
        let ending = events::is_stream(&parts.headers).then(|| self.closing.ending(lease.as_ref()));
        let asked = Asked {
            complaints: Arc::clone(&self.complaints),
            id: context.id.clone(),
            method: std::mem::take(&mut context.method),
            uri: std::mem::take(&mut context.uri),
        };
        let body = FrontBody::passed(body, asked, lease, context.asked.trailers, ending);
        Ok(own(Response::from_parts(parts, body)))
    }
}

fn own(response: Response<FrontBody>) -> Answered {
    Answered { response, tunnel: None }
}

const fn refusal(status: StatusCode, reason: &'static str) -> Refusal {
    Refusal { status, reason }
}

const TOO_LARGE: Refusal =
    refusal(StatusCode::PAYLOAD_TOO_LARGE, "the request's body is larger than the server takes");

/// The client has not sent all of it.
pub(super) const BROKEN: Refusal = refusal(StatusCode::BAD_REQUEST, "the request's body broke off");

const SLOW: Refusal = refusal(StatusCode::REQUEST_TIMEOUT, "the request's body came too slowly");

const UNASKED: Refusal =
    refusal(StatusCode::BAD_GATEWAY, "the app changed to a protocol that was not asked for");

/// What a body that did not come to its end means for its request.
pub(super) fn of_body(outcome: Outcome) -> Option<Refusal> {
    match outcome {
        Outcome::Open => None,
        Outcome::TooLarge => Some(TOO_LARGE),
        Outcome::Broken => Some(BROKEN),
        Outcome::Slow => Some(SLOW),
    }
}

/// Makes a request of the app's connection from one of the client's.
fn prepare(parts: &mut Parts, may_upgrade: bool) -> hop::Asked {
    if let Some(authority) = parts.uri.authority() {
        // Of the absolute form (RFC 9112, 3.2.2), or of HTTP/2.
        if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
            parts.headers.insert(HOST, host);
        }
        parts.uri =
            parts.uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    }
    // HTTP/1.0 knows none, and HTTP/1.1 has to say one, if an empty one (RFC 9112, 3.2).
    parts.headers.entry(HOST).or_insert(HeaderValue::from_static(""));
    if parts.version >= Version::HTTP_2 {
        join_cookies(&mut parts.headers);
    }
    parts.version = Version::HTTP_11;
    // What hyper left in it is for servers that upgrade by themselves.
    parts.extensions.clear();
    hop::strip_request(&mut parts.headers, may_upgrade)
}

/// HTTP/2 may send cookies in several lines; HTTP/1 may not (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    let (Some(first), Some(_)) = (lines.next(), lines.next()) else { return };
    let mut all = first.as_bytes().to_vec();
    for line in headers.get_all(COOKIE).iter().skip(1) {
        all.extend_from_slice(b"; ");
        all.extend_from_slice(line.as_bytes());
    }
    if let Ok(all) = HeaderValue::from_bytes(&all) {
        headers.insert(COOKIE, all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookies_of_http2_become_one_line() {
        let mut headers = HeaderMap::new();
        join_cookies(&mut headers);
        assert!(headers.is_empty());
        for cookie in ["a=1", "b=2", "c=3"] {
            headers.append(COOKIE, HeaderValue::from_static(cookie));
        }
        join_cookies(&mut headers);
        assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    }

    #[test]
    fn a_target_with_a_host_becomes_a_path_and_a_host() {
        for (uri, path) in [("http://x:81/a?b", "/a?b"), ("http://x:81", "/")] {
            let request = Request::get(uri).body(()).unwrap();
            let mut parts = request.into_parts().0;
            prepare(&mut parts, false);
            assert_eq!(parts.uri, path);
            assert_eq!(parts.headers[HOST], "x:81");
        }
    }

    #[test]
    fn an_app_is_always_told_a_host() {
        let request = Request::get("/").version(Version::HTTP_10).body(()).unwrap();
        let mut parts = request.into_parts().0;
        prepare(&mut parts, false);
        assert_eq!(parts.headers[HOST], "");
    }
}
