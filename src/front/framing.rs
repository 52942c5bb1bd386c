//! Where the requests of an HTTP/1 connection begin and end, and what their heads look like in bytes.
//!
//! hyper parses the requests, and mends some on the way: of `Content-Length` beside
//! `Transfer-Encoding` it drops the one, equal lengths it makes one, and a bare LF ends a line. It may
//! do so (RFC 9112, 2.2 and 6.3), but a front must not: what stands before it may have read the same
//! bytes in the other way, and that is what request smuggling lives on. So the bytes are followed on
//! their way into hyper, and each head is judged by what it really was.

/// Bytes of a line that are kept when it does not come in one piece: `Content-Length:` and twenty
/// digits fit.
const LINE: usize = 48;

/// What a head was made of, as far as hyper does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Lines `Content-Length`.
    pub(crate) lengths: u8,
    /// Lines `Transfer-Encoding`.
    pub(crate) encodings: u8,
    /// A line ended with LF alone.
    pub(crate) bare_lf: bool,
    /// The bytes cannot be followed any more.
    pub(crate) lost: bool,
}

/// Where in a request the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first line.
    Start,
    Head,
    /// In a body; so many bytes are to come.
    Body(u64),
    ChunkSize,
    /// In a chunk; so many bytes are to come.
    Chunk(u64),
    /// In the line end after a chunk.
    ChunkEnd,
    Trailer,
    /// At the end of a request.
    End,
    /// Nobody knows.
    Lost,
}

/// Follows the bytes of the requests of one connection.
#[derive(Debug)]
pub(crate) struct Framing {
    place: Place,
    seen: Seen,
    /// The last `Content-Length`.
    length: u64,
    /// Whether the head of this request has been asked for.
    taken: bool,
    /// The beginning of a line whose end has not come yet.
    line: [u8; LINE],
    /// Bytes of that line, those that did not fit too.
    had: usize,
    /// Its last byte.
    last: u8,
}

impl Default for Framing {
    fn default() -> Self {
        Self {
            place: Place::Start,
            seen: Seen::default(),
            length: 0,
            taken: false,
            line: [0; LINE],
            had: 0,
            last: 0,
        }
    }
}

impl Framing {
    /// Follows the next bytes as far as the present request goes; how many that are. Never none of
    /// some.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> usize {
        if self.place == Place::End {
            if self.taken {
                (self.place, self.seen, self.taken) = (Place::Start, Seen::default(), false);
            } else {
                // hyper wants more of a request that is whole by this count.
                self.place = Place::Lost;
            }
        }
        let mut rest = bytes;
        while !rest.is_empty() && self.place != Place::End {
            match self.place {
                Place::Body(left) => {
                    let left = take(&mut rest, left);
                    self.place = if left == 0 { Place::End } else { Place::Body(left) };
                }
                Place::Chunk(left) => {
                    let left = take(&mut rest, left);
                    self.place = if left == 0 { Place::ChunkEnd } else { Place::Chunk(left) };
                }
                Place::Lost => {
                    self.seen.lost = true;
                    rest = &[];
                }
                _ => self.line(&mut rest),
            }
        }
        bytes.len() - rest.len()
    }

    /// What the head was made of that hyper has just read.
    pub(crate) fn head(&mut self) -> Seen {
        self.taken = true;
        self.seen
    }

    /// Whether a request has begun and is not whole yet.
    pub(crate) fn is_within(&self) -> bool {
        !matches!(self.place, Place::Start | Place::End)
    }

    /// Takes up to the end of a line.
    fn line(&mut self, rest: &mut &[u8]) {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            self.keep(rest);
            *rest = &[];
            return;
        };
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        *rest = after;
        if self.had == 0 {
            self.judge(line, line.len());
        } else {
            self.keep(line);
            let (kept, had) = (self.line, self.had);
            let kept = &kept[..had.min(LINE)];
            // What did not fit is not looked at, but for its end.
            if had > LINE && self.last == b'\r' {
                let mut whole = [0; LINE + 1];
                whole[..LINE].copy_from_slice(kept);
                whole[LINE] = b'\r';
                self.judge(&whole, had);
            } else {
                self.judge(kept, had);
            }
        }
        self.had = 0;
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(free) = self.line.get_mut(self.had..) {
            let count = free.len().min(bytes.len());
            free[..count].copy_from_slice(&bytes[..count]);
        }
        self.had += bytes.len();
        self.last = bytes.last().copied().unwrap_or(self.last);
    }

    /// Takes a line without its LF. `full`: its bytes, more than are given where it was long.
    fn judge(&mut self, line: &[u8], full: usize) {
        let (line, bare) = match line.strip_suffix(b"\r") {
            Some(line) => (line, false),
            None => (line, true),
        };
        match self.place {
            Place::Start => {
                self.seen.bare_lf |= bare;
                // Empty lines before a request are nothing (RFC 9112, 2.2).
                if !line.is_empty() {
                    self.place = Place::Head;
                }
            }
            Place::Head => {
                self.seen.bare_lf |= bare;
                if line.is_empty() {
                    self.place = self.after_head();
                } else if value(line, b"content-length").is_some() {
                    self.seen.lengths = self.seen.lengths.saturating_add(1);
                    match value(line, b"content-length").and_then(decimal) {
                        Some(length) if full <= LINE => self.length = length,
                        // hyper refuses it, or it is too long to be read here.
                        _ => self.seen.lost = true,
                    }
                } else if value(line, b"transfer-encoding").is_some() {
                    self.seen.encodings = self.seen.encodings.saturating_add(1);
                }
            }
            Place::ChunkSize => {
                self.place = match hexadecimal(line) {
                    Some(0) => Place::Trailer,
                    Some(size) => Place::Chunk(size),
                    None => Place::Lost,
                }
            }
            Place::ChunkEnd => {
                self.place = if line.is_empty() { Place::ChunkSize } else { Place::Lost };
            }
            Place::Trailer if line.is_empty() => self.place = Place::End,
            _ => {}
        }
    }

    fn after_head(&self) -> Place {
        if self.seen.lost {
            Place::Lost
        } else if self.seen.encodings > 0 {
            Place::ChunkSize
        } else if self.seen.lengths > 0 && self.length > 0 {
            Place::Body(self.length)
        } else {
            Place::End
        }
    }
}

