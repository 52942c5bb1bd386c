//! Values that are not allowed.

use super::*;

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

[deploy]
build = ["npm ci", " ", 3]
keep = 0
after = ""

[limits]
memory = 3.5
recycle = 0.9
max_age = true
max_restarts = 0
min_uptime = 10
retry_errored = 60
start_timeout = "5"
"#
        ),
        str![[r#"
romuo.toml:1:8: `name` is 3, not an app name: a lowercase letter, then lowercase letters, digits, `-` or `_`, 31 at most (and 19 more problems)
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
romuo.toml:12:20: `deploy.build[1]` is " ", not a line for the shell, in quotes
romuo.toml:12:25: `deploy.build[2]` is 3, not a line for the shell, in quotes
romuo.toml:13:8: `deploy.keep` is 0, not a whole number, 1 or more
romuo.toml:14:9: `deploy.after` is "", not a line for the shell, in quotes
romuo.toml:17:10: `limits.memory` is 3.5, not a size above 0 such as "300M" or "1G" (K, M, G, T; base 1024)
romuo.toml:18:11: `limits.recycle` is 0.9, not a percentage from "1%" to "99%", or "off"
  write "90%"
romuo.toml:19:11: `limits.max_age` is true, not a duration such as "10s", "100ms" or "1min 30s", 365d at most
romuo.toml:20:16: `limits.max_restarts` is 0, not a whole number, 1 or more
romuo.toml:21:14: `limits.min_uptime` is 10, not a duration such as "10s", "100ms" or "1min 30s", 365d at most
  add a unit: "10s", "10ms" or "10min"
romuo.toml:22:17: `limits.retry_errored` is 60, not a duration from "1s" to "1h", or "off"
  add a unit: "60s" or "60min"
romuo.toml:23:17: `limits.start_timeout` is "5", not a duration such as "10s", "100ms" or "1min 30s", 365d at most
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
[deploy]
keep = 1
timeout = "0s"
"#
        ),
        str![[r#"
romuo.toml:2:10: `limits.memory` is "4M", not a size of 8M or more (and 8 more problems)
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
romuo.toml:16:8: `deploy.keep` is 1, not a whole number, 2 or more
  one to run and one to go back to: write 2
romuo.toml:17:11: `deploy.timeout` is "0s", not a duration above 0

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
fn a_refused_value_is_shortened() {
    let error = error(&format!("name = \"{}\"\n", "x".repeat(100_000)));
    assert!(error.to_string().len() < 300, "{error}");
}
