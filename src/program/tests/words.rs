//! The pure readers: a line of shell, the head of a script, a fixed port.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::program::script::{Head, understand};
use crate::program::shell::{Complex, read};
use crate::program::{Package, with_place, with_port};

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(Into::into).collect()
}

#[test]
fn one_command_is_read_without_a_shell() {
    for (text, expected) in [
        ("node server.js", vec!["node", "server.js"]),
        ("  node   'my server.js' \"a b\" c\\ d ", vec!["node", "my server.js", "a b", "c d"]),
        ("exec node x", vec!["node", "x"]),
        ("next start -p ${PORT:-3000}", vec!["next", "start", "-p", "{port}"]),
        ("gunicorn --bind \"$HOST:$PORT\" a:b", vec!["gunicorn", "--bind", "{host}:{port}", "a:b"]),
        ("node x '' --a=b", vec!["node", "x", "", "--a=b"]),
        ("node x '$HOME' a\\$b", vec!["node", "x", "$HOME", "a$b"]),
        ("node x \"a\\n\"", vec!["node", "x", "a\\n"]),
    ] {
        assert_eq!(read(text).unwrap().words, expected, "{text}");
    }
    let simple = read("NODE_ENV=production A='b c' node x D=e").unwrap();
    let pair = |(name, value): &(String, String)| format!("{name}={value}");
    let environment: Vec<_> = simple.environment.iter().map(pair).collect();
    assert_eq!(environment, ["NODE_ENV=production", "A=b c"]);
    assert_eq!(simple.words, ["node", "x", "D=e"]);
}

#[test]
fn what_only_a_shell_can_do_is_told_apart() {
    for (text, expected) in [
        ("a && b", Complex::Several),
        ("a | b", Complex::Several),
        ("a &", Complex::Several),
        ("a\nb", Complex::Several),
        ("a > log", Complex::Redirect),
        ("a 2>&1", Complex::Redirect),
        ("node $SCRIPT", Complex::Expansion("$SCRIPT".into())),
        ("node $(ls)", Complex::Expansion("a command in it".into())),
        ("node `ls`", Complex::Expansion("a command in it".into())),
        ("node *.js", Complex::Pattern),
        ("node ~/x", Complex::Pattern),
        ("node {a,b}.js", Complex::Pattern),
        ("cd api", Complex::Builtin("cd".into())),
        ("node 'x", Complex::Quote),
        ("A=b", Complex::Empty),
        ("", Complex::Empty),
    ] {
        assert_eq!(read(text), Err(expected), "{text}");
    }
}

#[test]
fn a_fixed_port_gives_way_to_the_one_that_is_given() {
    for (text, expected, port) in [
        ("next start -p 3001", "next start -p {port}", 3001),
        ("/x/bin/next start --port=8080", "/x/bin/next start --port={port}", 8080),
        ("next start -H 0.0.0.0 -p 80", "next start -H {host} -p {port}", 80),
        ("uvicorn a:b --host 0.0.0.0 --port 8000", "uvicorn a:b --host {host} --port {port}", 8000),
        ("python -m uvicorn a:b --port 1", "python -m uvicorn a:b --port {port}", 1),
        ("gunicorn -w 4 -b 0.0.0.0:8000 a:b", "gunicorn -w 4 -b {host}:{port} a:b", 8000),
        ("gunicorn --bind=:8000 a:b", "gunicorn --bind={host}:{port} a:b", 8000),
        ("puma -b tcp://0.0.0.0:9292", "puma -b tcp://{host}:{port}", 9292),
        // It refuses an address without a scheme.
        ("serve -s build -l 5005", "serve -s build -l tcp://{host}:{port}", 5005),
        ("serve -l tcp://0.0.0.0:80 x", "serve -l tcp://{host}:{port} x", 80),
        ("streamlit run a.py --server.port 8501", "streamlit run a.py --server.port {port}", 8501),
        ("java -jar a.jar --server.port=8088", "java -jar a.jar --server.port={port}", 8088),
        ("java -Dserver.port=8088 -jar a.jar", "java -Dserver.port={port} -jar a.jar", 8088),
        ("vite preview --host --port 4173", "vite preview --host --port {port}", 4173),
        ("php -S 0.0.0.0:8000 -t public", "php -S {host}:{port} -t public", 8000),
        ("python3 -m http.server 8000", "python3 -m http.server {port}", 8000),
        (
            "python manage.py runserver 0.0.0.0:8000",
            "python manage.py runserver {host}:{port}",
            8000,
        ),
    ] {
        let (changed, found) = with_port(&words(text)).expect(text);
        assert_eq!((changed.join(" "), found), (expected.into(), port), "{text}");
    }
    for text in [
        "node server.js -p 3000",
        "gunicorn -p /run/pid -w 4 a:b",
        "uvicorn a:b --port {port}",
        "gunicorn --bind unix:/run/x.sock a:b",
        "next start",
        "",
    ] {
        assert_eq!(with_port(&words(text)), None, "{text}");
    }
}

