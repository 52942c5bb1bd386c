//! A property of values in unit files, for the fuzzer: see `src/fuzz.rs`.
//!
//! systemd's own reader is here once more, as its sources have it (`conf-parser.c`, `extract-word.c`,
//! `load-fragment.c`, `specifier.c`), as far as what is written to a unit could meet it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a property that does not hold ends in a panic"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use askama::filters::Escaper as _;

use super::escape::UnitFile;
use super::text::{BarePath, PathWord, TextError, TimeSpan, Word};

/// What stands between the values in the bytes.
const BETWEEN: char = '\u{1e}';

/// What systemd takes for white space.
const WHITE: &[u8] = b" \t\n\r";

/// systemd reads each value of a unit as it was given, wherever it stands, and no more lines than were
/// written; what it could not read so is refused.
pub(crate) fn unit_file(bytes: &[u8]) {
    time_span(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let values: Vec<&str> = text.split(BETWEEN).collect();
    let words = accepted(&values, Word::new);
    let paths = accepted(&values, |value| PathWord::new(Path::new(value)));
    let bare = accepted(&values, |value| BarePath::new(Path::new(value)));
    for value in values {
        // A NUL and what is no character have no place in a unit; everything else is somebody's argument.
        let is_word = !value.contains(['\0', '\u{ffff}', '\u{fffe}', '\u{fdd0}']);
        assert!(Word::new(value).is_ok() || !is_word || value.chars().any(is_noncharacter));
    }

    let mut lines = vec![
        ("Type", "notify".to_owned()),
        ("ExecStart", format!(":/bin/x {}", written(&words))),
        ("Environment", written(&words)),
        ("ReadWritePaths", written(&paths)),
    ];
    lines.extend(paths.iter().map(|(_, path)| ("BindReadOnlyPaths", path.clone())));
    lines.extend(bare.iter().map(|(_, path)| ("WorkingDirectory", path.clone())));
    lines.push(("Restart", "no".to_owned()));
    // What the escaper refuses is refused with a sentence: the types let none of it through.
    let escaped = |value: &str| {
        let mut out = String::new();
        UnitFile.write_escaped_str(&mut out, value).expect("the types have refused it before");
        out
    };
    let mut unit = String::new();
    for (key, value) in &lines {
        writeln!(unit, "{key}={}", escaped(value)).unwrap();
    }

    let read = directives(unit.as_bytes());
    let keys: Vec<_> = read.iter().map(|(key, _)| key.as_slice()).collect();
    assert_eq!(keys, lines.iter().map(|(key, _)| key.as_bytes()).collect::<Vec<_>>());
    let found = |key: &str| {
        let of_key = read.iter().filter(|(name, _)| name == key.as_bytes());
        of_key.map(|(_, value)| value.as_slice()).collect::<Vec<_>>()
    };
    let given = |values: &[(&str, String)]| {
        values.iter().map(|(value, _)| value.as_bytes().to_vec()).collect::<Vec<_>>()
    };
    let command = found("ExecStart")[0];
    assert_eq!(arguments(command.strip_prefix(b":/bin/x").unwrap()), given(&words));
    assert_eq!(all_words(found("Environment")[0], true), given(&words));
    assert_eq!(all_words(found("ReadWritePaths")[0], false), given(&paths));
    let binds: Vec<_> = found("BindReadOnlyPaths").into_iter().map(bind).collect();
    assert_eq!(binds, given(&paths));
    assert_eq!(
        found("WorkingDirectory").into_iter().map(specifiers).collect::<Vec<_>>(),
        given(&bare)
    );
}

/// The values that a place takes, and how they stand there.
fn accepted<'a, T: ToString>(
    values: &[&'a str],
    new: impl Fn(&'a str) -> Result<T, TextError>,
) -> Vec<(&'a str, String)> {
    let kept = values.iter().filter_map(|value| Some((*value, new(value).ok()?.to_string())));
    kept.collect()
}

fn written(values: &[(&str, String)]) -> String {
    values.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" ")
}

/// `unichar_is_valid`, the other way round.
fn is_noncharacter(c: char) -> bool {
    let code = u32::from(c);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

/// `config_parse`, with `read_line` and `parse_line`: keys and values.
fn directives(text: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut continued: Option<Vec<u8>> = None;
    for line in text.split(|byte| b"\n\r\0".contains(byte)) {
        let begin = line.iter().position(|byte| !WHITE.contains(byte)).unwrap_or(line.len());
        if line.get(begin).is_some_and(|byte| b"#;".contains(byte)) {
            continue;
        }
        let mut whole = match continued.take() {
            Some(before) => [&before[..], line].concat(),
            None => line[begin..].to_vec(),
        };
        let escaped = whole.iter().fold(false, |escaped, byte| !escaped && *byte == b'\\');
        if escaped {
            whole.pop();
            whole.push(b' ');
            continued = Some(whole);
            continue;
        }
        let line = strip(&whole);
        if line.is_empty() {
            continue;
        }
        let text = std::str::from_utf8(line).expect("a line that is not UTF-8 is ignored");
        assert!(!text.contains(is_noncharacter), "a line with it is ignored: {text:?}");
        assert!(!line.starts_with(b"["), "a section: {text:?}");
        let equals =
            line.iter().position(|byte| *byte == b'=').expect("a line that is an assignment");
        found.push((strip(&line[..equals]).to_vec(), strip(&line[equals + 1..]).to_vec()));
    }
    assert_eq!(continued, None, "a line goes on behind the last one");
    found
}

/// `strstrip`.
fn strip(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.first().filter(|byte| WHITE.contains(byte)).and(text.get(1..)) {
        text = rest;
    }
    while let Some((last, rest)) = text.split_last()
        && WHITE.contains(last)
    {
        text = rest;
    }
    text
}

/// `extract_first_word` with `EXTRACT_UNQUOTE`, and `EXTRACT_CUNESCAPE` where `cunescape` says so: the word
/// and what follows it; none: there is no more.
fn first_word<'a>(
    text: &'a [u8],
    separators: &[u8],
    cunescape: bool,
) -> Option<(Vec<u8>, &'a [u8])> {
    let begin = text.iter().position(|byte| !separators.contains(byte))?;
    let mut rest = &text[begin..];
    let (mut word, mut quote) = (Vec::new(), None);
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\\' if cunescape => {
                let (value, used) = unescaped(rest);
                word.extend(value);
                rest = &rest[used..];
            }
            b'\\' => {
                let (escaped, after) = rest.split_first().expect("a backslash at the end");
                word.push(*escaped);
                rest = after;
            }
            byte if quote == Some(byte) => quote = None,
            b'"' | b'\'' if quote.is_none() => quote = Some(byte),
            byte if quote.is_none() && separators.contains(&byte) => return Some((word, rest)),
            byte => word.push(byte),
        }
    }
    assert_eq!(quote, None, "an open quote in {:?}", text.escape_ascii().to_string());
    Some((word, rest))
}

