//! `scripts/deploy.sh`: by hand, over a pipe as from CI, and as a hook of git.

use std::fs;
use std::path::Path;

use crate::machine::{Machine, Ran};

/// An app that says which version it is.
const SERVER: &str = "const http = require('http')
http.createServer((request, response) => response.end('one')).listen(process.env.PORT)
";

const CONFIG: &str = "name = \"shop\"\ncommand = [\"node\", \"server.js\"]\n\
     listen = [\"127.0.0.1:3000\"]\n[deploy]\nbuild = \"echo built by $(id -un)\"\nwatch = \"0s\"\n";

/// The script, in the folder of the app.
const SCRIPT: &str = "/srv/shop/scripts/deploy.sh";

/// A server with a repository to push to, and the app in a clone of it, both of one user; and the folder
/// of somebody who works on the app.
struct Server(Machine);

impl Server {
    fn boot() -> Self {
        let server = Self(Machine::boot());
        let write = |file: &str, text: &str| server.write(file, text);
        write("server.js", SERVER);
        write("romuo.toml", CONFIG);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/deploy.sh");
        write("scripts/deploy.sh", &fs::read_to_string(script).unwrap());
        server.sh("chmod 755 scripts/deploy.sh && git init --quiet -b main").ok();
        server.commit("the app").ok();
        server.sh("git clone --quiet --bare . /srv/shop.git").ok();
        server.sh("git clone --quiet /srv/shop.git /srv/shop").ok();
        server.sh("git remote add origin /srv/shop.git && chown -R daemon: /srv/shop").ok();
        // Root pushes, and the user of the clone fetches.
        server.sh("git config --system --add safe.directory /srv/shop.git").ok();
        server.0.run(&["env", "--chdir=/srv/shop", "romuoctl", "install-units", "--now"]).ok();
        server
    }

    /// A file of whoever works on the app.
    fn write(&self, file: &str, text: &str) {
        self.0.sandbox.write(format!("/home/al/shop/{file}"), text).unwrap();
    }

    /// Runs a line there.
    fn sh(&self, line: &str) -> Ran {
        self.0.run(&["env", "--chdir=/home/al/shop", "sh", "-c", line])
    }

    fn commit(&self, what: &str) -> Ran {
        let who = "-c user.name=al -c user.email=al@example.org";
        self.sh(&format!("git add . && git {who} commit --quiet -m '{what}'"))
    }

    /// Commits a version that says this, with more code, and pushes it; what the push said.
    fn push(&self, version: &str, more: &str) -> String {
        self.write(
            "server.js",
            &format!("{}{more}", SERVER.replace("'one'", &format!("'{version}'"))),
        );
        self.commit(version).ok();
        self.sh("git push origin main").exits(0).stderr
    }

    fn says(&self) -> String {
        self.0.run(&["curl", "-sS", "http://127.0.0.1:3000/"]).ok()
    }

    /// Runs the script in a folder that is not that of the app.
    fn script(&self, arguments: &[&str]) -> Ran {
        self.0.run(&[&[SCRIPT, "/srv/shop"], arguments].concat())
    }
}

#[test]
fn the_script_deploys_by_hand_and_passes_the_exit_code_on() {
    let server = Server::boot();
    let edit = |text: &str| {
        server.0.sandbox.write("/srv/shop/server.js", SERVER.replace("'one'", text)).unwrap();
    };
    edit("'two'");
    let ran = server.0.run(&["env", "--chdir=/srv/shop", SCRIPT]).exits(0);
    println!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(server.says(), "two");
    for said in ["deploy: in /srv/shop: romuoctl deploy\n", "deploy: done"] {
        assert!(ran.stdout.contains(said), "{}", ran.stdout);
    }
    for step in ["check ", "build ", "stage ", "rehearse ", "roll ", "built by daemon"] {
        assert!(ran.stderr.contains(step), "{step}: {}", ran.stderr);
    }
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains('\x1b'), "plain text for a pipe");

    // Nothing was touched.
    edit("nothing");
    let ran = server.script(&["--dry-run"]).exits(0);
    assert!(ran.stdout.contains("goes back to release"), "{}", ran.stdout);
    edit("'three'); process.exit(7");
    let ran = server.script(&[]).exits(1);
    assert!(ran.stderr.contains("deploy: failed (exit code 1)"), "{}", ran.stderr);
    assert_eq!(server.says(), "two");

    // It was rolled back.
    edit("'four')).listen(process.env.PORT); if (process.env.ROMUO_INSTANCE === '2') ((() => _");
    let ran = server.script(&["-q"]).exits(4);
    assert!(ran.stderr.contains("deploy: the release was not well"), "{}", ran.stderr);
    assert_eq!(server.says(), "two");

    server.0.sandbox.write("/srv/shop/romuo.toml", "nmae = 1\n").unwrap();
    server.script(&[]).exits(2);
    server.0.run(&["rm", "/srv/shop/romuo.toml"]).ok();
    let ran = server.script(&[]).exits(2);
    assert!(ran.stderr.contains("romuoctl init"), "{}", ran.stderr);
    assert_eq!(server.says(), "two");
}

#[test]
fn a_push_deploys_what_was_pushed() {
    let server = Server::boot();
    let hook = "#!/bin/sh\nexec /srv/shop/scripts/deploy.sh /srv/shop\n";
    server.0.sandbox.write("/srv/shop.git/hooks/post-receive", hook).unwrap();
    server.0.run(&["chmod", "755", "/srv/shop.git/hooks/post-receive"]).ok();

    let said = server.push("two", "");
    println!("{said}");
    assert!(said.contains("remote: deploy: done"), "{said}\n{}", server.0.journal());
    assert_eq!(server.says(), "two");
    let head = server.sh("git rev-parse --short=7 HEAD").ok();
    let releases = server.0.run(&["romuoctl", "--app", "shop", "releases"]).ok();
    assert!(releases.contains(head.trim()), "{releases}");

    let said = server.push("three", "throw new Error('no')");
    println!("{said}");
    assert!(said.contains("remote: deploy: failed (exit code 1)"), "{said}");
    assert_eq!(server.says(), "two");

    // Another branch is nobody's business, and so is one that goes.
    for line in ["git push origin HEAD:refs/heads/other", "git push origin :other"] {
        let said = server.sh(line).exits(0).stderr;
        assert!(said.contains("nothing was pushed to main: nothing to do"), "{said}");
    }
    server
        .0
        .run(&["git", "-C", "/srv/shop.git", "config", "receive.denyDeleteCurrent", "ignore"])
        .ok();
    let said = server.sh("git push origin :main").exits(0).stderr;
    assert!(said.contains("main was deleted: nothing to do"), "{said}");
    assert_eq!(server.says(), "two");
}
