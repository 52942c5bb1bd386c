//! Headers that are for one connection only, and end at the front (RFC 9110, 7.6.1).

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, StatusCode};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Those that nearly no message has; a look at each costs less than a removal.
const RARE: [HeaderName; 8] = [
    TE,
    UPGRADE,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
    HTTP2_SETTINGS,
];

/// What the client asked for that is for this connection only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// It takes trailers.
    pub(crate) trailers: bool,
    /// It wants to go on in another protocol.
    pub(crate) upgrade: bool,
}

/// Takes the headers of the client's connection out of a request. `may_upgrade`: the request is one
/// that can be followed by another protocol: HTTP/1.1, without a body.
pub(crate) fn strip_request(headers: &mut HeaderMap, may_upgrade: bool) -> Asked {
    let trailers = headers.get_all(TE).iter().any(|value| has_token(value, "trailers"));
    let wants_upgrade = headers.contains_key(UPGRADE)
        && headers.get_all(CONNECTION).iter().any(|value| has_token(value, "upgrade"));
    let protocol = if wants_upgrade && may_upgrade { headers.remove(UPGRADE) } else { None };
    // HTTP/2 is between the client and the front; the app is spoken to in HTTP/1.
    let protocol = protocol.filter(|protocol| {
        !has_token(protocol, "h2c") && !protocol.as_bytes().starts_with(b"HTTP/")
    });
    strip(headers);
    let asked = Asked { trailers, upgrade: protocol.is_some() };
    if let Some(protocol) = protocol {
        headers.insert(UPGRADE, protocol);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    } else if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    asked
}

/// Takes the headers of the app's connection out of an answer. What is said to an HTTP/1 client about
/// a change of protocol stays.
pub(crate) fn strip_answer(status: StatusCode, headers: &mut HeaderMap, is_http1: bool) {
    let about = [StatusCode::SWITCHING_PROTOCOLS, StatusCode::UPGRADE_REQUIRED];
    let protocol = (is_http1 && about.contains(&status)).then(|| headers.remove(UPGRADE)).flatten();
    strip(headers);
    if let Some(protocol) = protocol {
        headers.insert(UPGRADE, protocol);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// Whether a header of this name is for one connection only, whatever `Connection` names.
pub(super) fn is_of_connection(name: &HeaderName) -> bool {
    *name == CONNECTION || RARE.contains(name)
}

fn strip(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(CONNECTION).iter();
    if let Some(line) = lines.next() {
        // Nearly always one line with one word that names no header.
        let usual = [&b"keep-alive"[..], b"Keep-Alive", b"close", b"upgrade", b"Upgrade"];
        if lines.next().is_some() || !usual.contains(&line.as_bytes()) {
            strip_named(headers);
        }
        headers.remove(CONNECTION);
    }
    for name in RARE {
        if headers.contains_key(&name) {
            headers.remove(name);
        }
    }
}

/// Removes the headers that `Connection` names, but for those without which the message would be
/// another one.
fn strip_named(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(tokens)
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .filter(|name| ![HOST, CONTENT_LENGTH].contains(name))
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// Whether a list has this word, in any case and whatever its parameters.
pub(crate) fn has_token(list: &HeaderValue, word: &str) -> bool {
    tokens(list).any(|token| token.eq_ignore_ascii_case(word.as_bytes()))
}

fn tokens(list: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    list.as_bytes()
        .split(|byte| *byte == b',')
        .map(|part| part.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn appended(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_is_for_this_connection_only_ends_here() {
        let mut headers = appended(&[
            ("host", "x"),
            ("connection", "close, X-One"),
            ("connection", "x-two,host, content-length"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eA=="),
            ("te", "gzip"),
            ("transfer-encoding", "chunked"),
            ("content-length", "0"),
        ]);
        assert_eq!(strip_request(&mut headers, true), Asked::default());
        assert_eq!(headers, map(&[("host", "x"), ("x-three", "3"), ("content-length", "0")]));
    }

    #[test]
    fn trailers_are_asked_for_further() {
        let mut headers = map(&[("te", "trailers;q=1, gzip"), ("connection", "te")]);
        assert!(strip_request(&mut headers, true).trailers);
        assert_eq!(headers, map(&[("te", "trailers"), ("connection", "te")]));
    }

    #[test]
    fn an_upgrade_is_passed_on_where_there_can_be_one() {
        let websocket = [("upgrade", "websocket"), ("connection", "keep-alive, Upgrade")];
        let mut headers = map(&websocket);
        assert!(strip_request(&mut headers, true).upgrade);
        assert_eq!(headers, map(&[("upgrade", "websocket"), ("connection", "upgrade")]));

        let mut headers = map(&websocket);
        assert!(!strip_request(&mut headers, false).upgrade);
        assert!(headers.is_empty());

        let mut unasked = map(&[("upgrade", "websocket")]);
        assert!(!strip_request(&mut unasked, true).upgrade);
        assert!(unasked.is_empty());

        let mut h2c = map(&[
            ("upgrade", "h2c"),
            ("http2-settings", "AAAA"),
            ("connection", "Upgrade, HTTP2-Settings"),
        ]);
        assert!(!strip_request(&mut h2c, true).upgrade);
        assert!(h2c.is_empty());
    }

    #[test]
    fn an_answer_keeps_what_it_says_about_a_change_of_protocol() {
        let lines = [("connection", "upgrade"), ("upgrade", "websocket")];
        let mut headers = map(&lines);
        strip_answer(StatusCode::SWITCHING_PROTOCOLS, &mut headers, true);
        assert_eq!(headers, map(&lines));
        let mut headers = map(&lines);
        strip_answer(StatusCode::UPGRADE_REQUIRED, &mut headers, false);
        assert!(headers.is_empty());
        let mut headers = map(&[("connection", "close"), ("keep-alive", "timeout=5"), ("a", "b")]);
        strip_answer(StatusCode::OK, &mut headers, true);
        assert_eq!(headers, map(&[("a", "b")]));
    }
}
