//! What a person reads about a file that cannot be used.

// snapbox writes its snapshots with hashes.
#![allow(clippy::needless_raw_string_hashes)]

mod keys;
mod places;
mod program;
mod values;

use std::fmt::Write as _;
use std::path::Path;

use rustix::fs::FileType;
use snapbox::{assert_data_eq, str};

use crate::config::{ConfigError, load, parse};

/// The error of a file that says `text`.
fn error(text: &str) -> ConfigError {
    parse(text, Path::new("romuo.toml")).unwrap_err()
}

/// Each problem of a file that says `text`: its sentence, and its hint in the next line.
fn told(text: &str) -> String {
    let mut told = String::new();
    for problem in error(text).problems() {
        writeln!(told, "{problem}").unwrap();
        if let Some(hint) = problem.hint() {
            writeln!(told, "  {hint}").unwrap();
        }
    }
    told
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("romuo.toml");
    let told = |path: &Path| {
        load(path).unwrap_err().to_string().replace(folder.path().to_str().unwrap(), "")
    };

    assert_data_eq!(
        told(&path),
        str![
            "the configuration /romuo.toml could not be read: No such file or directory (os error 2)"
        ]
    );
    assert_data_eq!(
        told(folder.path()),
        str!["the configuration  could not be read: Is a directory (os error 21)"]
    );
    std::fs::write(&path, b"name = \"a\"\nenv = \"\xc3\xa4\xff\"\n").unwrap();
    assert_data_eq!(told(&path), str!["/romuo.toml:2:9: the text is not UTF-8 from here on"]);
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert_data_eq!(told(&path), str!["the configuration /romuo.toml is larger than 1 MiB"]);
    std::fs::write(&path, vec![b'#'; 1 << 20]).unwrap();
    assert!(load(&path).is_ok());
    // Nobody is waited for who would have to write to it.
    let pipe = folder.path().join("pipe.toml");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_data_eq!(
        told(&pipe),
        str!["the configuration /pipe.toml could not be read: it is no file"]
    );
}
