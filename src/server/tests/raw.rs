//! The corpus of raw requests in `tests/raw/`: `NAME.http` is sent as it is, byte for byte, and then the
//! sending side is closed. `NAME.expect` says what is to come of it:
//!
//! | line | meaning |
//! |---|---|
//! | `< 400` | the client gets this answer; in order, one line each |
//! | `< 4xx`, `< none`, `< any` | one of these codes; no HTTP/1 answer; no matter what |
//! | `> POST /path body` | the app has got this request; in order, one line each; `\r\n` is escaped |
//! | `> nothing` | the app has got no request |
//! | `+ name: value`, `- name` | the last request that it got has this header, has it not |

use super::app::App;
use super::front::Fronted;
use super::*;

use std::path::{Path, PathBuf};

/// Most bytes of a body that the front takes here; some of the corpus are above.
const LIMIT: &str = "1M";

fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/raw");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|kind| kind == "http")).collect();
    files.sort();
    files
}

/// What comes of one file that is not as expected.
async fn judge(file: &Path) -> Option<String> {
    let expected = std::fs::read_to_string(file.with_extension("expect")).unwrap();
    let lines = |mark: &str| -> Vec<String> {
        let of_mark = expected.lines().filter_map(|line| line.strip_prefix(mark));
        of_mark.map(|line| line.trim().to_owned()).collect()
    };
    let app = App::start().await;
    let server = Fronted::with(&app, wide(), |settings| {
        settings.limits.body = LIMIT.parse().unwrap();
    });
    let mut client = server.connect().await;
    client.send(std::fs::read(file).unwrap()).await;
    client.close_sending().await;
    let answer = client.rest_of_bytes().await;

    let mut wrong = Vec::new();
    let codes = codes(&answer);
    match lines("<").iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["any"] => {}
        ["none"] if codes.is_empty() => {}
        ["4xx"] if codes.len() == 1 && codes[0].starts_with('4') => {}
        ref expected if *expected == codes => {}
        ref expected => wrong.push(format!("answers {codes:?}, expected {expected:?}")),
    }
    let seen = app.seen();
    let got: Vec<_> = seen
        .iter()
        .map(|asked| {
            let body = String::from_utf8_lossy(&asked.body).replace("\r\n", "\\r\\n");
            format!("{} {body}", asked.line()).trim_end().to_owned()
        })
        .collect();
    let mut should = lines(">");
    should.retain(|line| line != "nothing");
    if got != should {
        wrong.push(format!("the app has got {got:?}, expected {should:?}"));
    }
    for (mark, there) in [("+", true), ("-", false)] {
        for line in lines(mark) {
            let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
            let values = seen.last().map(|asked| asked.all(name)).unwrap_or_default();
            if there && values != [value] || !there && !values.is_empty() {
                wrong.push(format!("`{mark} {line}`: {values:?}"));
            }
        }
    }
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
        wrong.extend(judge(&file).await);
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
