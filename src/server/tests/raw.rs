//! The corpus of raw requests in `tests/raw/`: `NAME.http` is sent as it is, byte for byte, and then the
//! sending side is closed. It is sent to the front of an app, and to a static site that has the files of
//! [`SITE`]. `NAME.expect` says what is to come of it:
//!
//! | line | meaning |
//! |---|---|
//! | `< 400` | the client gets this answer; in order, one line each |
//! | `< 4xx`, `< none`, `< any` | one of these codes; no HTTP/1 answer; no matter what |
//! | `= 405` | a site answers this, in the place of the lines with `<`; in order, one line each |
//! | `> POST /path body` | the app has got this request; in order, one line each; `\r\n` is escaped |
//! | `> nothing` | the app has got no request |
//! | `+ name: value`, `- name` | the last request that it got has this header, has it not |
//!
//! None of it is the fault of the one who answers, so none of it counts as such.

use super::app::App;
use super::front::Fronted;
use super::*;

use std::path::{Path, PathBuf};

use super::super::site::Site;
use crate::config::StaticSite;

/// Most bytes of a body that the front takes here, as many as a site reads; some of the corpus are above.
const LIMIT: &str = "1M";

/// The files of the site.
const SITE: [&str; 6] = ["index.html", "a", "h", "p", "1", "2"];

/// The files of the corpus.
pub(super) fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/raw");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|kind| kind == "http")).collect();
    files.sort();
    files
}

/// What is to come of a request.
struct Expected(String);

impl Expected {
    fn of(file: &Path) -> Self {
        Self(std::fs::read_to_string(file.with_extension("expect")).unwrap())
    }

    /// The lines with this mark.
    fn lines(&self, mark: &str) -> Vec<&str> {
        self.0.lines().filter_map(|line| line.strip_prefix(mark)).map(str::trim).collect()
    }
}

/// Sends the bytes of a file; what is wrong with the answers and with what is counted of them.
async fn send(file: &Path, server: &Server, expected: &[&str]) -> Vec<String> {
    let mut client = server.connect().await;
    client.send(std::fs::read(file).unwrap()).await;
    client.close_sending().await;
    let answer = client.rest_of_bytes().await;
    let mut wrong = Vec::new();
    let codes = codes(&answer);
    match *expected {
        ["any"] => {}
        ["none"] if codes.is_empty() => {}
        ["4xx"] if codes.len() == 1 && codes[0].starts_with('4') => {}
        ref expected if *expected == codes => {}
        ref expected => wrong.push(format!("answers {codes:?}, expected {expected:?}")),
    }
    let failed = server.answered.failed();
    if failed > 0 {
        wrong.push(format!("{failed} answers count as failed"));
    }
    wrong
}

/// What comes of one file at the front of an app that is not as expected.
async fn judge_front(file: &Path) -> Option<String> {
    let expected = Expected::of(file);
    let app = App::start().await;
    let server = Fronted::with(&app, wide(), |settings| {
        settings.limits.body = LIMIT.parse().unwrap();
    });
    let mut wrong = send(file, &server, &expected.lines("<")).await;
    let seen = app.seen();
    let got: Vec<_> = seen
        .iter()
        .map(|asked| {
            let body = String::from_utf8_lossy(&asked.body).replace("\r\n", "\\r\\n");
            format!("{} {body}", asked.line()).trim_end().to_owned()
        })
        .collect();
    let mut should = expected.lines(">");
    should.retain(|line| *line != "nothing");
    if got != should {
        wrong.push(format!("the app has got {got:?}, expected {should:?}"));
    }
    for (mark, there) in [("+", true), ("-", false)] {
        for line in expected.lines(mark) {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            let values = seen.last().map(|asked| asked.all(name)).unwrap_or_default();
            if there && values != [value] || !there && !values.is_empty() {
                wrong.push(format!("`{mark} {line}`: {values:?}"));
            }
        }
    }
    report(file, &wrong)
}

/// What comes of one file at a static site that is not as expected.
async fn judge_site(file: &Path, root: &Path) -> Option<String> {
    let site = Site::new(&StaticSite { root: root.into(), fallback: None }, 4 << 10).unwrap();
    let router = Router::new().fallback(async move |request| site.answer(request).await);
    let server = Server::start(router, wide(), NEVER);
    let expected = Expected::of(file);
    let (own, common) = (expected.lines("="), expected.lines("<"));
    report(file, &send(file, &server, if own.is_empty() { &common } else { &own }).await)
}

fn report(file: &Path, wrong: &[String]) -> Option<String> {
    let name = file.file_stem().unwrap().to_str().unwrap();
    (!wrong.is_empty()).then(|| format!("{name}: {}", wrong.join("; ")))
}

/// The codes of the HTTP/1 answers in what came. Their bodies are short and hold no such line.
fn codes(bytes: &[u8]) -> Vec<&str> {
    let text = std::str::from_utf8(bytes).unwrap_or("");
    text.split("HTTP/1.").skip(1).filter_map(|rest| rest.split(' ').nth(1)).collect()
}

#[tokio::test]
async fn each_raw_request_is_answered_or_refused_as_its_file_says() {
    let files = corpus();
    assert!(files.len() >= 60, "{}", files.len());
    let mut wrong = Vec::new();
    for file in files {
        wrong.extend(judge_front(&file).await);
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn a_static_site_judges_each_raw_request_as_a_front_does() {
    let root = tempfile::tempdir().unwrap();
    for name in SITE {
        std::fs::write(root.path().join(name), name).unwrap();
    }
    let mut wrong = Vec::new();
    for file in corpus() {
        wrong.extend(judge_site(&file, root.path()).await);
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
