use super::*;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::super::site::Site;
use crate::config::StaticSite;

const PAGE: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A site with something of everything, and a folder beside it that is nobody's business.
fn serve(folder: &Path, fallback: Option<&str>) -> Server {
    let root = folder.join("site");
    write(&root, "index.html", "<h1>home</h1>");
    write(&root, "app.js", "0123456789");
    write(&root, "docs/index.html", "docs");
    write(&root, "style.css", "plain");
    write(&root, "style.css.br", "brotli");
    write(&root, "style.css.gz", "gzip");
    write(&root, ".env", "SECRET=1");
    write(&root, ".git/config", "secret");
    write(&root, ".well-known/acme-challenge/token", "token");
    write(folder, "outside/secret.txt", "secret");
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), pipe, 0o644.into(), 0).unwrap();
    symlink("../outside", root.join("out")).unwrap();
    symlink(folder.join("outside/secret.txt"), root.join("out.txt")).unwrap();
    symlink("app.js", root.join("inside.js")).unwrap();
    let site =
        Site::new(&StaticSite { root, fallback: fallback.map(str::to_owned) }, 4 << 10).unwrap();
    let router = Router::new().fallback(async move |request| site.answer(request).await);
    Server::start(router, wide(), NEVER)
}

#[tokio::test]
async fn files_have_their_type_an_etag_and_are_asked_for_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), None);
    let mut client = server.connect().await;
    for (path, kind, body) in [
        ("/", "text/html; charset=utf-8", "<h1>home</h1>"),
        ("/app.js", "text/javascript; charset=utf-8", "0123456789"),
        ("/docs/", "text/html; charset=utf-8", "docs"),
        ("/inside.js", "text/javascript; charset=utf-8", "0123456789"),
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.code(), 200, "{path}");
        assert_eq!(answer.body, body);
        assert_eq!(answer.header("content-type"), Some(kind));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("etag").unwrap().starts_with('"'));
    }
    let answer = client.get("/docs").await;
    assert_eq!((answer.code(), answer.header("location")), (307, Some("/docs/")));
    assert_eq!(client.ask("HEAD", "/app.js", "").await.header("content-length"), Some("10"));
}

#[tokio::test]
async fn an_unchanged_file_is_304_and_a_changed_one_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), None);
    let mut client = server.connect().await;
    let etag = client.get("/app.js").await.header("etag").unwrap().to_owned();
    let condition = format!("If-None-Match: {etag}\r\n");
    let answer = client.ask("GET", "/app.js", &condition).await;
    assert_eq!((answer.code(), answer.header("etag")), (304, Some(etag.as_str())));
    write(&folder.path().join("site"), "app.js", "changed content");
    let answer = client.ask("GET", "/app.js", &condition).await;
    assert_eq!((answer.code(), answer.body.as_str()), (200, "changed content"));
}

#[tokio::test]
async fn ranges_are_served_and_impossible_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), None);
    let mut client = server.connect().await;
    let answer = client.ask("GET", "/app.js", "Range: bytes=2-4\r\n").await;
    assert_eq!((answer.code(), answer.body.as_str()), (206, "234"));
    assert_eq!(answer.header("content-range"), Some("bytes 2-4/10"));
    let answer = client.ask("GET", "/app.js", "Range: bytes=90-\r\n").await;
    assert_eq!((answer.code(), answer.header("content-range")), (416, Some("bytes */10")));
}

#[tokio::test]
async fn a_compressed_twin_is_sent_to_who_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), None);
    let mut client = server.connect().await;
    for (accept, encoding, body) in [
        ("", None, "plain"),
        ("Accept-Encoding: gzip\r\n", Some("gzip"), "gzip"),
        ("Accept-Encoding: gzip, br\r\n", Some("br"), "brotli"),
    ] {
        let answer = client.ask("GET", "/style.css", accept).await;
        assert_eq!((answer.header("content-encoding"), answer.body.as_str()), (encoding, body));
        assert_eq!(answer.header("content-type"), Some("text/css; charset=utf-8"));
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
    }
}

#[tokio::test]
async fn nothing_hidden_and_nothing_outside_of_the_folder_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), None);
    for path in [
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/docs/../.env",
        "/../outside/secret.txt",
        "/..%2foutside/secret.txt",
        "/%2e%2e/outside/secret.txt",
        "/pipe",
        "/out/secret.txt",
        "/out.txt",
        "/app.js%00.html",
        "//etc/passwd",
    ] {
        let answer = server.connect().await.get(path).await;
        assert_eq!((answer.code(), answer.body.as_str()), (404, "404 Not Found\n"), "{path}");
    }
    let answer = server.connect().await.get("/.well-known/acme-challenge/token").await;
    assert_eq!(answer.body, "token");
}

#[tokio::test]
async fn pages_that_are_no_files_get_the_fallback_and_missing_scripts_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), Some("index.html"));
    let mut client = server.connect().await;
    let answer = client.ask("GET", "/orders/42", PAGE).await;
    assert_eq!((answer.code(), answer.body.as_str()), (200, "<h1>home</h1>"));
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(client.ask("HEAD", "/orders/42", PAGE).await.code(), 200);
    assert_eq!(client.ask("GET", "/gone.js", "Accept: */*\r\n").await.code(), 404);
    // Neither do hidden files turn into pages that look as if they were there.
    assert_ne!(client.ask("GET", "/.env", PAGE).await.body, "SECRET=1");
}

#[tokio::test]
async fn other_methods_are_refused_only_after_the_body_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), None);
    let mut client = server.connect().await;
    client.send("POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n").await;
    client.send("x".repeat(200_000)).await;
    let answer = client.answer().await;
    assert_eq!((answer.code(), answer.header("allow")), (405, Some("GET, HEAD")));
    // The connection goes on.
    assert_eq!(client.get("/app.js").await.code(), 200);
}

#[tokio::test]
async fn a_body_without_end_is_refused_and_the_client_can_read_why() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), None);
    let mut client = server.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n").await;
    // It looks for an answer only when it has sent everything.
    client.send("x".repeat(20_000_000)).await;
    let answer = client.answer().await;
    assert_eq!((answer.code(), answer.is_last()), (413, true));
    assert_eq!(client.rest().await, "");
}
