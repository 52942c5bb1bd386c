//! A corpus of lines as the programs write them.

use super::*;

/// Lines with the cause they have, and a part of the explanation.
const KNOWN: &[(&str, Cause, &str)] = &[
    // Writes into the sandbox: Node 20, Python 3.11, Ruby 3.1, PHP 8.2, Go, Java, Rust, dash.
    (
        "Error: EROFS: read-only file system, open '/srv/shop/uploads/cat.png'",
        Cause::ReadOnly,
        "writable = [\"/srv/shop/uploads\"]",
    ),
    (
        "[Error: EROFS: read-only file system, mkdir '/srv/shop/uploads'] {",
        Cause::ReadOnly,
        "writable = [\"/srv/shop/uploads\"]",
    ),
    (
        "    Error: EROFS: read-only file system, open '/srv/my shop/a b.txt'",
        Cause::ReadOnly,
        "may not write to /srv/my shop/a b.txt",
    ),
    (
        "OSError: [Errno 30] Read-only file system: '/srv/shop/cache/x.tmp'",
        Cause::ReadOnly,
        "writable = [\"/srv/shop/cache\"]",
    ),
    (
        "/srv/shop/app.rb:3:in `initialize': Read-only file system @ rb_sysopen - log/production.log (Errno::EROFS)",
        Cause::ReadOnly,
        "may not write to log/production.log",
    ),
    (
        "PHP Warning:  file_put_contents(/srv/shop/cache/x): Failed to open stream: Read-only file system in /srv/shop/index.php on line 3",
        Cause::ReadOnly,
        "writable = [\"/srv/shop/cache\"]",
    ),
    (
        "open /srv/shop/data/db.json: read-only file system",
        Cause::ReadOnly,
        "writable = [\"/srv/shop/data\"]",
    ),
    (
        "java.nio.file.FileSystemException: /srv/shop/tmp/a: Read-only file system",
        Cause::ReadOnly,
        "writable = [\"/srv/shop/tmp\"]",
    ),
    (
        "Error: Os { code: 30, kind: ReadOnlyFilesystem, message: \"Read-only file system\" }",
        Cause::ReadOnly,
        "writable = ",
    ),
    (
        "sh: 1: cannot create /srv/shop/pid: Read-only file system",
        Cause::ReadOnly,
        "writable = [\"/srv/shop\"]",
    ),
    // Rights.
    (
        "Error: EACCES: permission denied, open '/srv/shop/secret.json'",
        Cause::Permission,
        "no right to /srv/shop/secret.json",
    ),
    (
        "PermissionError: [Errno 13] Permission denied: '/srv/shop/secret.json'",
        Cause::Permission,
        "no right to /srv/shop/secret.json",
    ),
    (
        "/srv/shop/app.rb:2:in `read': Permission denied @ rb_sysopen - /srv/shop/secret (Errno::EACCES)",
        Cause::Permission,
        "no right to /srv/shop/secret:",
    ),
    (
        "PHP Warning:  fopen(/srv/shop/secret): Failed to open stream: Permission denied in /srv/shop/index.php on line 2",
        Cause::Permission,
        "no right to /srv/shop/secret:",
    ),
    // The runtime.
    (
        "shop@1.service: Failed at step EXEC spawning /home/ann/.nvm/versions/node/v20.9.0/bin/node: No such file or directory",
        Cause::Runtime,
        "/home/ann/.nvm/versions/node/v20.9.0/bin/node is not there",
    ),
    (
        "shop@1.service: Failed to locate executable /home/ann/.nvm/versions/node/v20.9.0/bin/node: No such file or directory",
        Cause::Runtime,
        "v20.9.0/bin/node is not there",
    ),
    (
        "shop@1.service: Main process exited, code=exited, status=203/EXEC",
        Cause::Runtime,
        "install-units",
    ),
    (
        "cannot start /home/ann/.volta/bin/node: No such file or directory (os error 2)",
        Cause::Runtime,
        "/home/ann/.volta/bin/node is not there",
    ),
    (
        "/usr/bin/env: \u{2018}node\u{2019}: No such file or directory",
        Cause::Runtime,
        "install-units",
    ),
    ("env: node: No such file or directory", Cause::Runtime, "install-units"),
    ("sh: 1: node: not found", Cause::Runtime, "install-units"),
    ("bash: line 1: yarn: command not found", Cause::Runtime, "install-units"),
    ("Error: spawn ffmpeg ENOENT", Cause::Runtime, "the app runs ffmpeg"),
    (
        "exec: \"convert\": executable file not found in $PATH",
        Cause::Runtime,
        "the app runs convert",
    ),
    // The port.
    ("Error: listen EADDRINUSE: address already in use :::3000", Cause::Port, "$PORT"),
    ("Error: listen EACCES: permission denied 0.0.0.0:80", Cause::Port, "$PORT"),
    ("OSError: [Errno 98] Address already in use", Cause::Port, "$PORT"),
    (
        "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use",
        Cause::Port,
        "{port}",
    ),
    (
        "[2026-02-12 14:50:00 +0000] [7] [ERROR] Connection in use: ('127.0.0.1', 8000)",
        Cause::Port,
        "$PORT",
    ),
    (
        "/usr/lib/ruby/3.1.0/socket.rb:201:in `bind': Address already in use - bind(2) for 127.0.0.1:3000 (Errno::EADDRINUSE)",
        Cause::Port,
        "$PORT",
    ),
    ("Failed to listen on 127.0.0.1:8000 (reason: Address already in use)", Cause::Port, "$PORT"),
    ("listen tcp :8080: bind: address already in use", Cause::Port, "$PORT"),
    // What is not installed.
    ("Error: Cannot find module 'express'", Cause::Dependency, "npm ci"),
    (
        "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'express' imported from /srv/shop/index.mjs",
        Cause::Dependency,
        "the package express",
    ),
    ("Error: Cannot find module '/srv/shop/dist/index.js'", Cause::Entry, "npm run build"),
    ("ModuleNotFoundError: No module named 'flask'", Cause::Dependency, ".venv/bin/python"),
    ("/usr/bin/python3: No module named uvicorn", Cause::Dependency, "no module uvicorn"),
    (
        "<internal:/usr/lib/ruby/rubygems/core_ext/kernel_require.rb>:85:in `require': cannot load such file -- sinatra (LoadError)",
        Cause::Dependency,
        "bundle install",
    ),
    (
        "Could not find rack-2.2.3 in any of the sources (Bundler::GemNotFound)",
        Cause::Dependency,
        "bundle install",
    ),
    (
        "PHP Fatal error:  Uncaught Error: Failed opening required '/srv/shop/vendor/autoload.php' (include_path='.:/usr/share/php') in /srv/shop/index.php:3",
        Cause::Dependency,
        "composer install",
    ),
    // Memory.
    (
        "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
        Cause::Memory,
        "--max-old-space-size",
    ),
    (
        "FATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of memory",
        Cause::Memory,
        "limits.memory",
    ),
    (
        "shop@1.service: A process of this unit has been killed by the OOM killer.",
        Cause::Memory,
        "limits.memory",
    ),
    ("shop@1.service: Failed with result 'oom-kill'.", Cause::Memory, "limits.memory"),
    ("MemoryError", Cause::Memory, "limits.memory"),
    (
        "PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried to allocate 20480 bytes) in /srv/shop/index.php on line 4",
        Cause::Memory,
        "memory_limit",
    ),
    ("java.lang.OutOfMemoryError: Java heap space", Cause::Memory, "-Xmx"),
    // The network.
    ("Error: connect ECONNREFUSED 127.0.0.1:5432", Cause::Network, "network = \"host\""),
    ("Error: getaddrinfo EAI_AGAIN db.example.org", Cause::Network, "network = \"host\""),
    (
        "ConnectionRefusedError: [Errno 111] Connection refused",
        Cause::Network,
        "network = \"host\"",
    ),
    ("OSError: [Errno 101] Network is unreachable", Cause::Network, "network = \"host\""),
    (
        "socket.gaierror: [Errno -3] Temporary failure in name resolution",
        Cause::Network,
        "network = \"host\"",
    ),
    (
        "Connection refused - connect(2) for \"127.0.0.1\" port 6379 (Errno::ECONNREFUSED)",
        Cause::Network,
        "network = \"host\"",
    ),
    (
        "PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000] [2002] Connection refused in /srv/shop/index.php:2",
        Cause::Network,
        "network = \"host\"",
    ),
    ("dial tcp 127.0.0.1:5432: connect: connection refused", Cause::Network, "network = \"host\""),
    // SQLite.
    ("SqliteError: attempt to write a readonly database", Cause::Database, "writable"),
    (
        "[Error: SQLITE_CANTOPEN: unable to open database file] { errno: 14, code: 'SQLITE_CANTOPEN' }",
        Cause::Database,
        "that folder",
    ),
    ("sqlite3.OperationalError: unable to open database file", Cause::Database, "that folder"),
    (
        "django.db.utils.OperationalError: attempt to write a readonly database",
        Cause::Database,
        "that folder",
    ),
    (
        "SQLite3::ReadOnlyException: attempt to write a readonly database",
        Cause::Database,
        "that folder",
    ),
    (
        "PDOException: SQLSTATE[HY000] [14] unable to open database file",
        Cause::Database,
        "that folder",
    ),
    // What systemd cannot set up.
    (
        "shop@1.service: Failed to set up mount namespacing: /run/systemd/unit-root/srv/shop/uploads: No such file or directory",
        Cause::Namespace,
        "opens /srv/shop/uploads to the app",
    ),
    (
        "shop@1.service: Failed at step NAMESPACE spawning /usr/bin/romuo-server: No such file or directory",
        Cause::Namespace,
        "`writable`",
    ),
    (
        "shop@1.service: Main process exited, code=exited, status=226/NAMESPACE",
        Cause::Namespace,
        "install-units",
    ),
    (
        "shop@1.service: Changing to the requested working directory failed: No such file or directory",
        Cause::Directory,
        "`directory`",
    ),
    (
        "shop@1.service: Main process exited, code=exited, status=200/CHDIR",
        Cause::Directory,
        "`directory`",
    ),
    (
        "shop@1.service: Failed at step USER spawning /usr/bin/romuo-server: No such process",
        Cause::User,
        "`user`",
    ),
    // Files.
    ("Error: EMFILE: too many open files, open '/srv/shop/a.txt'", Cause::Files, "LimitNOFILE"),
    ("OSError: [Errno 24] Too many open files: '/srv/shop/a.txt'", Cause::Files, "LimitNOFILE"),
    (
        "Error: ENOSPC: System limit for number of file watchers reached, watch '/srv/shop/src'",
        Cause::Files,
        "watcher",
    ),
];

