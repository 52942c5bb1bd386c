//! Where the requests of an HTTP/1 connection begin and end, and what their heads look like in bytes.
//!
//! hyper parses the requests, and mends some on the way: of `Content-Length` beside
//! `Transfer-Encoding` it drops the one, equal lengths it makes one, and a bare LF ends a line. It may
//! do so (RFC 9112, 2.2 and 6.3), but a front must not: what stands before it may have read the same
//! bytes in the other way, and that is what request smuggling lives on. So the bytes are followed on
//! their way into hyper, and each head is judged by what it really was.
//!
//! What is said of a request does not depend on how its bytes are cut into reads. Where the end of one
//! cannot be told, or could be told in two ways, the connection is lost: nothing after it is served.

/// Bytes of a line of a head that are looked at: `Transfer-Encoding:` or `Content-Length:` and twenty
/// digits fit.
const LINE: usize = 48;

/// Digits of a chunk's size, at most: sixteen tell all of them, and who sends endless zeros before them
/// keeps hyper busy for nothing.
const DIGITS: u8 = 128;

/// The longest body that hyper takes for one; what is above it stands for something else there.
const LONGEST: u64 = u64::MAX - 2;

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
    /// In a chunked body.
    Chunked(Chunk),
    /// At the end of a request.
    End,
    /// Nobody knows.
    Lost,
}

/// Where in a chunked body the bytes are (RFC 9112, 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    /// In the size, of which so many digits came.
    Size { size: u64, digits: u8 },
    /// Behind the size: white space, or an extension.
    Extension { size: u64 },
    /// Behind the CR of the size's line.
    SizeEnd { size: u64 },
    /// In the data; so many bytes are to come.
    Data(u64),
    /// Behind the data.
    DataEnd,
    /// Behind the CR that follows the data.
    DataLf,
    /// At the begin of a line of the trailers.
    Trailers,
    /// In a line of the trailers.
    Trailer,
    /// Behind the CR of a line of the trailers.
    TrailerEnd,
    /// Behind the CR of the last line.
    LastLf,
}

impl Chunk {
    const FIRST: Self = Self::Size { size: 0, digits: 0 };

    /// Whether the size has as many digits as it may have.
    fn is_full(self) -> bool {
        matches!(self, Self::Size { digits: DIGITS, .. })
    }

    /// The place after one more byte, which is not one of the data. hyper, which decides where the body
    /// ends, goes the same way; what is stricter here is lost.
    fn next(self, byte: u8) -> Place {
        let next = match (self, byte) {
            (Self::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F')
                if digits < DIGITS =>
            {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let Some(size) = size.checked_mul(16) else { return Place::Lost };
                Self::Size { size: size | u64::from(digit), digits: digits + 1 }
            }
            (Self::Size { size, digits: 1.. }, b';' | b' ' | b'\t') => Self::Extension { size },
            (Self::Size { size, digits: 1.. } | Self::Extension { size }, b'\r') => {
                Self::SizeEnd { size }
            }
            (Self::Extension { size }, byte) if byte != b'\n' => Self::Extension { size },
            (Self::SizeEnd { size: 0 } | Self::TrailerEnd, b'\n') => Self::Trailers,
            (Self::SizeEnd { size }, b'\n') => Self::Data(size),
            (Self::DataEnd, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::FIRST,
            (Self::Trailers, b'\r') => Self::LastLf,
            (Self::Trailer, b'\r') => Self::TrailerEnd,
            (Self::LastLf, b'\n') => return Place::End,
            (Self::Trailers | Self::Trailer, byte) if byte != b'\n' => Self::Trailer,
            _ => return Place::Lost,
        };
        Place::Chunked(next)
    }
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
    /// The last byte belongs to a length that no body has.
    is_endless: bool,
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
            is_endless: false,
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
                self.seen.lost = true;
            }
        }
        let mut rest = bytes;
        while let Some(byte) = rest.first() {
            match self.place {
                Place::Start | Place::Head => {
                    self.line(&mut rest);
                    if self.is_endless {
                        break;
                    }
                }
                Place::Body(left) => {
                    let left = take(&mut rest, left);
                    self.place = if left == 0 { Place::End } else { Place::Body(left) };
                }
                Place::Chunked(Chunk::Data(left)) => {
                    let left = take(&mut rest, left);
                    let next = if left == 0 { Chunk::DataEnd } else { Chunk::Data(left) };
                    self.place = Place::Chunked(next);
                }
                Place::Chunked(chunk) => {
                    self.place = chunk.next(*byte);
                    rest = &rest[1..];
                    if self.place == Place::Lost && chunk.is_full() {
                        self.is_endless = true;
                        break;
                    }
                }
                Place::End => break,
                Place::Lost => rest = &[],
            }
        }
        bytes.len() - rest.len()
    }

    /// What the head was made of that hyper has just read.
    pub(crate) fn head(&mut self) -> Seen {
        // A second one without a request that ended in between: hyper has found an end that is none here.
        let lost = self.taken || self.seen.lost;
        self.taken = true;
        Seen { lost, ..self.seen }
    }

    /// Whether the bytes so far end in, or with the line of, a length that no body has, or that has no end.
    /// Said once: hyper is not to read it as what it is.
    pub(crate) fn is_endless(&mut self) -> bool {
        std::mem::take(&mut self.is_endless)
    }

    /// Whether a request has begun and is not whole yet.
    pub(crate) fn is_within(&self) -> bool {
        !matches!(self.place, Place::Start | Place::End)
    }

    /// Takes up to the end of a line of a head.
    fn line(&mut self, rest: &mut &[u8]) {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            self.keep(rest);
            *rest = &[];
            return;
        };
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        *rest = after;
        if self.had == 0 {
            self.judge(&line[..line.len().min(LINE)], line.len(), line.last() != Some(&b'\r'));
        } else {
            self.keep(line);
            let (kept, had) = (self.line, self.had);
            self.judge(&kept[..had.min(LINE)], had, self.last != b'\r');
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

    /// Takes a line of a head without its LF. `line`: the beginning of it, `full`: all of its bytes;
    /// `bare`: there was no CR before the LF.
    fn judge(&mut self, line: &[u8], full: usize, bare: bool) {
        let is_empty = full == usize::from(!bare);
        self.seen.bare_lf |= bare;
        match self.place {
            // Empty lines before a request are nothing (RFC 9112, 2.2).
            Place::Start if !is_empty => self.place = Place::Head,
            Place::Head if is_empty => self.place = self.after_head(),
            Place::Head => {
                if let Some(value) = value(line, b"content-length") {
                    self.seen.lengths = self.seen.lengths.saturating_add(1);
                    match decimal(value) {
                        Some(length) if full <= LINE => {
                            self.length = length;
                            self.is_endless = length > LONGEST;
                        }
                        // hyper refuses it, or it is too long to be read here.
                        _ => self.seen.lost = true,
                    }
                } else if value(line, b"transfer-encoding").is_some() {
                    self.seen.encodings = self.seen.encodings.saturating_add(1);
                }
            }
            _ => {}
        }
    }

    fn after_head(&self) -> Place {
        if self.seen.lost {
            Place::Lost
        } else if self.seen.encodings > 0 {
            Place::Chunked(Chunk::FIRST)
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

#[cfg(test)]
mod tests;
