//! Server-sent events: where one event ends, so that a stream of them can be ended between two.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};

/// Whether an answer is a stream of events that goes on until somebody ends it. A compressed one
/// cannot be looked into.
pub(crate) fn is_stream(headers: &HeaderMap) -> bool {
    const TYPE: &[u8] = b"text/event-stream";
    let Some(kind) = headers.get(CONTENT_TYPE) else { return false };
    kind.as_bytes().get(..TYPE.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(TYPE))
        && !headers.contains_key(CONTENT_LENGTH)
        && !headers.contains_key(CONTENT_ENCODING)
}

/// Follows a stream of events. A line ends with CR LF, LF or CR, an event with an empty line (HTML,
/// 9.2.6).
#[derive(Debug)]
pub(crate) struct Events {
    /// The line that is arriving has nothing in it so far.
    empty: bool,
    /// The last byte was a CR: a LF after it belongs to the same line end.
    cr: bool,
    /// Nothing has come since the end of an event.
    between: bool,
}

impl Default for Events {
    fn default() -> Self {
        Self { empty: true, cr: false, between: true }
    }
}

impl Events {
    /// Follows these bytes; where the last event ended in them, if one did.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut end = None;
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' if self.cr => {
                    self.cr = false;
                    // The second half of a line end.
                    if self.between {
                        end = Some(at + 1);
                    }
                    continue;
                }
                b'\n' | b'\r' => {
                    self.between = self.empty;
                    if self.empty {
                        end = Some(at + 1);
                    }
                    self.empty = true;
                }
                _ => (self.empty, self.between) = (false, false),
            }
            self.cr = *byte == b'\r';
        }
        end
    }

    /// Whether nothing has come since the end of an event.
    pub(crate) fn is_between(&self) -> bool {
        self.between
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use http::HeaderValue;

    #[test]
    fn an_event_ends_with_an_empty_line() {
        for (text, end) in [
            ("data: a\n\n", Some(9)),
            ("data: a\r\n\r\n", Some(11)),
            ("data: a\r\r", Some(9)),
            ("data: a\n\ndata: b", Some(9)),
            ("data: a\n\ndata: b\n\nda", Some(18)),
            ("data: a\n", None),
            ("data: a\r\n", None),
            ("data: a", None),
        ] {
            let mut events = Events::default();
            assert!(events.is_between());
            assert_eq!(events.advance(text.as_bytes()), end, "{text:?}");
            assert_eq!(events.is_between(), end == Some(text.len()), "{text:?}");
            let mut events = Events::default();
            for byte in text.bytes() {
                events.advance(&[byte]);
            }
            assert_eq!(events.is_between(), end == Some(text.len()), "{text:?} by bytes");
        }
    }

    #[test]
    fn a_stream_is_known_by_its_type() {
        let headers = |lines: &[(&'static str, &'static str)]| {
            let line = |(name, value): &(&'static str, &'static str)| {
                (name.parse().unwrap(), HeaderValue::from_static(value))
            };
            lines.iter().map(line).collect::<HeaderMap>()
        };
        assert!(is_stream(&headers(&[("content-type", "text/event-stream; charset=utf-8")])));
        assert!(!is_stream(&headers(&[("content-type", "text/html")])));
        assert!(!is_stream(&headers(&[])));
        let kind = ("content-type", "text/event-stream");
        assert!(!is_stream(&headers(&[kind, ("content-encoding", "gzip")])));
        assert!(!is_stream(&headers(&[kind, ("content-length", "9")])));
    }
}
