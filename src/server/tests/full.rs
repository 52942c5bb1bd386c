//! A site with something of everything that may lie in a folder.

use super::*;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, mknodat};

use super::super::site::Site;
use crate::config::StaticSite;

/// In every file that is not to be served.
pub(super) const SECRET: &str = "SECRET";

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A site with something of everything, and a folder beside it that is nobody's business.
pub(super) fn fill(folder: &Path) -> StaticSite {
    let root = folder.join("site");
    for (name, text) in [
        ("index.html", "home"),
        ("app.js", "0123456789"),
        ("empty", ""),
        ("aä", "umlaut"),
        ("back\\slash", "slash"),
        ("docs/index.html", "docs"),
        ("example.org/index.html", "folder"),
        ("\\example.org/index.html", "folder"),
        (".well-known/token", "token"),
        ("style.css", "plain"),
        ("style.css.br", "brotli"),
        ("style.css.gz", "gzip"),
        ("twin-out.css", "plain"),
        ("twin-hidden.css", "plain"),
        ("twin-folder.css", "plain"),
        ("twin-folder.css.br/x", "x"),
        ("twin-pipe.css", "plain"),
        ("twin-loop.css", "plain"),
        ("hidden-of-twin.css", "plain"),
        ("hidden-of-twin.css.gz", "gzip"),
        ("only.css.gz", "gzip"),
        ("folder-index/index.html/x", "x"),
        (&"y".repeat(253), "long"),
    ] {
        write(&root.join(name), text);
    }
    for name in [
        "site/.hidden.txt",
        "site/.hidden.txt.br",
        "site/.hidden/secret.txt",
        "site/.well-known/.secret.txt",
        "site/.well-knownx/secret.txt",
        "site/..dots",
        "outside/secret.txt",
        "outside/index.html",
        // Begins as the folder of the site does.
        "sites/secret.txt",
    ] {
        write(&folder.join(name), SECRET);
    }
    let absolute = folder.join("outside/secret.txt");
    for (name, to) in [
        ("inside.js", "app.js"),
        ("self", "."),
        ("well", ".well-known"),
        ("link", ".hidden"),
        ("link.txt", ".hidden/secret.txt"),
        ("link.txt.br", ".hidden/secret.txt"),
        ("docs/link", "../.hidden"),
        ("chain.txt", "link.txt"),
        ("chain", "docs/link"),
        (".well-known/link.txt", ".secret.txt"),
        ("dots.txt", "..dots"),
        ("out", "../outside"),
        ("out.txt", "../outside/secret.txt"),
        ("absolute.txt", absolute.to_str().unwrap()),
        ("up", ".."),
        ("beside", "../sites"),
        ("loop", "loop"),
        ("gone", "nowhere"),
        ("null", "/dev/null"),
        ("twin-out.css.br", "../outside/secret.txt"),
        ("twin-hidden.css.br", ".hidden/secret.txt"),
        ("twin-hidden.css.gz", "link.txt"),
        ("twin-loop.css.gz", "twin-loop.css.gz"),
        ("hidden-of-twin.css.br", ".hidden.txt"),
    ] {
        symlink(to, root.join(name)).unwrap();
    }
    for (name, to) in
        [("linked-index", "../../outside/index.html"), ("hidden-index", "../.hidden/secret.txt")]
    {
        fs::create_dir(root.join(name)).unwrap();
        symlink(to, root.join(name).join("index.html")).unwrap();
    }
    for name in ["pipe", "twin-pipe.css.gz"] {
        mknodat(CWD, root.join(name), FileType::Fifo, 0o644.into(), 0).unwrap();
    }
    drop(std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap());
    StaticSite { root, fallback: None }
}

pub(super) fn serve(site: &StaticSite) -> Server {
    let site = Site::new(site, 4 << 10).unwrap();
    let router = Router::new().fallback(async move |request| site.answer(request).await);
    Server::start(router, wide(), NEVER)
}