/// Lines that mean nothing of the kind.
const UNKNOWN: &[&str] = &[
    "",
    "listening on 127.0.0.1:41234",
    "GET /health 200 1 ms",
    "    at Object.openSync (node:fs:601:3)",
    "  path: '/srv/shop/uploads/cat.png'",
    "GET /missing 404: not found",
    "TypeError: Cannot read properties of undefined (reading 'id')",
    "Error: ENOENT: no such file or directory, open '/srv/shop/config.json'",
    "FileNotFoundError: [Errno 2] No such file or directory: 'config.json'",
    "shop@1.service: Main process exited, code=exited, status=1/FAILURE",
    "instance 1 is ready",
    "''",
    "@ - (",
];

#[test]
fn each_known_line_has_its_cause_and_a_hint() {
    for (line, cause, part) in KNOWN {
        let hint = explain(line, Network::None).unwrap_or_else(|| panic!("unknown: {line}"));
        assert_eq!(hint.cause, *cause, "{line}");
        let said = hint.to_string();
        assert!(said.contains(part), "{part:?} is not in {said:?}, of {line:?}");
        assert!(!said.contains("  ") && !said.ends_with('.'), "{said:?}");
        assert_eq!(hint.line, line.trim());
    }
}

#[test]
fn what_is_not_known_is_not_explained() {
    for line in UNKNOWN {
        assert_eq!(explain(line, Network::None), None, "{line}");
    }
}

