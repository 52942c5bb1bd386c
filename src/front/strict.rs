//! Which requests are refused, and why.
//!
//! A front that passes on what two parsers may read in two ways lets the one who sends it slip
//! requests past whatever stands before or behind (request smuggling). Whoever sends such bytes is
//! attacking or broken, so they are refused, never mended.

use http::header::{HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderMap, Method, StatusCode, Version};

use super::framing::Seen;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// A sentence without its end.
    pub(crate) reason: &'static str,
}

const fn bad(reason: &'static str) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, reason }
}

/// Judges the head of a request. `seen`: what it was made of on the wire; none: not HTTP/1.
///
/// # Errors
/// Why it is refused.
pub(crate) fn check(parts: &Parts, seen: Option<Seen>) -> Result<(), Refusal> {
    if let Some(seen) = seen {
        check_framing(&parts.headers, seen)?;
    }
    check_target(parts)?;
    check_host(parts)
}

fn check_framing(headers: &HeaderMap, seen: Seen) -> Result<(), Refusal> {
    if seen == Seen::default() {
        return Ok(());
    }
    if seen.bare_lf {
        return Err(bad("a line of the request's head ends without CR"));
    }
    if seen.lost {
        return Err(bad("the end of the request cannot be told"));
    }
    if seen.lengths > 1 {
        return Err(bad("the request has more than one Content-Length"));
    }
    if seen.lengths > 0 && seen.encodings > 0 {
        return Err(bad("the request has both Content-Length and Transfer-Encoding"));
    }
    if seen.encodings > 0 {
        let mut values = headers.get_all(TRANSFER_ENCODING).iter();
        let only = (values.next(), values.next());
        if !matches!(only, (Some(value), None) if value.as_bytes().eq_ignore_ascii_case(b"chunked"))
        {
            return Err(bad("the request's Transfer-Encoding is not `chunked`"));
        }
    }
    Ok(())
}

fn check_target(parts: &Parts) -> Result<(), Refusal> {
    if parts.method == Method::CONNECT {
        let reason = "this server is no proxy to elsewhere";
        return Err(Refusal { status: StatusCode::METHOD_NOT_ALLOWED, reason });
    }
    match parts.uri.path() {
        "*" if parts.method == Method::OPTIONS => {}
        path if path.starts_with('/') => {}
        _ => return Err(bad("the request's target is no path")),
    }
    match parts.uri.scheme() {
        None => Ok(()),
        Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => Ok(()),
        Some(_) => Err(bad("the request's target is not of HTTP")),
    }
}

fn check_host(parts: &Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(bad("the request has more than one Host"));
    }
    if let Some(host) = host
        && !is_authority(host.as_bytes())
    {
        return Err(bad("the request's Host is no host name"));
    }
    match (host, parts.uri.authority()) {
        (None, None) if parts.version >= Version::HTTP_11 => {
            Err(bad("the request does not say its Host"))
        }
        (_, Some(authority)) if !is_authority(authority.as_str().as_bytes()) => {
            Err(bad("the request's target has no host name"))
        }
        (Some(host), Some(authority))
            if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            Err(bad("the request's Host and its target name two hosts"))
        }
        _ => Ok(()),
    }
}

/// Whether it is a host name or address, with or without a port (RFC 3986, 3.2.2 and 3.2.3); one
/// with a user in it is none (RFC 9110, 4.2.4).
fn is_authority(bytes: &[u8]) -> bool {
    let (host, port) = match bytes.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !bytes[colon..].contains(&b']') => (&bytes[..colon], &bytes[colon + 1..]),
        _ => (bytes, &[][..]),
    };
    let name = match host.strip_prefix(b"[") {
        Some(address) => address.strip_suffix(b"]").is_some_and(|address| {
            !address.is_empty()
                && address.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte))
        }),
        None => !host.is_empty() && host.iter().all(|byte| OF_NAMES[usize::from(*byte)]),
    };
    name && port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

/// Whether a byte may stand in a name: each request has one, and each byte of it is looked at.
const OF_NAMES: [bool; 256] = {
    let mut is_allowed = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        is_allowed[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"-._~%!$&'()*+,;=";
    let mut at = 0;
    while at < marks.len() {
        is_allowed[marks[at] as usize] = true;
        at += 1;
    }
    is_allowed
};

#[cfg(test)]
mod tests {
    use super::*;

    use http::Request;

    fn judge(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<(), Refusal> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0, Some(Seen::default()))
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for host in ["x", "x.example", "x:80", "127.0.0.1:1", "[::1]", "[::1]:443", "a_b", "x:"] {
            assert!(judge("GET", "/", &[("host", host)]).is_ok(), "{host}");
        }
        for host in [
            "", ":80", "x y", "x/y", "u@x", "x:8o", "[::1", "[]", "[x]", "x?", "x#", "x,y@z",
            "x:123456", "x\\y", "\"x\"", "a:b:c", "x\u{e4}",
        ] {
            assert!(judge("GET", "/", &[("host", host)]).is_err(), "{host}");
        }
    }

    #[test]
    fn there_is_one_host_and_it_is_that_of_the_target() {
        assert!(judge("GET", "/", &[]).is_err());
        assert!(judge("GET", "/", &[("host", "x"), ("host", "x")]).is_err());
        assert!(judge("GET", "http://x/", &[("host", "X")]).is_ok());
        assert!(judge("GET", "http://x/", &[("host", "y")]).is_err());
        assert!(judge("GET", "http://x/", &[("host", "x:81")]).is_err());
        assert!(judge("GET", "http://u@x/", &[("host", "x")]).is_err());
        assert!(judge("GET", "ftp://x/", &[("host", "x")]).is_err());
        let old = Request::get("/").version(Version::HTTP_10).body(()).unwrap().into_parts().0;
        assert!(check(&old, None).is_ok());
    }

    #[test]
    fn a_target_is_a_path_or_the_star_of_options() {
        let host = [("host", "x")];
        assert!(judge("OPTIONS", "*", &host).is_ok());
        assert!(judge("GET", "*", &host).is_err());
        assert!(judge("GET", "x:80", &[("host", "x:80")]).is_err());
        let connect = judge("CONNECT", "x:80", &[("host", "x:80")]).unwrap_err();
        assert_eq!(connect.status, StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn only_one_way_to_end_a_request_is_taken() {
        let check = |seen, encodings: &[&str]| {
            let mut headers = HeaderMap::new();
            for encoding in encodings {
                headers.append(TRANSFER_ENCODING, encoding.parse().unwrap());
            }
            check_framing(&headers, seen)
        };
        let seen = Seen::default();
        let chunked = Seen { encodings: 1, ..seen };
        assert!(check(seen, &[]).is_ok());
        assert!(check(Seen { lengths: 1, ..seen }, &[]).is_ok());
        assert!(check(chunked, &["chunked"]).is_ok());
        assert!(check(chunked, &["Chunked"]).is_ok());
        assert!(check(Seen { lengths: 2, ..seen }, &[]).is_err());
        assert!(check(Seen { lengths: 1, ..chunked }, &["chunked"]).is_err());
        for encodings in [&["gzip, chunked"][..], &["chunked, chunked"], &["chunked", "chunked"]] {
            assert!(check(chunked, encodings).is_err(), "{encodings:?}");
        }
        assert!(check(Seen { bare_lf: true, ..seen }, &[]).is_err());
        assert!(check(Seen { lost: true, ..seen }, &[]).is_err());
    }
}