/// Takes up to `left` bytes; how many are left to take.
fn take(rest: &mut &[u8], left: u64) -> u64 {
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
    *rest = &rest[count..];
    left - count as u64
}

/// The value of a header line with this name (in lower case).
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, value) = line.split_at_checked(name.len())?;
    found.eq_ignore_ascii_case(name).then_some(())?;
    value.strip_prefix(b":").map(<[u8]>::trim_ascii)
}

fn decimal(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(value).ok()?.parse().ok())?
}

/// The size in the first line of a chunk, whatever follows it (RFC 9112, 7.1.1).
fn hexadecimal(line: &[u8]) -> Option<u64> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    u64::from_str_radix(std::str::from_utf8(&line[..end]).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each request of the bytes was made of, fed in pieces of `size`.
    fn heads(bytes: &[u8], size: usize) -> Vec<Seen> {
        let mut framing = Framing::default();
        let mut heads = Vec::new();
        for mut piece in bytes.chunks(size) {
            while !piece.is_empty() {
                let count = framing.advance(piece);
                assert!(count > 0);
                piece = &piece[count..];
                if matches!(framing.place, Place::End | Place::Lost) && !framing.taken {
                    heads.push(framing.head());
                }
            }
        }
        heads
    }

    fn in_pieces(bytes: &[u8]) -> Vec<Seen> {
        let whole = heads(bytes, bytes.len());
        for size in 1..bytes.len() {
            assert_eq!(heads(bytes, size), whole, "in pieces of {size}");
        }
        whole
    }

    const PLAIN: Seen = Seen { lengths: 0, encodings: 0, bare_lf: false, lost: false };
    const SIZED: Seen = Seen { lengths: 1, ..PLAIN };
    const CHUNKED: Seen = Seen { encodings: 1, ..PLAIN };

    #[test]
    fn each_request_is_told_from_the_next() {
        let bytes = b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n\
            POST / HTTP/1.1\r\ncontent-LENGTH:  8 \r\n\r\nGET\r\n\r\n1\
            POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
            A;x=\"y\"\r\n0123456\r\n9\r\n0\r\nContent-Length: 1\r\n\r\n\
            GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(in_pieces(bytes), [PLAIN, SIZED, CHUNKED, SIZED]);
    }

    #[test]
    fn both_kinds_of_length_and_several_of_one_are_seen() {
        let both = Seen { lengths: 1, encodings: 1, ..PLAIN };
        for bytes in [
            "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        ] {
            assert_eq!(in_pieces(bytes.as_bytes()), [both]);
        }
        let twice = "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx";
        assert_eq!(in_pieces(twice.as_bytes()), [Seen { lengths: 2, ..PLAIN }]);
    }

    #[test]
    fn a_bare_lf_is_seen_and_long_lines_are_no_matter() {
        let bare = Seen { bare_lf: true, ..PLAIN };
        assert_eq!(in_pieces(b"GET / HTTP/1.1\nHost: x\r\n\r\n"), [bare]);
        assert_eq!(in_pieces(b"GET / HTTP/1.1\r\nHost: x\r\n\n"), [bare]);
        let long = format!("GET /{0} HTTP/1.1\r\nX: {0}\r\n\r\n", "a".repeat(LINE));
        assert_eq!(in_pieces(long.as_bytes()), [PLAIN]);
    }

    #[test]
    fn what_cannot_be_followed_is_lost_for_good() {
        for bytes in [
            "POST / HTTP/1.1\r\nContent-Length: +4\r\n\r\nabcd",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nabcd",
        ] {
            assert!(in_pieces(bytes.as_bytes())[0].lost, "{bytes}");
        }
        let mut framing = Framing::default();
        let bad = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
        assert_eq!(framing.advance(bad), bad.len());
        assert!(!framing.head().lost);
        framing.advance(b"GET / HTTP/1.1\r\n\r\n");
        assert!(framing.head().lost);
    }
}
