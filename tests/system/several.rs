//! Several apps on one machine, and the words by which they are meant.

use serde_json::Value;

use crate::machine::{Machine, PAGE, Ran, one_line};

/// A machine on which two apps run: `romuo` with two instances, and `blog` with one.
fn two() -> Machine {
    let machine = Machine::serving("");
    machine.sandbox.write("/srv/blog/public/index.html", PAGE).unwrap();
    let config = "name = \"blog\"\nlisten = [\"127.0.0.1:3001\"]\ninstances = 1\n\
                  [static]\nroot = \"/srv/blog/public\"\n";
    machine.sandbox.write("/srv/blog/romuo.toml", config).unwrap();
    let install = ["romuoctl", "--config", "/srv/blog/romuo.toml", "install-units", "--now"];
    machine.run(&install).ok();
    machine
}

/// Runs `romuoctl` where there is no `romuo.toml`.
fn elsewhere(machine: &Machine, arguments: &[&str]) -> Ran {
    machine.run(&[&["env", "--chdir=/", "romuoctl"], arguments].concat())
}

/// What each value of a list has at a key.
fn each<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|value| value[key].as_str().unwrap()).collect()
}

#[test]
fn what_looks_shows_every_app_where_none_is_meant() {
    let machine = two();
    let json = |arguments: &[&str]| -> Value {
        let said = elsewhere(&machine, &[arguments, &["-o", "json"]].concat()).ok();
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    };
    for arguments in [&["status"][..], &["status", "all"], &["list"], &["ls"], &["jlist"]] {
        let apps = json(arguments);
        assert_eq!(each(&apps, "app"), ["blog", "romuo"], "{arguments:?}");
        assert_eq!(each(&apps, "state"), ["online", "online"], "{arguments:?}");
    }
    assert_eq!(each(&json(&["health"]), "app"), ["blog", "romuo"]);
    assert_eq!(each(&json(&["pid"]), "instance"), ["1", "1", "2"]);
    let both = json(&["--app", "romuo", "--app", "blog", "health"]);
    assert_eq!(each(&both, "app"), ["blog", "romuo"]);
    for one in [&["status", "blog"][..], &["--app", "blog", "status"], &["-a", "blog", "health"]] {
        assert_eq!(json(one)["app"], "blog", "{one:?}");
    }
    // Where a configuration lies, its app is meant.
    assert_eq!(machine.status()["app"], "romuo");

    let status = elsewhere(&machine, &["status"]).ok();
    assert!(status.starts_with("blog: online") && status.contains("\n\nromuo: online"), "{status}");
    let list = elsewhere(&machine, &["list"]).ok();
    let rows: Vec<Vec<_>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows.len(), rows[1][0], rows[1][2]), (3, "blog", "1/1"), "{list}");
    assert_eq!((rows[2][0], rows[2][2]), ("romuo", "2/2"), "{list}");
    let pids = elsewhere(&machine, &["pid", "romuo"]).ok();
    assert_eq!(pids.lines().collect::<Vec<_>>(), [machine.pid(1), machine.pid(2)]);

    let logs = elsewhere(&machine, &["logs", "--lines", "200"]).ok();
    for app in ["| blog 1 | ready", "| romuo 2 | ready", "| romuo | "] {
        assert!(logs.lines().any(|line| line.contains(app)), "{app} is not in {logs}");
    }
}

#[test]
fn what_acts_is_told_on_which_app_as_pm2_is() {
    let machine = two();
    let ran = elsewhere(&machine, &["reload"]).exits(2);
    assert!(ran.stderr.contains("several apps are installed (blog, romuo)"), "{}", ran.stderr);
    let before = machine.pid(1);
    for arguments in [
        &["reload", "romuo"][..],
        &["restart", "romuo", "2"],
        &["restart", "blog"],
        &["scale", "blog", "2"],
        &["stop", "romuo"],
        &["start", "romuo"],
        &["logs", "blog", "2"],
    ] {
        elsewhere(&machine, arguments).ok();
    }
    assert_ne!(machine.pid(1), before);
    assert_eq!(machine.status_of("blog")["instances"].as_array().unwrap().len(), 2);
    elsewhere(&machine, &["stop", "all"]).ok();
    elsewhere(&machine, &["status"]).exits(3);
    elsewhere(&machine, &["start", "all"]).ok();
    elsewhere(&machine, &["reload", "all"]).ok();
    elsewhere(&machine, &["status"]).ok();
}

