//! Properties of what reads the bytes of others, for the fuzzer (`scripts/fuzz`) and for the tests, which
//! replay the corpus that it left in `tests/fuzz/corpus/`.
//!
//! Each property lies in the room that it is about, where it reaches what is private. It takes any
//! bytes and panics where what it promises does not hold. This module is there for them only: no build
//! of the product has it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a property that does not hold ends in a panic"
)]
#![allow(missing_docs, reason = "a target has its name, and its property says what it promises")]

pub(crate) mod peer;

/// A property of any bytes.
pub type Property = fn(&[u8]);

macro_rules! targets {
    ($($name:ident: $property:path;)*) => {
        $(pub fn $name(bytes: &[u8]) {
            $property(bytes);
        })*

        /// All of them, by their names.
        pub const TARGETS: &[(&str, Property)] = &[$((stringify!($name), $name)),*];

        #[cfg(test)]
        mod corpus_of {
            $(#[test]
            fn $name() {
                super::tests::replay(stringify!($name), super::$name);
            })*
        }
    };
}

targets! {
    answer: crate::upstream::fuzz::answer;
    archive: crate::ship::fuzz::archive;
    chunked: crate::upstream::fuzz::chunked;
    control: crate::health::fuzz::control;
    ecosystem: crate::adopt::fuzz::ecosystem;
    env_file: crate::front::fuzz::env_file;
    framing: crate::front::fuzz::framing;
    handover: crate::server::fuzz::handover;
    preface: crate::server::fuzz::preface;
    procfile: crate::adopt::fuzz::procfile;
    request: crate::front::fuzz::request;
    terminal: crate::text::fuzz::terminal;
    unit_file: crate::render::fuzz::unit_file;
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    /// Says which file it was, where a property does not hold.
    struct Of(PathBuf);

    impl Drop for Of {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("of {}", self.0.display());
            }
        }
    }

    fn files(folder: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(folder);
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// The targets that take whole requests.
    const OF_REQUESTS: [&str; 2] = ["framing", "request"];

    pub(super) fn replay(name: &str, property: Property) {
        let mut kept = files(&format!("corpus/{name}"));
        assert!(!kept.is_empty(), "the corpus of {name} is kept");
        if OF_REQUESTS.contains(&name) {
            kept.extend(
                files("../raw")
                    .into_iter()
                    .filter(|path| path.extension() == Some("http".as_ref())),
            );
        }
        property(b"");
        for file in kept {
            let bytes = std::fs::read(&file).unwrap();
            let _of = Of(file);
            property(&bytes);
        }
    }

    #[test]
    fn each_property_has_a_target_and_a_corpus_and_no_other_is_there() {
        let there = |folder| {
            let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
            files(folder).into_iter().map(stem).collect::<Vec<_>>()
        };
        let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        assert!(names.is_sorted());
        assert_eq!(there("targets"), names);
        assert_eq!(there("corpus"), names);
        let manifest = files("").into_iter().find(|path| path.ends_with("Cargo.toml")).unwrap();
        let manifest = std::fs::read_to_string(manifest).unwrap();
        let bins =
            manifest.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        assert_eq!(bins.skip(1).collect::<Vec<_>>(), names);
    }
}