#[test]
fn a_fixed_address_gives_way_without_a_fixed_port() {
    for (text, expected) in [
        ("uvicorn a:b --host=0.0.0.0 --port {port}", "uvicorn a:b --host={host} --port {port}"),
        ("flask run --host 0.0.0.0", "flask run --host {host}"),
        ("daphne -b 0.0.0.0 -p {port} a:b", "daphne -b {host} -p {port} a:b"),
        ("next start -H 0.0.0.0", "next start -H {host}"),
        ("rails server -b 0.0.0.0", "rails server -b {host}"),
    ] {
        let (changed, found) = with_place(&words(text)).expect(text);
        assert_eq!((changed.join(" "), found), (expected.into(), None), "{text}");
    }
    assert_eq!(with_place(&words("node x --host 0.0.0.0")), None);
}

#[test]
fn a_port_for_where_none_is_set_is_read() {
    for (text, port) in [
        ("next start -p ${PORT:-8080}", Some(8080)),
        ("uvicorn a:b --port ${PORT-5000}", Some(5000)),
        ("node x ${PORT}", None),
        ("node x ${HOST:-1}", None),
    ] {
        assert_eq!(read(text).unwrap().port, port, "{text}");
    }
}

#[test]
fn the_first_lines_of_scripts_say_who_runs_them() {
    let script = |words: &[&str]| Head::Script(words.iter().map(|w| (*w).into()).collect());
    for (text, expected) in [
        ("#!/usr/bin/env node\n", script(&["node"])),
        ("#! /usr/bin/env -S node --no-warnings\n", script(&["node", "--no-warnings"])),
        ("#!/srv/.venv/bin/python3\nimport x", script(&["/srv/.venv/bin/python3"])),
        ("#!/bin/sh\necho\n", script(&["/bin/sh"])),
        ("#!/bin/sh\n'''exec' \"/a b/python\" \"$0\" \"$@\"\n' '''\n", script(&["/a b/python"])),
        ("#!/bin/sh\n'''exec' /a/python \"$0\" \"$@\"\n' '''\n", script(&["/a/python"])),
        ("console.log(1)", Head::Other),
        ("#!\n", Head::Other),
        ("", Head::Other),
    ] {
        assert_eq!(understand(text, Path::new("/f")), expected, "{text}");
    }
    let pnpm = "#!/bin/sh\nbasedir=$(dirname \"$0\")\n\nif [ -x \"$basedir/node\" ]; then\n  exec \
                \"$basedir/node\"  \"$basedir/../next/dist/bin/next\" \"$@\"\nelse\n  exec node  \
                \"$basedir/../next/dist/bin/next\" \"$@\"\nfi\n";
    let target = PathBuf::from("/app/node_modules/.bin/../next/dist/bin/next");
    let expected = Head::Wrapper { interpreter: "node".into(), target };
    assert_eq!(understand(pnpm, Path::new("/app/node_modules/.bin")), expected);
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_fail(text in "\\PC{0,80}", json in "[\\[\\]{}\",:a-z0-9 ]{0,80}") {
        let _ = read(&text);
        let _ = understand(&format!("#!{text}"), Path::new("/"));
        let _ = with_port(&words(&text));
        if let Ok(value) = serde_json::from_str(&json) {
            let _ = Package::from_json(&value);
        }
    }

    #[test]
    fn a_quoted_word_is_read_as_it_was(word in "[^'\0]{1,30}") {
        let simple = read(&format!("node '{word}'")).unwrap();
        prop_assert_eq!(simple.words, vec!["node".to_owned(), word]);
    }
}
