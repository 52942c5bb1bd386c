//! How often a request goes to an app, and to whose. Pure.
//!
//! Every attempt of which a byte went out counts, whoever it went to: somebody may have acted on it.
//! There are two of them at the most, and the second one goes to the app that had the first: a request
//! that kills the app which reads it must not get from one instance to the next. What nobody can have
//! seen goes to whoever takes it.

use http::{Method, StatusCode};

use super::refusal::Refusal;
use crate::upstream::Malformed;

/// How often a request goes out that somebody may have seen.
const MOST: u32 = 2;

/// How an attempt ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Not a byte of the request went out.
    Unsent,
    /// The app closed the connection without a byte of an answer, and runs on.
    Closed,
    /// The app closed the connection in the middle of its answer's head, and runs on.
    Cut,
    /// The app's process ended.
    Died,
    /// Another instance had it, and closed the connection.
    Sibling,
    /// What came is no answer.
    Malformed(Malformed),
}

/// Where a request goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// To any instance whose app takes it.
    Anywhere,
    /// To the app of this instance, at once.
    Own,
    /// To the app of this instance, when it is back.
    WhenBack,
}

/// The attempts at one request that brought no answer.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Doing what it asks for twice is as good as once.
    may_repeat: bool,
    /// Those of which a byte went out.
    seen: u32,
    /// How the last of these ended.
    last: End,
}

impl Attempts {
    /// None yet, at a request with this method.
    pub(super) fn of(method: &Method) -> Self {
        Self { may_repeat: is_idempotent(method), seen: 0, last: End::Unsent }
    }

    /// Whether somebody may have seen the request.
    pub(super) fn is_seen(&self) -> bool {
        self.seen > 0
    }

    /// Where the request goes now.
    pub(super) fn next(&self) -> Next {
        if self.is_seen() { Next::WhenBack } else { Next::Anywhere }
    }

    /// Counts an attempt that ended so; where the request goes now. `is_whole`: all of its body is there
    /// to be sent once more.
    ///
    /// # Errors
    /// What the client is told where it goes nowhere.
    pub(super) fn judge(&mut self, end: End, is_whole: bool) -> Result<Next, Refusal> {
        if end == End::Unsent {
            return Ok(self.next());
        }
        self.seen += 1;
        self.last = end;
        if !self.may_repeat || !is_whole || self.seen >= MOST {
            return Err(self.refusal());
        }
        match end {
            End::Closed => Ok(Next::Own),
            End::Died => Ok(Next::WhenBack),
            End::Unsent | End::Cut | End::Sibling | End::Malformed(_) => Err(self.refusal()),
        }
    }

    /// What the client is told where the time for further attempts is over, or the request cannot be
    /// sent again. `is_running`: the app of this instance is up.
    pub(super) fn given_up(&self, is_running: bool) -> Refusal {
        let reason = match self.last {
            End::Unsent if !is_running => "the app is not running at the moment",
            End::Unsent => "the app takes no connections at the moment",
            End::Died if !is_running => {
                "the app ended with the request in hand, and is not back yet"
            }
            _ => return self.refusal(),
        };
        let status =
            if self.is_seen() { StatusCode::BAD_GATEWAY } else { StatusCode::SERVICE_UNAVAILABLE };
        Refusal { status, reason }
    }

    /// What the app did, of which a byte was seen.
    fn refusal(&self) -> Refusal {
        let reason = match (self.last, self.seen) {
            (End::Unsent, _) => "the app takes no connections at the moment",
            (End::Closed, ..MOST) => "the app closed the connection without an answer",
            (End::Closed, _) => "the app closed the connection without an answer, twice",
            (End::Cut, _) => "the app closed the connection in the middle of its answer",
            (End::Died, ..MOST) => "the app ended with the request in hand",
            (End::Died, _) => "the app ended with the request in hand, at the second attempt",
            (End::Sibling, _) => "the instance that had the request broke off without an answer",
            (End::Malformed(why), _) => why.sentence(),
        };
        Refusal { status: StatusCode::BAD_GATEWAY, reason }
    }
}