#[test]
fn an_unreachable_network_is_explained_only_where_there_is_none() {
    let line = "Error: connect ECONNREFUSED 127.0.0.1:5432";
    assert_eq!(explain(line, Network::Host), None);
    let none = explain(line, Network::None).unwrap();
    assert!(none.what.contains("has no network"), "{none}");
    let unknown = explain(line, Network::Unknown).unwrap();
    assert!(unknown.what.contains("with network = \"none\""), "{unknown}");
}

#[test]
fn each_cause_is_told_once_with_its_newest_line_that_names_a_path() {
    let mut hints = Hints::default();
    let first = hints.add("Error: EROFS: read-only file system, open '/srv/a/1'", Network::None);
    assert_eq!(first, Some((Cause::ReadOnly, true)));
    let again = hints.add("Error: EROFS: read-only file system, open '/srv/b/2'", Network::None);
    assert_eq!(again, Some((Cause::ReadOnly, false)));
    let bare = hints.add("  code: 'EROFS',", Network::None);
    assert_eq!(bare, Some((Cause::ReadOnly, false)));
    assert_eq!(hints.add("nothing to see", Network::None), None);
    assert_eq!(hints.add("MemoryError", Network::None), Some((Cause::Memory, true)));
    let hints = hints.into_vec();
    let causes: Vec<_> = hints.iter().map(|hint| hint.cause).collect();
    assert_eq!(causes, [Cause::ReadOnly, Cause::Memory]);
    assert!(hints[0].what.contains("/srv/b/2"), "{}", hints[0]);
}

proptest::proptest! {
    #[test]
    fn no_line_is_too_strange(line in "(\\PC|EROFS|EACCES|'| @ | - |No module named |spawn |ENOENT|\u{2018}){0,20}") {
        let _ = explain(&line, Network::Unknown);
    }
}
