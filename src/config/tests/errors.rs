//! What a person reads about a file that cannot be used.

// snapbox writes its snapshots with hashes.
#![allow(clippy::needless_raw_string_hashes)]

use std::fmt::Write as _;
use std::path::Path;

use miette::{GraphicalReportHandler, GraphicalTheme};
use snapbox::{assert_data_eq, str};

use crate::config::{ConfigError, load, parse};

/// The error of a file that says `text`.
fn error(text: &str) -> ConfigError {
    parse(text, Path::new("romuo.toml")).unwrap_err()
}

/// Each problem of a file that says `text`: its sentence, and its hint in the next line.
fn told(text: &str) -> String {
    let mut told = String::new();
    for problem in error(text).problems() {
        writeln!(told, "{problem}").unwrap();
        if let Some(hint) = problem.hint() {
            writeln!(told, "  {hint}").unwrap();
        }
    }
    told
}

#[test]
fn a_person_sees_the_line_the_key_and_the_hint() {
    let error = error("name = \"shop\"\n\n[limits]\nmemory = \"300MB\"\nmax_restart = 3\n");
    let mut told = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut told, &error)
        .unwrap();
    assert_data_eq!(
        told,
        str![[r#"
  × romuo.toml:4:10: `limits.memory` is "300MB", not a size above 0 such as "300M" or "1G" (K, M,
  │ G, T; base 1024) (and 1 more problem)
   ╭─[romuo.toml:4:10]
 3 │ [limits]
 4 │ memory = "300MB"
   ·          ───┬───
   ·             ╰── here
 5 │ max_restart = 3
   ╰────
  help: write "300M"

Error: 
  × romuo.toml:5:1: `limits.max_restart` is not known
   ╭─[romuo.toml:5:1]
 4 │ memory = "300MB"
 5 │ max_restart = 3
   · ─────┬─────
   ·      ╰── here
   ╰────
  help: did you mean `max_restarts`?

"#]]
    );
}

#[test]
fn a_program_gets_the_place_and_the_key() {
    let error = error("name = \"shop\"\n\n[limits]\nmemory = \"3M\"\n");
    assert_eq!((error.line(), error.column()), (Some(4), Some(10)));
    assert_eq!(error.key(), Some("limits.memory"));
    assert!(error.to_string().starts_with("romuo.toml:4:10: "), "{error}");
}

#[test]
fn a_column_counts_characters() {
    let error = error("limits = { \"µß\" = 1, memory = 1 }\n");
    let places: Vec<_> = error.problems().map(|p| (p.line(), p.column())).collect();
    assert_eq!(places, [(1, 12)]);
    let error = self::error("static = { root = \"äöü\", fallback = \"../x\" }\n");
    assert_eq!((error.line(), error.column()), (Some(1), Some(37)));
}

#[test]
fn an_unknown_key_brings_the_nearest_one() {
    assert_data_eq!(
        told(
            r#"instnces = 2
nmae = "x"
[limit]
memory = "1G"
[limits]
Max-Restarts = 1
[health]
intervall = "1s"
"#
        ),
        str![[r#"
romuo.toml:1:1: `instnces` is not known (and 4 more problems)
  did you mean `instances`?
romuo.toml:2:1: `nmae` is not known
  did you mean `name`?
romuo.toml:3:2: `limit` is not known
  did you mean `limits`?
romuo.toml:6:1: `limits.Max-Restarts` is not known
  did you mean `max_restarts`?
romuo.toml:8:1: `health.intervall` is not known
  did you mean `interval`?

"#]]
    );
}

#[test]
fn a_key_in_the_wrong_table_brings_the_right_one() {
    assert_data_eq!(
        told(
            r#"memory = "1G"
root = "x"
[health]
user = "me"
linger = "1s"
"#
        ),
        str![[r#"
romuo.toml:1:1: `memory` is not known (and 3 more problems)
  it belongs to [limits]
romuo.toml:2:1: `root` is not known
  it belongs to [static]
romuo.toml:4:1: `health.user` is not known
  it belongs to the top level: write it above the first [table]
romuo.toml:5:1: `health.linger` is not known
  it belongs to [reload]

"#]]
    );
}

#[test]
fn a_key_that_is_like_no_other_brings_the_list() {
    assert_data_eq!(
        told(
            r#"zzz = 1
[reload]
zzz = 1
"#
        ),
        str![[r#"
romuo.toml:1:1: `zzz` is not known (and 1 more problem)
  known here: command, directory, env, env_file, environment, instances, listen, mode, name, network, readable, user, version, writable, front, health, limits, reload, static
romuo.toml:3:1: `reload.zzz` is not known
  known here: linger, method

"#]]
    );
}

#[test]
fn keys_of_versions_to_come_are_not_known() {
    assert_data_eq!(
        told(
            r#"[[proxy]]
to = "127.0.0.1:8080"
[reload]
max_unavailable = 1
surge = 0
"#
        ),
        str![[r#"
romuo.toml:1:3: `proxy` is not known (and 2 more problems)
  known here: command, directory, env, env_file, environment, instances, listen, mode, name, network, readable, user, version, writable, front, health, limits, reload, static
romuo.toml:4:1: `reload.max_unavailable` is not known
  known here: linger, method
romuo.toml:5:1: `reload.surge` is not known
  known here: linger, method

"#]]
    );
}

#[test]
fn keys_of_a_program_are_of_no_use_without_one() {
    assert_data_eq!(
        told(
            r#"mode = "front"
writable = ["uploads"]
[environment]
A = "1"
[reload]
method = "swap"
"#
        ),
        str![[r#"
romuo.toml:1:8: `mode` is of no use without `command` (and 3 more problems)
  say what the app is: command = ["node", "server.js"]
romuo.toml:2:12: `writable` is of no use without `command`
  say what the app is: command = ["node", "server.js"]
romuo.toml:3:1: `environment` is of no use without `command`
  say what the app is: command = ["node", "server.js"]
romuo.toml:6:10: `reload.method` is "swap", not "restart"
  only a front can swap: it needs `command` and `mode = "front"`

"#]]
    );
    assert_data_eq!(
        told(
            r#"command = ["node", "app.js"]
mode = "inherit"
writable = ["/"]
[static]
root = "public"
[reload]
method = "swap"
"#
        ),
        str![[r#"
romuo.toml:3:13: `writable[0]` is "/", not a path below the root (and 2 more problems)
romuo.toml:5:8: `static.root` is of no use beside `command`
  the app serves its files itself: leave [static] out
romuo.toml:7:10: `reload.method` is "swap", not "restart"
  only a front can swap: it needs `command` and `mode = "front"`

"#]]
    );
}

#[test]
fn variables_that_somebody_else_sets_are_refused_and_their_values_not_shown() {
    assert_data_eq!(
        told(
            r#"command = "app"
[environment]
PORT = "3000"
LISTEN_FDS = 1
"a b" = "secret"
FINE = true
"#
        ),
        str![[r#"
romuo.toml:3:8: `environment.PORT` is set by the front (and 2 more problems)
  each instance gets a port of its own; where clients connect is listen = ["127.0.0.1:3000"]
romuo.toml:4:14: `environment.LISTEN_FDS` is set by systemd
  leave it out
romuo.toml:5:9: `environment.a b` is no name of a variable
  names of variables are letters, digits and `_`, no digit first

"#]]
    );
    let text = "command = \"app\"\n[environment]\nTOKEN = \"secret\"";
    let settings = parse(text, Path::new("/srv/romuo.toml")).unwrap();
    assert!(!format!("{settings:?}").contains("secret"));
}

#[test]
fn a_key_in_quotes_is_not_taken_for_its_table() {
    assert_data_eq!(
        told("\"limits.memory\" = \"1G\"\n\"\\u001b[31m\" = 1\n"),
        str![[r#"
romuo.toml:1:1: `limits.memory` is not known (and 1 more problem)
  known here: command, directory, env, env_file, environment, instances, listen, mode, name, network, readable, user, version, writable, front, health, limits, reload, static
romuo.toml:2:1: `�[31m` is not known
  known here: command, directory, env, env_file, environment, instances, listen, mode, name, network, readable, user, version, writable, front, health, limits, reload, static

"#]]
    );
}

#[test]
fn wrong_types_say_what_is_allowed() {
    assert_data_eq!(
        told(
            r#"name = 3
directory = []
user = true
listen = 3000
instances = "2"
env = ""
network = "private"
version = 1.0
health = 3

[limits]
memory = 3.5
recycle = 0.9
max_age = true
max_restarts = 0
min_uptime = 10
start_timeout = "5"
"#
        ),
        str![[r#"
romuo.toml:1:8: `name` is 3, not an app name: a lowercase letter, then lowercase letters, digits, `-` or `_`, 31 at most (and 14 more problems)
romuo.toml:2:13: `directory` is [], not a path
romuo.toml:3:8: `user` is true, not a user name: a letter or `_`, then letters, digits, `-` or `_`, 31 at most
romuo.toml:4:10: `listen` is 3000, not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
  write "127.0.0.1:3000"
romuo.toml:5:13: `instances` is "2", not a whole number from 1 to 65535, or "max" (one a CPU)
  write 2 without quotes
romuo.toml:6:7: `env` is "", not text in quotes, on one line, 1 to 128 characters
romuo.toml:7:11: `network` is "private", not "none" or "host"
romuo.toml:8:11: `version` is 1.0, not text in quotes, on one line, 1 to 128 characters
  write it in quotes: "1.0"
romuo.toml:9:1: `health` is not a table
  write [health] on a line of its own
romuo.toml:12:10: `limits.memory` is 3.5, not a size above 0 such as "300M" or "1G" (K, M, G, T; base 1024)
romuo.toml:13:11: `limits.recycle` is 0.9, not a percentage from "1%" to "99%", or "off"
  write "90%"
romuo.toml:14:11: `limits.max_age` is true, not a duration such as "10s", "100ms" or "1min 30s", 365d at most
romuo.toml:15:16: `limits.max_restarts` is 0, not a whole number, 1 or more
romuo.toml:16:14: `limits.min_uptime` is 10, not a duration such as "10s", "100ms" or "1min 30s", 365d at most
  add a unit: "10s", "10ms" or "10min"
romuo.toml:17:17: `limits.start_timeout` is "5", not a duration such as "10s", "100ms" or "1min 30s", 365d at most
  add a unit: "5s", "5ms" or "5min"

"#]]
    );
}

#[test]
fn a_table_in_the_place_of_a_value_is_shown_by_its_header() {
    assert_data_eq!(
        told(
            r#"[name]
x = 1
[[limits]]
memory = "1G"
"#
        ),
        str![[r#"
romuo.toml:1:1: `name` is [name], not an app name: a lowercase letter, then lowercase letters, digits, `-` or `_`, 31 at most (and 1 more problem)
romuo.toml:3:3: `limits` is not a table
  write [limits] on a line of its own

"#]]
    );
}

#[test]
fn impossible_values_say_what_is_possible() {
    assert_data_eq!(
        told(
            r#"[limits]
memory = "4M"
max_age = "5s"
start_timeout = "0s"
stop_timeout = "0s"
[health]
path = "health"
interval = "1s"
timeout = "3s"
[reload]
linger = "20s"
[static]
root = "dist"
fallback = "../index.html"
"#
        ),
        str![[r#"
romuo.toml:2:10: `limits.memory` is "4M", not a size of 8M or more (and 6 more problems)
  an idle romuo-server alone holds up to 6M: with less it could not start
romuo.toml:3:11: `limits.max_age` is "5s", not a duration above 0, of `limits.min_uptime` or more
  `limits.min_uptime` is 10s: no start counts as good before that
romuo.toml:4:17: `limits.start_timeout` is "0s", not a duration above 0
romuo.toml:5:16: `limits.stop_timeout` is "0s", not a duration above 0
romuo.toml:7:8: `health.path` is "health", not a path such as "/health": `/`, letters, digits, `-`, `.`, `_`, `~`
  write "/health"
romuo.toml:9:11: `health.timeout` is "3s", not a duration up to `health.interval`
  `health.interval` is 1s: raise it, or write "1s" here
romuo.toml:14:12: `static.fallback` is "../index.html", not a file below `static.root`
  write its path as seen from `static.root`, such as "index.html"

"#]]
    );
}

#[test]
fn addresses_bring_the_hint_that_fits() {
    assert_data_eq!(
        told(
            r#"listen = [
"3000", ":3000", "localhost:3000", "*:80", "example.org:80", "127.0.0.1", "::1",
"http://127.0.0.1:80", "@app", "run/app.sock", "/run/", "127.0.0.1:0", "[fe80::1%2]:80", "127.0.0.1:70000", 3000, ""]
"#
        ),
        str![[r#"
romuo.toml:2:1: `listen[0]` is "3000", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock" (and 15 more problems)
  write "127.0.0.1:3000"
romuo.toml:2:9: `listen[1]` is ":3000", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
  write "127.0.0.1:3000"
romuo.toml:2:18: `listen[2]` is "localhost:3000", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
  write "127.0.0.1:3000"
romuo.toml:2:36: `listen[3]` is "*:80", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
  write "0.0.0.0:80" for every address of this machine
romuo.toml:2:44: `listen[4]` is "example.org:80", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
  names are not resolved; write an IP address: "127.0.0.1:80"
romuo.toml:2:62: `listen[5]` is "127.0.0.1", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
  add a port: "127.0.0.1:3000"
romuo.toml:2:75: `listen[6]` is "::1", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
  add a port: "[::1]:3000"
romuo.toml:3:1: `listen[7]` is "http://127.0.0.1:80", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
  write the address alone, without a scheme
romuo.toml:3:24: `listen[8]` is "@app", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
  abstract sockets are not supported; write an absolute path
romuo.toml:3:32: `listen[9]` is "run/app.sock", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
  the path of a unix socket must be absolute
romuo.toml:3:48: `listen[10]` is "/run/", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
  this is a folder; name a file in it
romuo.toml:3:57: `listen[11]` is "127.0.0.1:0", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
  choose a port from 1 to 65535: a socket unit cannot have port 0
romuo.toml:3:72: `listen[12]` is "[fe80::1%2]:80", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
  an address with a scope is not supported; leave out the %
romuo.toml:3:90: `listen[13]` is "127.0.0.1:70000", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
romuo.toml:3:109: `listen[14]` is 3000, not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"
  write "127.0.0.1:3000"
romuo.toml:3:115: `listen[15]` is "", not an address such as "127.0.0.1:3000", "[::1]:3000" or "/run/app.sock"

"#]]
    );
}

#[test]
fn two_addresses_that_exclude_each_other_are_refused() {
    assert_data_eq!(
        told(
            "listen = [\"127.0.0.1:80\", \"/run/a\", \"127.0.0.1:80\", \"0.0.0.0:80\", \"//run/a\"]\n"
        ),
        str![[r#"
romuo.toml:1:37: `listen[2]` is "127.0.0.1:80", not an address that is still free (and 2 more problems)
  "127.0.0.1:80" above takes it already; leave one of the two out
romuo.toml:1:53: `listen[3]` is "0.0.0.0:80", not an address that is still free
  "127.0.0.1:80" above takes it already; leave one of the two out
romuo.toml:1:67: `listen[4]` is "//run/a", not an address that is still free
  "/run/a" above takes it already; leave one of the two out

"#]]
    );
    assert_data_eq!(
        told("listen = []\n"),
        str![[r#"
romuo.toml:1:10: `listen` is [], not a list of at least one

"#]]
    );
}

#[test]
fn a_static_site_needs_its_root() {
    assert_data_eq!(
        told(
            r#"name = "x"
[static]
fallback = "index.html"
"#
        ),
        str![[r#"
romuo.toml:2:2: `static.root` is missing
  [static] needs it

"#]]
    );
}

#[test]
fn broken_syntax_has_a_place_too() {
    assert_data_eq!(
        told("name = \"shop\nlisten = 3\n"),
        str![[r#"
romuo.toml:1:13: invalid basic string, expected `"`

"#]]
    );
    assert_data_eq!(
        told("name = \"a\"\nname = \"b\"\n"),
        str![[r#"
romuo.toml:2:1: duplicate key

"#]]
    );
    assert_data_eq!(
        told("name\n"),
        str![[r#"
romuo.toml:1:5: key with no value, expected `=`

"#]]
    );
}

#[test]
fn a_refused_value_is_shortened() {
    let error = error(&format!("name = \"{}\"\n", "x".repeat(100_000)));
    assert!(error.to_string().len() < 300, "{error}");
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("romuo.toml");
    let told = |path: &Path| {
        load(path).unwrap_err().to_string().replace(folder.path().to_str().unwrap(), "")
    };

    assert_data_eq!(
        told(&path),
        str![
            "the configuration /romuo.toml could not be read: No such file or directory (os error 2)"
        ]
    );
    assert_data_eq!(
        told(folder.path()),
        str!["the configuration  could not be read: Is a directory (os error 21)"]
    );
    std::fs::write(&path, b"name = \"a\"\nenv = \"\xc3\xa4\xff\"\n").unwrap();
    assert_data_eq!(told(&path), str!["/romuo.toml:2:9: the text is not UTF-8 from here on"]);
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert_data_eq!(told(&path), str!["the configuration /romuo.toml is larger than 1 MiB"]);
    std::fs::write(&path, vec![b'#'; 1 << 20]).unwrap();
    assert!(load(&path).is_ok());
}