/// Whether doing it twice is as good as once (RFC 9110, 9.2.2).
fn is_idempotent(method: &Method) -> bool {
    let methods =
        [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE];
    methods.contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const NONE: Malformed = Malformed::new("the app's answer is not HTTP/1.1: x");

    /// What the world does with one attempt, whoever it goes to.
    fn deeds() -> impl Strategy<Value = Option<End>> {
        // None: it is answered.
        let ends = [End::Unsent, End::Closed, End::Cut, End::Died, End::Malformed(NONE)];
        prop::sample::select(ends.map(Some).into_iter().chain([None]).collect::<Vec<_>>())
    }

    /// What became of a request in a world where each attempt goes so.
    #[derive(Debug, Default)]
    struct Story {
        /// Which instance had it, and how that ended: none, with an answer. Without those of which no
        /// byte went out.
        seen: Vec<(u32, Option<End>)>,
        refused: Option<Refusal>,
    }

    /// Plays a request at instance 0, as `resend` does. `sibling`: whether it takes the next attempt that
    /// may go anywhere.
    fn play(method: &Method, is_whole: bool, world: &[(Option<End>, bool)]) -> Story {
        let mut attempts = Attempts::of(method);
        let mut story = Story::default();
        let mut next = attempts.next();
        for (number, (deed, sibling)) in (1..).zip(world) {
            let is_sibling = next == Next::Anywhere && *sibling;
            let instance = if is_sibling { number } else { 0 };
            let end = match deed {
                None => {
                    story.seen.push((instance, None));
                    return story;
                }
                Some(End::Unsent) => End::Unsent,
                // Of a sibling only its front is seen.
                Some(_) if is_sibling => End::Sibling,
                Some(end) => *end,
            };
            if end != End::Unsent {
                story.seen.push((instance, Some(end)));
            }
            match attempts.judge(end, is_whole) {
                Ok(to) => next = to,
                Err(refusal) => {
                    story.refused = Some(refusal);
                    return story;
                }
            }
        }
        story.refused = Some(attempts.given_up(false));
        story
    }

    proptest! {
        #[test]
        fn whatever_the_apps_do_a_request_is_seen_twice_at_most_and_by_one_instance(
            method in prop::sample::select(vec!["GET", "PUT", "DELETE", "POST", "PATCH", "X"]),
            is_whole in any::<bool>(),
            world in prop::collection::vec((deeds(), any::<bool>()), 0..12),
        ) {
            let method: Method = method.parse().unwrap();
            let story = play(&method, is_whole, &world);
            let may_repeat = is_whole && ["GET", "PUT", "DELETE"].contains(&method.as_str());
            prop_assert!(story.seen.len() <= if may_repeat { 2 } else { 1 }, "{:?}", story);
            let instances = story.seen.iter().map(|(instance, _)| instance);
            prop_assert!(instances.clone().all(|it| Some(it) == instances.clone().next()));
            // After some ends there is no second attempt.
            if let [(_, first), _] = story.seen[..] {
                prop_assert!(matches!(first, Some(End::Closed | End::Died)), "{:?}", story);
            }
            let Some(refusal) = story.refused else { return Ok(()) };
            prop_assert!(matches!(story.seen.last(), None | Some((_, Some(_)))));
            let last = story.seen.last().and_then(|(_, end)| *end).unwrap_or(End::Unsent);
            let says = match last {
                End::Unsent => "is not running",
                End::Closed => "without an answer",
                End::Cut => "in the middle of its answer",
                End::Died => "ended with the request in hand",
                End::Sibling => "the instance that had the request",
                End::Malformed(_) => "not HTTP/1.1",
            };
            prop_assert!(refusal.reason.contains(says), "{:?}", refusal);
            let status = if story.seen.is_empty() { 503 } else { 502 };
            prop_assert_eq!(refusal.status, status);
        }
    }

    #[test]
    fn what_may_be_asked_twice_goes_again_to_the_app_that_had_it() {
        let mut attempts = Attempts::of(&Method::GET);
        assert_eq!(attempts.next(), Next::Anywhere);
        assert_eq!(attempts.judge(End::Unsent, true), Ok(Next::Anywhere));
        assert_eq!(attempts.judge(End::Closed, true), Ok(Next::Own));
        assert_eq!(attempts.judge(End::Unsent, true), Ok(Next::WhenBack));
        let twice = "the app closed the connection without an answer, twice";
        assert_eq!(attempts.judge(End::Closed, true).unwrap_err().reason, twice);
        assert_eq!(Attempts::of(&Method::PUT).judge(End::Died, true), Ok(Next::WhenBack));
        for (method, is_whole) in [(Method::POST, true), (Method::PUT, false)] {
            let once = Attempts::of(&method).judge(End::Died, is_whole).unwrap_err();
            assert_eq!(once.reason, "the app ended with the request in hand");
        }
    }

    #[test]
    fn the_app_is_said_to_be_down_only_where_it_is() {
        let mut attempts = Attempts::of(&Method::GET);
        let down = attempts.given_up(false);
        assert_eq!(
            (down.status.as_u16(), down.reason),
            (503, "the app is not running at the moment")
        );
        assert_eq!(attempts.given_up(true).reason, "the app takes no connections at the moment");
        attempts.judge(End::Died, true).unwrap();
        let back = "the app ended with the request in hand, and is not back yet";
        assert_eq!(attempts.given_up(false).reason, back);
        assert_eq!(attempts.given_up(true).reason, "the app ended with the request in hand");
    }
}
