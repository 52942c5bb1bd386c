//! Sizes, durations, counts and addresses, read and written.

use std::time::Duration;

use crate::config::{Instances, Listen, Size, ValueError, format_duration, parse_duration};

#[test]
fn sizes_count_in_powers_of_1024() {
    for (text, bytes) in [
        ("1", 1),
        ("1K", 1 << 10),
        ("300M", 300 << 20),
        ("1G", 1 << 30),
        ("16777215T", 16_777_215 << 40),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(text.parse::<Size>().unwrap().bytes(), bytes, "{text}");
    }
    for text in ["", "0", "0M", "M", "-1", "1B", "1 M", "16777216T", "18446744073709551616", "١M"]
    {
        assert!(text.parse::<Size>().is_err(), "{text}");
    }
}

#[test]
fn near_misses_of_sizes_bring_a_hint() {
    let hint = |text: &str| text.parse::<Size>().unwrap_err().hint;
    for text in ["300m", "300MB", "300MiB", "300 M", "300 mb"] {
        assert_eq!(hint(text).as_deref(), Some("write \"300M\""), "{text}");
    }
    assert!(hint("1.5G").unwrap().contains("whole number"));
    for text in ["0M", "300X", "many", "99999999999T"] {
        assert_eq!(hint(text), None, "{text}");
    }
}

#[test]
fn sizes_are_written_in_the_largest_unit_that_fits() {
    for text in ["1", "1023", "1K", "1025", "1536M", "1G", "3T", "1024T"] {
        assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
    }
    assert_eq!("1048576K".parse::<Size>().unwrap().to_string(), "1G");
}

#[test]
fn durations_are_read_as_systemd_reads_them() {
    for (text, micros) in [
        ("0s", 0),
        ("10s", 10_000_000),
        ("100ms", 100_000),
        ("2min", 120_000_000),
        ("1h", 3_600_000_000),
        ("1min 30s", 90_000_000),
        ("1min30s", 90_000_000),
        ("5 sec", 5_000_000),
        (" 1d ", 86_400_000_000),
        ("30s 1min", 90_000_000),
        ("7us", 7),
        ("365d", 31_536_000_000_000),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_micros(micros)), "{text}");
    }
}

#[test]
fn what_is_no_duration_is_refused() {
    let far = format!("{}s", u64::MAX);
    for text in ["", " ", "s", "-1s", "1x", "1.5s", "1s 2", "infinity", "366d", "1M", &far] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}

#[test]
fn a_number_alone_is_asked_for_its_unit() {
    for text in ["5", "1min 5"] {
        let hint = parse_duration(text).unwrap_err().hint.unwrap();
        assert_eq!(hint, "add a unit: \"5s\", \"5ms\" or \"5min\"", "{text}");
    }
}

#[test]
fn durations_are_written_in_the_units_of_systemd() {
    for text in ["0s", "10s", "100ms", "1min 30s", "1h", "2w 1d 3h 4min 5s 6ms 7us"] {
        assert_eq!(format_duration(parse_duration(text).unwrap()), text);
    }
    assert_eq!(format_duration(Duration::from_nanos(1_999)), "1us");
    assert_eq!(format_duration(Duration::from_nanos(1)), "0s");
    assert!(format_duration(Duration::MAX).ends_with("us"));
}

#[test]
fn instances_are_a_count_or_max() {
    for text in ["1", "2", "65535", "max"] {
        assert_eq!(text.parse::<Instances>().unwrap().to_string(), text);
    }
    for text in ["", "0", "-1", "65536", "Max", "2.0"] {
        assert!(text.parse::<Instances>().is_err(), "{text}");
    }
}

#[test]
fn addresses_are_tcp_or_an_absolute_path() {
    let longest = format!("/{}", "x".repeat(106));
    for text in
        ["127.0.0.1:3000", "0.0.0.0:80", "[::1]:3000", "[::]:443", "/run/a b.sock", &longest]
    {
        assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
    }
    let too_long = format!("{longest}x");
    for text in ["", "3000", "a:1", "run/a", "/", "/a/", "/a\0b", "/a\nb", "127.0.0.1:0", &too_long]
    {
        let error: ValueError = text.parse::<Listen>().unwrap_err();
        assert_eq!(error.given, text);
    }
}