#[test]
fn what_is_not_there_is_an_error_that_says_what_is() {
    let machine = Machine::serving("");
    for (arguments, said) in [
        (&["restart", "9"][..], &["romuo has no instance 9", "it has 1, 2"][..]),
        (&["logs", "--instance", "9"], &["romuo has no instance 9"]),
        (&["logs", "9"], &["romuo has no instance 9"]),
        (&["restart", "romuo", "9"], &["romuo has no instance 9"]),
        (&["restart", "2", "romuo"], &["the name of an app comes first"]),
        (&["scale", "romuo"], &["how many instances"]),
        (&["status", "romou"], &["romou is not installed", "did you mean `romuo`?"]),
        (&["--app", "nosuch", "status"], &["nosuch is not installed", "installed: romuo"]),
        (&["--app", "nosuch", "logs"], &["nosuch is not installed"]),
        (&["reload", "nosuch"], &["nosuch is not installed"]),
        (&["stop", "nosuch"], &["nosuch is not installed"]),
        (&["scale", "nosuch", "3"], &["nosuch is not installed"]),
        (&["start", "app.js"], &["`romuoctl init` describes a program"]),
        (&["start", "ecosystem.config.js"], &["`romuoctl import` an ecosystem file"]),
        (&["rolead"], &["unrecognized subcommand", "'reload'"]),
    ] {
        let ran = machine.ctl(arguments).exits(2);
        let stderr = one_line(&ran.stderr);
        for part in said {
            assert!(stderr.contains(part), "{arguments:?} says {stderr}");
        }
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
    assert_eq!(machine.property("romuo@9.service", "ActiveState"), "inactive");
    assert_eq!(machine.status()["state"], "online");

    // One that was there has left what it said.
    machine.ctl(&["scale", "1"]).ok();
    machine.ctl(&["logs", "2"]).ok();
    machine.ctl(&["uninstall-units"]).ok();
    let ran = machine.ctl(&["status"]).exits(2);
    assert!(ran.stderr.contains("romuoctl install-units --now"), "{}", ran.stderr);
}

#[test]
fn the_verbs_of_pm2_are_answered_with_what_to_do() {
    let machine = Machine::serving("");
    for (verb, code, said) in [
        ("save", 0, "starts at boot"),
        ("startup", 0, "starts at boot"),
        ("ping", 0, "there is no daemon"),
        ("kill", 2, "romuoctl stop"),
        ("delete", 2, "romuoctl uninstall-units"),
        ("describe", 2, "systemctl status NAME@1"),
        ("show", 2, "systemctl status NAME@1"),
        ("env", 2, "[environment]"),
        ("monit", 2, "watch romuoctl status"),
        ("flush", 2, "journalctl --vacuum-time"),
        ("reset", 2, "systemctl reset-failed"),
        ("startOrReload", 2, "romuoctl reload"),
    ] {
        let ran = machine.ctl(&[verb, "shop"]).exits(code);
        let all = [ran.stdout.as_str(), &ran.stderr].concat();
        let all = one_line(&all);
        assert!(all.contains(said), "{verb} says {all}");
        assert!(!all.contains("similar"), "{verb} says {all}");
    }
    // What a hint names works.
    machine.systemctl(&["reset-failed", "romuo@*"]).ok();
    machine.systemctl(&["status", "--no-pager", "romuo@1"]).ok();
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let machine = Machine::boot();
    for verb in ["completions bash", "completions zsh", "man", "--help"] {
        let script = format!("set -o pipefail; romuoctl {verb} | head -c 1 >/dev/null");
        let ran = machine.run(&["bash", "-c", &script]);
        assert_eq!(ran.output.stderr, "", "{verb}");
    }
}
