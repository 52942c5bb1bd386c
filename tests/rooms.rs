//! The architecture, as far as a program can see it: imports point one way.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

/// The rooms of `src/`, in the order of the table in `src/lib.rs`: each may use itself and those
/// before it.
fn rooms() -> Vec<String> {
    let lib = std::fs::read_to_string("src/lib.rs").unwrap();
    let row = |line: &str| {
        let name = line.strip_prefix("//! | [`")?.split('`').next()?;
        Some(name.trim_start_matches("mod@").to_owned())
    };
    lib.lines().filter_map(row).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

#[test]
fn every_room_is_in_the_table_and_uses_only_those_before_it() {
    let rooms = rooms();
    let there = std::fs::read_dir("src").unwrap().map(|entry| entry.unwrap().path());
    let mut there: Vec<_> = there
        .filter(|path| path.is_dir() && !path.ends_with("bin"))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    there.sort();
    let mut listed = rooms.clone();
    listed.sort();
    assert_eq!(listed, there);

    for (at, room) in rooms.iter().enumerate() {
        for file in sources(&Path::new("src").join(room)) {
            let text = std::fs::read_to_string(&file).unwrap();
            for used in text.split("crate::").skip(1) {
                let used: String =
                    used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let Some(place) = rooms.iter().position(|room| *room == used) else { continue };
                assert!(place <= at, "{} uses `{used}`, a later room", file.display());
            }
        }
    }
}

#[test]
fn one_file_names_the_bus() {
    let naming: Vec<_> = sources(Path::new("src"))
        .into_iter()
        .filter(|file| std::fs::read_to_string(file).unwrap().contains("zbus::"))
        .collect();
    assert_eq!(naming, [Path::new("src/manager/systemd.rs")]);
}
