//! Fields that come after a body (RFC 9110, 6.5). What a head may not say they may not say either: many
//! programs put them among the headers.

use http::HeaderMap;
use http::header::HeaderName;
use http_body::Frame;

use super::forward::UNSERVED;
use super::request_id::REQUEST_ID;
use super::{forwarded, hop};

/// A frame of a request's body as the app may have it; none: there is nothing left of it. Nobody is
/// trusted to say here who asks: a proxy does so in the head.
pub(super) fn of_request<D>(frame: Frame<D>) -> Option<Frame<D>> {
    filter(frame, |name| forwarded::is_doubtful(name, false) || *name == REQUEST_ID)
}

/// A frame of an answer's body as the client may have it; none: there is nothing left of it.
pub(super) fn of_answer<D>(frame: Frame<D>) -> Option<Frame<D>> {
    filter(frame, |name| *name == UNSERVED)
}

fn filter<D>(frame: Frame<D>, is_dropped: impl Fn(&HeaderName) -> bool) -> Option<Frame<D>> {
    let trailers = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(frame) => return Some(frame),
    };
    let mut kept = HeaderMap::new();
    for (name, value) in &trailers {
        if !hop::is_of_connection(name) && !is_dropped(name) {
            kept.append(name, value.clone());
        }
    }
    (!kept.is_empty()).then(|| Frame::trailers(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    use bytes::Bytes;

    const LINES: [&str; 14] = [
        "checksum",
        "connection",
        "forwarded",
        "grpc-status",
        "keep-alive",
        "proxy-authorization",
        "romuo-unserved",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-real-ip",
        "x-request-id",
        "x_real_ip",
    ];

    fn kept(filter: fn(Frame<Bytes>) -> Option<Frame<Bytes>>) -> Vec<String> {
        let mut trailers = HeaderMap::new();
        for name in LINES {
            trailers.append(name, "1".parse().unwrap());
            trailers.append(name, "2".parse().unwrap());
        }
        let left = filter(Frame::trailers(trailers)).unwrap().into_trailers().unwrap();
        assert!(left.keys().all(|name| left.get_all(name).iter().count() == 2));
        left.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn trailers_say_nothing_that_a_head_may_not_say() {
        assert_eq!(kept(of_request), ["checksum", "grpc-status", "romuo-unserved"]);
        let of_app = kept(of_answer);
        for name in ["checksum", "x-real-ip", "x_real_ip"] {
            assert!(of_app.iter().any(|kept| kept == name), "{of_app:?}");
        }
        for name in ["connection", "keep-alive", "romuo-unserved", "transfer-encoding", "upgrade"] {
            assert!(!of_app.iter().any(|kept| kept == name), "{of_app:?}");
        }
        let mut only = HeaderMap::new();
        only.append("x-real-ip", "1".parse().unwrap());
        assert!(of_request(Frame::<Bytes>::trailers(only)).is_none());
        let data = Frame::data(Bytes::from("x"));
        assert_eq!(of_request(data).unwrap().into_data().unwrap(), "x");
    }
}
