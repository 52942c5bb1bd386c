//! `X-Request-Id`: one word that is in the client's answer, in the app's log and in the front's.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Most bytes of an id that was made elsewhere; a UUID has 36.
const LONGEST: usize = 128;

/// Digits of an id made here: 64 bits of this process, 64 of the request.
const DIGITS: usize = 32;

/// The id of a request: the one that came with it if it is a sane one, or a new one, which is put
/// into its headers.
pub(crate) fn ensure(headers: &mut HeaderMap) -> HeaderValue {
    if let Some(id) = headers.get(REQUEST_ID)
        && is_sane(id)
    {
        return id.clone();
    }
    let id = new();
    headers.insert(REQUEST_ID, id.clone());
    id
}

/// An id that no other request has.
pub(crate) fn new() -> HeaderValue {
    static SEED: OnceLock<[u64; 2]> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // The keys of a hasher are the standard library's source of randomness.
    let random = || RandomState::new().build_hasher().finish();
    let [process, start] = *SEED.get_or_init(|| [random(), random()]);
    let request = scatter(start.wrapping_add(COUNT.fetch_add(1, Relaxed)));
    let mut digits = [0; DIGITS];
    for (at, digit) in digits.iter_mut().enumerate() {
        let word = if at < DIGITS / 2 { process } else { request };
        let nibble = (word >> (4 * (at % (DIGITS / 2)))) & 0xf;
        *digit = b"0123456789abcdef"[usize::try_from(nibble).unwrap_or_default()];
    }
    HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("none"))
}

/// Makes numbers in a row look unlike each other, and no two alike (the finalizer of `SplitMix64`).
fn scatter(count: u64) -> u64 {
    let mut mixed = count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Whether it can go into any log as it is.
fn is_sane(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=LONGEST).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~:+/=@".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::HashSet;

    #[test]
    fn an_id_is_made_where_none_or_no_sane_one_came() {
        let long = "a".repeat(LONGEST + 1);
        for id in [None, Some(""), Some("a b"), Some("a\"b"), Some("<i>"), Some(long.as_str())] {
            let mut headers = HeaderMap::new();
            if let Some(id) = id {
                headers.append(REQUEST_ID, id.parse().unwrap());
            }
            let made = ensure(&mut headers);
            assert_eq!(headers.get_all(REQUEST_ID).iter().collect::<Vec<_>>(), [&made]);
            assert!(is_sane(&made) && made.len() == DIGITS, "{made:?}");
        }
    }

    #[test]
    fn a_sane_id_is_kept() {
        let id: HeaderValue = "0b6bd1c2-6f0e-4c52-9f3e-6d0a3e1d9c11".parse().unwrap();
        let mut headers = HeaderMap::from_iter([(REQUEST_ID, id.clone())]);
        assert_eq!(ensure(&mut headers), id);
    }

    #[test]
    fn no_two_are_alike() {
        let ids: HashSet<_> = (0..10_000).map(|_| new()).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
