//! HTTP/2 written by hand (RFC 9113): a library would be too polite.

/// What every HTTP/2 connection begins with (RFC 9113, 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The largest window there is (RFC 9113, 6.9.1).
pub(crate) const WIDE: u32 = (1 << 31) - 1;

/// The initial window of a connection (RFC 9113, 6.9.2), in bytes.
const DEFAULT_WINDOW: u32 = 65_535;

/// Types of frames (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Their flags.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `SETTINGS_INITIAL_WINDOW_SIZE` (RFC 9113, 6.5.2).
const INITIAL_WINDOW_SIZE: u16 = 4;

/// Whether a request ends with its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    Here,
    Later,
}

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The begin of a connection whose streams have this window and which itself has the widest.
pub(crate) fn hello(window: u32) -> Vec<u8> {
    let setting = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &window.to_be_bytes()].concat();
    let begin = [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &setting)].concat();
    [begin, window_update(0, WIDE - DEFAULT_WINDOW)].concat()
}

/// The id of the client's stream of this number, from 0.
pub(crate) fn stream(number: u32) -> u32 {
    2 * number + 1
}

/// A head, in literals that no table remembers (RFC 7541, 6.2.2) but for the pseudo headers.
pub(crate) fn head(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut block = match method {
        "GET" => vec![0x82],
        "POST" => vec![0x83],
        // The name from the static table, the method as a literal.
        _ => [vec![0x02], text(method)].concat(),
    };
    // `:scheme: http`.
    block.push(0x86);
    block.push(0x04);
    block.extend(text(path));
    block.push(0x01);
    block.extend(text("x"));
    for (name, value) in more {
        block.push(0);
        block.extend(text(name));
        block.extend(text(value));
    }
    block
}

/// A request.
pub(crate) fn request(stream: u32, block: &[u8], ends: Ends) -> Vec<u8> {
    let flags = if ends == Ends::Here { END_STREAM | END_HEADERS } else { END_HEADERS };
    frame(HEADERS, flags, stream, block)
}

/// A head that is to be continued.
pub(crate) fn open_head(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_STREAM, stream, block)
}

/// A part of a head that never ends.
pub(crate) fn continuation(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(CONTINUATION, 0, stream, block)
}

pub(crate) fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, 0, stream, bytes)
}

/// The end of a body.
pub(crate) fn data_end(stream: u32) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, &[])
}

pub(crate) fn reset(stream: u32) -> Vec<u8> {
    // CANCEL.
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

pub(crate) fn window_update(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

pub(crate) fn ping() -> Vec<u8> {
    frame(PING, 0, 0, b"hostile!")
}

/// Settings that change nothing.
pub(crate) fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[])
}

/// Settings with a window for all streams.
pub(crate) fn settings_window(window: u32) -> Vec<u8> {
    let setting = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &window.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &setting)
}

pub(crate) fn priority(stream: u32) -> Vec<u8> {
    frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 16])
}

/// A frame of a type that nobody knows.
pub(crate) fn unknown(payload: &[u8]) -> Vec<u8> {
    frame(0xbb, 0xff, 0, payload)
}

pub(crate) fn goaway() -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[0; 8])
}

/// A text that is not compressed (RFC 7541, 5.2).
pub(crate) fn text(text: &str) -> Vec<u8> {
    [integer(text.len(), 7), text.as_bytes().to_vec()].concat()
}

/// An integer with a prefix of so many bits (RFC 7541, 5.1), whose other bits are 0.
fn integer(value: usize, bits: u32) -> Vec<u8> {
    let most = (1_usize << bits) - 1;
    if value < most {
        return vec![u8::try_from(value).unwrap_or(0)];
    }
    let mut bytes = vec![u8::try_from(most).unwrap_or(u8::MAX)];
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap_or(0) | 0x80);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap_or(0));
    bytes
}