/// `cunescape_one`: what an escape stands for, and how many bytes it has behind its backslash.
fn unescaped(text: &[u8]) -> (Vec<u8>, usize) {
    let code = |from: usize, count: usize, radix| {
        let digits = text.get(from..from + count).expect("an escape without its end");
        let digits = std::str::from_utf8(digits).expect("an escape of ASCII");
        let code = u32::from_str_radix(digits, radix).expect("an escape with digits");
        assert_ne!(code, 0, "a NUL");
        code
    };
    let of_code = |code| char::from_u32(code).expect("a code").to_string().into_bytes();
    match text.first().copied().expect("a backslash at the end") {
        b'a' => (vec![0x07], 1),
        b'b' => (vec![0x08], 1),
        b'f' => (vec![0x0c], 1),
        b'n' => (vec![b'\n'], 1),
        b'r' => (vec![b'\r'], 1),
        b't' => (vec![b'\t'], 1),
        b'v' => (vec![0x0b], 1),
        b's' => (vec![b' '], 1),
        byte @ (b'\\' | b'"' | b'\'') => (vec![byte], 1),
        b'x' => (vec![u8::try_from(code(1, 2, 16)).unwrap()], 3),
        b'u' => (of_code(code(1, 4, 16)), 5),
        b'U' => (of_code(code(1, 8, 16)), 9),
        b'0'..=b'7' => (vec![u8::try_from(code(0, 3, 8)).expect("one byte")], 3),
        other => panic!("no escape: {:?}", char::from(other)),
    }
}

/// `config_parse_exec`, behind the program of a command with the prefix `:`.
fn arguments(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    loop {
        rest = strip(rest);
        let is_alone = |text: &[u8]| text.first().is_none_or(|byte| WHITE.contains(byte));
        assert!(!rest.strip_prefix(b";").is_some_and(is_alone), "a second command");
        if let Some(after) = rest.strip_prefix(b"\\;").filter(|after| is_alone(after)) {
            found.push(b";".to_vec());
            rest = after;
            continue;
        }
        let Some((word, after)) = first_word(rest, WHITE, true) else { return found };
        found.push(specifiers(&word));
        rest = after;
    }
}

fn all_words(mut rest: &[u8], cunescape: bool) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some((word, after)) = first_word(rest, WHITE, cunescape) {
        found.push(specifiers(&word));
        rest = after;
    }
    found
}

/// `config_parse_bind_paths`: a path that is mounted in its own place.
fn bind(value: &[u8]) -> Vec<u8> {
    let (path, rest) = first_word(value, b": \t\n\r", false).expect("a path");
    assert_eq!(strip(rest), b"", "a place of its own, or options");
    let path = specifiers(&path);
    assert!(path.starts_with(b"/"), "a path with a prefix");
    path
}

/// `specifier_printf`: `%%` is a percent sign; any other would be one that a value brought in.
fn specifiers(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'%' {
            assert_eq!(bytes.next(), Some(&b'%'), "a specifier");
        }
        out.push(*byte);
    }
    out
}

/// A time is never written shorter than it is, nor a microsecond longer.
fn time_span(bytes: &[u8]) {
    let Some(bytes) = bytes.first_chunk::<12>() else { return };
    let [seconds @ .., a, b, c, d] = *bytes;
    let given = Duration::new(
        u64::from_be_bytes(seconds),
        u32::from_be_bytes([a, b, c, d]) % 1_000_000_000,
    );
    let text = TimeSpan(given).to_string();
    let micros = given.as_nanos().div_ceil(1000);
    let read = [("us", 1), ("ms", 1000), ("s", 1_000_000)]
        .into_iter()
        .find_map(|(unit, size)| Some(text.strip_suffix(unit)?.parse::<u128>().ok()? * size));
    assert_eq!(read.unwrap_or(u64::MAX.into()), micros.min(u64::MAX.into()), "{text}");
}
