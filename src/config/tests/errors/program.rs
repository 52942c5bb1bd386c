//! Keys of the app's own program.

use super::*;

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
LISTEN_PORT = 3000
"a b" = "secret"
FINE = true
"#
        ),
        str![[r#"
romuo.toml:3:8: `environment.PORT` is set by the front (and 2 more problems)
  each instance gets a port of its own; where clients connect is listen = ["127.0.0.1:3000"]
romuo.toml:4:14: `environment.LISTEN_FDS` is set by systemd
  leave it out
romuo.toml:6:9: `environment.a b` is no name of a variable
  names of variables are letters, digits and `_`, no digit first

"#]]
    );
    let text = "command = \"app\"\n[environment]\nTOKEN = \"secret\"";
    let settings = parse(text, Path::new("/srv/romuo.toml")).unwrap();
    assert!(!format!("{settings:?}").contains("secret"));
}
