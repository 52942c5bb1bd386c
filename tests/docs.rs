//! What the documents say: links lead somewhere, examples are read, commands are known. That the
//! commands work is tested in `tests/system/docs.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test, also outside of #[test]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use romuo::config;

/// A document, with its path in the project.
struct Document {
    path: PathBuf,
    text: String,
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document of the project.
fn documents() -> Vec<Document> {
    let folders = [project().to_owned(), project().join("docs"), project().join("docs/fr")];
    let entries = folders.into_iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let documents = paths.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let documents =
        documents.map(|path| Document { text: fs::read_to_string(&path).unwrap(), path });
    let documents: Vec<Document> = documents.collect();
    assert!(documents.len() > 5, "the documents are found");
    documents
}

/// What stands between each `begin` and the `end` after it.
fn between<'a>(text: &'a str, begin: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(begin).skip(1).filter_map(move |rest| Some(rest.split_once(end)?.0))
}

/// The text less its blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The anchors of a document, as GitHub and GitLab make them of its headings.
fn anchors(text: &str) -> Vec<String> {
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            words.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
        })
        .collect()
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    let mut followed = 0;
    for Document { path, text } in documents() {
        let prose = prose(&text);
        let links = between(&prose, "](", ")");
        for link in links.filter(|link| !link.starts_with("https://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            assert!(target.exists(), "{}: {link}", path.display());
            let anchors = anchors(&fs::read_to_string(&target).unwrap());
            let found = anchor.is_empty() || anchors.iter().any(|known| known == anchor);
            assert!(found, "{}: {link}, but there are {anchors:?}", path.display());
            followed += 1;
        }
    }
    assert!(followed > 10, "links are found");
}

#[test]
fn every_path_of_the_project_in_the_text_is_there() {
    let rooms =
        ["benches/", "docs/", "examples/", "scripts/", "src/", "templates/", "tests/", "units/"];
    let mut found = 0;
    for Document { path, text } in documents() {
        let prose = prose(&text);
        // Every second piece lies between two backticks.
        for code in prose.split('`').skip(1).step_by(2) {
            let named = code.split_whitespace().next().unwrap_or_default();
            let is_in_room = rooms.iter().any(|room| named.starts_with(room));
            let is_source = Path::new(named).extension().is_some_and(|end| end == "rs");
            // The architecture names the files of a room as the room does.
            let folder = match named.split_once('/') {
                _ if named.contains('*') => continue,
                _ if is_in_room => project().to_owned(),
                Some((room, _)) if !room.is_empty() && is_source => project().join("src"),
                _ => continue,
            };
            assert!(folder.join(named).exists(), "{}: {named}", path.display());
            found += 1;
        }
    }
    assert!(found > 40, "paths are found");
}

#[test]
fn every_example_of_a_configuration_is_read() {
    let mut read = 0;
    for Document { path, text } in documents() {
        for example in between(&text, "```toml\n", "```") {
            let parsed = config::parse(example, Path::new("/srv/app/romuo.toml"));
            parsed.unwrap_or_else(|error| panic!("{}: {error}\n{example}", path.display()));
            read += 1;
        }
    }
    assert!(read > 3, "examples are found");
}

#[test]
fn every_romuoctl_command_in_the_text_is_known() {
    let mut known = 0;
    for Document { path, text } in documents() {
        let prose = prose(&text);
        // Every second piece lies between two backticks.
        for code in prose.split('`').skip(1).step_by(2) {
            let typed = code.strip_prefix("sudo ").unwrap_or(code);
            if !typed.starts_with("romuoctl ") {
                continue;
            }
            // Words in capitals stand for a value.
            let words = typed.split_whitespace().map(|word| if word == "ID" { "1" } else { word });
            let matches = romuo::cli::command().try_get_matches_from(words);
            assert!(matches.is_ok(), "{}: `{code}`: {}", path.display(), matches.unwrap_err());
            known += 1;
        }
    }
    assert!(known > 20, "commands are found");
}

#[test]
fn the_mistake_that_the_reference_shows_is_reported_as_it_says() {
    let reference = fs::read_to_string(project().join("docs/configuration.md")).unwrap();
    let (_, section) = reference.split_once("## Mistakes").unwrap();
    let shown = between(section, "```text\n", "```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let lines = shown.lines().filter_map(|line| Some(line.split_once(" │ ")?.1));
    fs::write(folder.path().join("romuo.toml"), lines.collect::<Vec<_>>().join("\n")).unwrap();
    let mut romuoctl = Command::cargo_bin("romuoctl").unwrap();
    romuoctl.args(["install-units", "--dry-run"]).current_dir(folder.path());
    let said = romuoctl.assert().code(2).get_output().stderr.clone();
    assert_eq!(String::from_utf8(said).unwrap(), shown);
}
