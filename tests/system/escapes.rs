//! What an app, its visitors and its files say to the terminal of who looks.

use std::fmt::Write as _;

use crate::machine::Machine;

/// An app that says all that a terminal could obey, as soon as it is asked for anything.
const HOSTILE: &str = r"const http = require('http')
const said = ['\x1b[2J\x1b[H', '\x1b]0;title\x07', '\x1b]52;c;cm0gLXJm', '\x1bPq', '\r2026-01-01 00:00:00 +00:00 | forged',
  '\u009b31m', '\u009d0;x', '\u202eevil\u2066', '\x7f\x08', '\\x1b stays, and a\ttab', '\x1b[31mred\x1b[0m']
http.createServer((request, response) => {
  for (const line of said) console.log('begin ' + line + ' end')
  console.error('\x1b]0;unfinished')
  console.log('the last line')
  response.end()
}).listen(process.env.PORT)
";

const CONFIG: &str = "name = \"shop\"\ncommand = [\"node\", \"server.js\"]\ninstances = 1\n\
     listen = [\"127.0.0.1:3000\"]\n[deploy]\nwatch = \"0s\"\n";

/// What no terminal may be sent, but line ends and tabs.
fn is_bad(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

fn serving() -> Machine {
    let machine = Machine::boot();
    machine.sandbox.write("/srv/shop/server.js", HOSTILE).unwrap();
    machine.sandbox.write("/srv/shop/romuo.toml", CONFIG).unwrap();
    machine.run(&["env", "--chdir=/srv/shop", "romuoctl", "install-units", "--now"]).ok();
    machine
}

#[test]
fn logs_show_what_a_terminal_would_obey() {
    let machine = serving();
    machine.run(&["curl", "-sf", "http://127.0.0.1:3000/"]).ok();
    machine.until_journal("all is said", |entry| entry.message == "the last line");
    machine.sync_journal();
    let logs = ["romuoctl", "--app", "shop", "logs", "--lines", "40"];
    let piped = machine.run(&logs).ok();
    assert!(!piped.chars().any(is_bad), "{piped:?}");
    for shown in [
        r"begin \x1b[2J\x1b[H end",
        r"begin \x1b]0;title\x07 end",
        r"begin \x9b31m end",
        r"begin \u{202e}evil\u{2066} end",
        r"begin \x1b[31mred\x1b[0m end",
        "begin \\x1b stays, and a\ttab end",
        r"\x0d2026-01-01 00:00:00 +00:00 | forged",
        r"\x1b]0;unfinished",
    ] {
        assert!(piped.contains(shown), "{shown:?} is not in {piped}");
    }
    // An unfinished sequence swallows no line end.
    let last = piped.lines().find(|line| line.contains("unfinished")).unwrap();
    assert!(last.ends_with("unfinished"), "{last:?}");
    assert!(piped.lines().any(|line| line.ends_with("| the last line")), "{piped}");
    assert!(
        piped
            .lines()
            .all(|line| line.starts_with("20") && !line.starts_with("2026-01-01 00:00:00"))
    );

    // On a terminal, which script(1) makes: our colours and nothing else.
    let command = format!("env -u NO_COLOR TERM=xterm {}", logs.join(" "));
    let typed = machine.run(&["script", "-qec", &command, "/dev/null"]).ok();
    let bare = typed.replace("\r\n", "\n");
    let mut rest = bare.as_str();
    while let Some((_, after)) = rest.split_once('\x1b') {
        let codes = after.strip_prefix('[').and_then(|after| after.split_once('m'));
        let (codes, after) = codes.unwrap_or_else(|| panic!("{after:?}"));
        assert!(
            matches!(codes, "0" | "1" | "31" | "32" | "33" | "34" | "35" | "36" | ""),
            "{codes:?}"
        );
        rest = after;
    }
    assert!(!bare.chars().any(|c| is_bad(c) && c != '\x1b'), "{bare:?}");

    // For scripts it is what was said, and still nothing that a terminal obeys.
    let json = machine.run(&[&logs[..], &["-o", "json"]].concat()).ok();
    assert!(!json.chars().any(is_bad), "{json:?}");
    let entries: serde_json::Value = serde_json::from_str(&json).unwrap();
    let said = |text: &str| {
        entries
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["message"] == format!("begin {text} end"))
    };
    for text in ["\x1b[2J\x1b[H", "\u{9b}31m", "\u{202e}evil\u{2066}", "\\x1b stays, and a\ttab"] {
        assert!(said(text), "{text:?} is not in {json}");
    }
}

#[test]
fn no_name_and_no_build_forges_a_line_of_a_deploy() {
    let machine = serving();
    let link = "cd /srv/shop; ln -s /etc/passwd \"$(printf 'a\\nroll     done\\033[8m')\"";
    machine.run(&["sh", "-c", link]).ok();
    let mut config = CONFIG.to_owned();
    let build = r#"build = ["printf 'roll     forged\\n\\033]0;x\\033[2J'; echo; printf 'a\\rb'"]"#;
    let _ = writeln!(config, "{build}");
    machine.sandbox.write("/srv/shop/romuo.toml", config).unwrap();
    let ran = machine.run(&["env", "--chdir=/srv/shop", "romuoctl", "deploy"]).exits(0);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!said.chars().any(is_bad), "{said:?}");
    for part in [
        r"warning: a\x0aroll     done\x1b[8m is a link that leads out",
        "\n| roll     forged\n",
        "\n| \\x1b]0;x\\x1b[2J\n| a\n| b\n",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert_eq!(said.lines().filter(|line| line.starts_with("roll ")).count(), 1, "{said}");
}
