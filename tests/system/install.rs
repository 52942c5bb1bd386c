//! Installing and uninstalling.

use crate::machine::{CONFIG, Machine, one_line};

/// Every path below `/etc` that an install could touch, with its content's hash.
fn tree(machine: &Machine) -> String {
    let script = "cd /etc && find systemd/system romuo -mindepth 1 -printf '%p %y %m %l ' \
                  \\( -type f -exec sha256sum {} \\; -o -printf '\\n' \\) 2>/dev/null | sort";
    machine.run(&["sh", "-c", script]).output.stdout
}

#[test]
fn a_second_install_changes_nothing_and_says_so() {
    let machine = Machine::serving("");
    let before = tree(&machine);
    let said = machine.ctl(&["install-units"]).ok();
    assert!(said.contains("nothing to change"), "{said}");
    assert_eq!(tree(&machine), before);
}

#[test]
fn what_an_earlier_installation_left_is_put_aside_and_never_used() {
    let machine = Machine::serving("");
    machine.ctl(&["deploy"]).ok();
    machine.sandbox.write("/srv/site/public/index.html", "two").unwrap();
    machine.ctl(&["deploy"]).ok();
    machine.ctl(&["uninstall-units"]).ok();
    // The same folder is another installation, too.
    let said = machine.ctl(&["install-units", "--now"]).ok();
    assert!(said.contains("/var/lib/romuo/romuo/earlier/"), "{said}");
    machine.ctl(&["deploy"]).ok();
    machine.ctl(&["rollback"]).ok();
    let said = machine.ctl(&["rollback"]).exits(2).stderr;
    assert!(said.contains("no release to go back to"), "{said}");
    machine.ctl(&["uninstall-units", "--purge"]).ok();
    let left =
        machine.run(&["sh", "-c", "find /var/lib/romuo /etc/romuo 2>/dev/null || true"]).ok();
    assert_eq!(left.trim(), "/var/lib/romuo");
}

#[test]
fn another_folder_of_the_same_name_is_refused_with_both() {
    let machine = Machine::serving("");
    machine.run(&["cp", "-r", "/srv/site", "/srv/other"]).ok();
    let other =
        |verb: &[&str]| machine.run(&[&["env", "--chdir=/srv/other", "romuoctl"], verb].concat());
    for verb in [&["install-units"][..], &["deploy"]] {
        let said = one_line(&other(verb).exits(2).stderr);
        for part in ["is installed from /srv/site/romuo.toml", "this is /srv/other/romuo.toml"] {
            assert!(said.contains(part), "{said}");
        }
    }
    // Nothing else is done to it from there, either.
    for verb in ["stop", "restart", "reload", "rollback", "uninstall-units"] {
        let said = one_line(&other(&[verb]).exits(2).stderr);
        assert!(said.contains("`--app romuo` means that one"), "{verb}: {said}");
    }
    other(&["scale", "3"]).exits(2);
    assert_eq!(machine.status()["state"], "online");
    other(&["install-units", "--force"]).ok();
    // A folder that is gone was moved.
    machine.run(&["mv", "/srv/other", "/srv/third"]).ok();
    machine.run(&["env", "--chdir=/srv/third", "romuoctl", "install-units"]).ok();
}

#[test]
fn a_link_to_what_is_current_is_followed_and_not_what_it_leads_to() {
    let machine = Machine::boot();
    let make = "mkdir -p /srv/app/releases && cp -r /srv/site /srv/app/releases/1 && \
                ln -s releases/1 /srv/app/current && sed -i s,/srv/site/,, /srv/app/releases/1/romuo.toml";
    machine.run(&["sh", "-c", make]).ok();
    let there = ["env", "--chdir=/srv/app/releases/1", "romuoctl", "install-units", "--now"];
    let said = one_line(&machine.run(&there).exits(2).stderr);
    assert!(said.contains("romuoctl --config /srv/app/current/romuo.toml install-units"), "{said}");
    let by_link = ["romuoctl", "--config", "/srv/app/current/romuo.toml", "install-units", "--now"];
    machine.run(&by_link).ok();
    // Whoever is there by the link is understood, too.
    let said = machine.run(&["sh", "-c", "cd /srv/app/current && romuoctl install-units"]).ok();
    assert!(said.contains("nothing to change"), "{said}");
    let next = "cp -r /srv/app/releases/1 /srv/app/releases/2 && echo two > \
                /srv/app/releases/2/public/index.html && ln -sfn releases/2 /srv/app/current";
    machine.run(&["sh", "-c", next]).ok();
    machine.run(&["romuoctl", "--app", "romuo", "reload"]).ok();
    assert_eq!(machine.run(&["curl", "-sS", "http://127.0.0.1:3000/"]).ok(), "two\n");
}

#[test]
fn a_dry_run_shows_everything_and_writes_nothing_not_even_as_root() {
    let machine = Machine::boot();
    let before = tree(&machine);
    let said = machine.ctl(&["install-units", "--dry-run", "--diff"]).ok();
    for part in
        ["romuo.socket", "romuo@.service", "+ListenStream=127.0.0.1:3000", "romuo@2.service"]
    {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert_eq!(tree(&machine), before);
    // It works for everybody.
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "env",
        "--chdir=/srv/site",
        "romuoctl",
        "install-units",
        "--dry-run",
        "--diff",
    ];
    assert_eq!(machine.run(&nobody).ok(), said);
    machine.ctl(&["install-units"]).ok();
    let again = machine.run(&nobody).ok();
    assert!(again.contains("only root may read it: /etc/romuo/romuo.toml"), "{again}");
}

#[test]
fn a_typo_is_shown_with_its_line_and_a_hint_and_nothing_is_written() {
    let machine = Machine::boot();
    let before = tree(&machine);
    machine.configure(&format!("instancess = 2\n{CONFIG}"));
    let ran = machine.ctl(&["install-units"]).exits(2);
    for part in ["romuo.toml:1:1", "instancess", "did you mean `instances`?"] {
        assert!(ran.stderr.contains(part), "{part:?} is not in {}", ran.stderr);
    }
    assert_eq!(tree(&machine), before);
}

#[test]
fn foreign_and_hand_edited_files_are_refused_and_drop_ins_survive() {
    let machine = Machine::boot();
    machine
        .sandbox
        .write("/etc/systemd/system/romuo.socket", "[Socket]\nListenStream=9\n")
        .unwrap();
    let before = tree(&machine);
    let ran = machine.ctl(&["install-units"]).exits(1);
    assert!(ran.stderr.contains("romuo.socket"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--force"), "{}", ran.stderr);
    assert_eq!(tree(&machine), before, "nothing was written");
    machine.ctl(&["install-units", "--force", "--now"]).ok();

    // `systemctl edit` writes a drop-in. It insists on a terminal, which script(1) makes.
    // Newer ones name the line as well, before the file.
    let editor = "#!/bin/sh\nfor file; do :; done; printf '[Service]\\nNice=7\\n' > \"$file\"\n";
    machine.sandbox.write("/usr/local/bin/editor", editor).unwrap();
    machine.run(&["chmod", "755", "/usr/local/bin/editor"]).ok();
    let edit = "SYSTEMD_EDITOR=/usr/local/bin/editor systemctl edit romuo@.service";
    machine.run(&["script", "-qec", edit, "/dev/null"]).ok();
    machine
        .run(&["sed", "-i", "s/^RestartSec=.*/RestartSec=9/", "/etc/systemd/system/romuo@.service"])
        .ok();
    machine.configure(&format!("{CONFIG}[limits]\nmemory = \"200M\"\n"));
    let ran = machine.ctl(&["install-units"]).exits(1);
    assert!(ran.stderr.contains("romuo@.service"), "{}", ran.stderr);
    assert!(ran.stderr.contains("systemctl edit"), "{}", ran.stderr);
    machine.ctl(&["install-units", "--force"]).ok();
    assert_eq!(machine.property("romuo@1.service", "MemoryMax"), (200 << 20).to_string());
    assert_eq!(machine.property("romuo@1.service", "Nice"), "7", "the drop-in survived");
    assert_eq!(machine.property("romuo@1.service", "RestartUSec"), "100ms");
}

#[test]
fn an_open_port_is_not_changed_under_the_instances_that_serve_from_it() {
    let machine = Machine::serving("");
    let before = tree(&machine);
    machine.configure(&CONFIG.replace("3000", "3001"));
    let ran = machine.ctl(&["install-units", "--now"]).exits(1);
    for part in ["listens on 127.0.0.1:3000", "romuoctl stop"] {
        assert!(ran.stderr.contains(part), "{part:?} is not in {}", ran.stderr);
    }
    assert_eq!(tree(&machine), before);
    machine.run(&["curl", "-sf", "http://127.0.0.1:3000/health"]).ok();

    machine.ctl(&["stop"]).ok();
    machine.ctl(&["install-units", "--now"]).ok();
    machine.run(&["curl", "-sf", "http://127.0.0.1:3001/health"]).ok();
}

#[test]
fn systemctl_enable_and_romuoctl_agree_on_the_instances() {
    let machine = Machine::serving("");
    let ids = |machine: &Machine| {
        let status = machine.status();
        let instances = status["instances"].as_array().unwrap();
        instances.iter().map(|i| i["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        machine.systemctl(&["is-enabled", "romuo.target", "romuo@1.service"]).ok(),
        "enabled\nenabled\n"
    );
    machine.systemctl(&["enable", "--now", "romuo@3"]).ok();
    assert_eq!(ids(&machine), ["1", "2", "3"]);
    machine.ctl(&["install-units"]).ok();
    assert_eq!(ids(&machine), ["1", "2", "3"], "an unchanged `instances` changes nothing");
    let said = machine.ctl(&["reload"]).ok();
    assert!(said.starts_with("rolled 3 of 3"), "{said}");
    machine.configure(&format!("instances = 1\n{CONFIG}"));
    machine.ctl(&["install-units", "--now"]).ok();
    assert_eq!(ids(&machine), ["1"], "a changed one does");
}

#[test]
fn an_uninstall_removes_exactly_what_was_installed() {
    let machine = Machine::boot();
    // Every machine has this folder; the sandbox begins without.
    machine.run(&["mkdir", "-p", "/etc/systemd/system/multi-user.target.wants"]).ok();
    let before = tree(&machine);
    machine.ctl(&["install-units", "--now"]).ok();
    machine.systemctl(&["enable", "--now", "romuo@3"]).ok();
    machine.ctl(&["uninstall-units"]).ok();
    assert_eq!(tree(&machine), before);
    let units =
        machine.systemctl(&["list-units", "--all", "--plain", "--no-legend", "romuo*"]).ok();
    assert_eq!(units, "", "systemd has forgotten them too");
    let again = machine.run(&["romuoctl", "--app", "romuo", "uninstall-units"]).ok();
    assert!(again.contains("nothing to"), "{again}");

    machine.ctl(&["install-units"]).ok();
    machine.drop_in("romuo@.service", "[Service]\nNice=3\n");
    let said = machine.ctl(&["uninstall-units"]).ok();
    assert!(said.contains("romuo@.service.d"), "the drop-in that stays is named: {said}");
    machine.run(&["test", "-e", "/etc/systemd/system/romuo@.service.d/test.conf"]).ok();
}

#[test]
fn verify_prints_nothing_and_the_instances_are_locked_in() {
    let machine = Machine::serving("");
    let units = ["romuo.socket", "romuo@1.service", "romuo.service", "romuo.target"];
    let ran = machine.run(&[&["systemd-analyze", "verify"], &units[..]].concat());
    let output = ran.exits(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    // What the directives come to, in the running instance: no network but its own loopback.
    let pid = machine.pid(1);
    let net = machine.run(&["nsenter", "-t", &pid, "-n", "cat", "/proc/net/dev"]).ok();
    let own: Vec<_> = net.lines().skip(2).filter_map(|line| line.split(':').next()).collect();
    assert_eq!(own.iter().map(|name| name.trim()).collect::<Vec<_>>(), ["lo"]);
    let environ = machine.run(&["stat", "-c", "%U", "/proc/1/exe"]).ok();
    assert_eq!(environ.trim(), "root");
    let user = machine.run(&["ps", "-o", "uid=", "-p", &pid]).ok();
    assert_ne!(user.trim(), "0", "an instance is not root");
    let mode = machine.run(&["stat", "-c", "%a %u", "/etc/romuo/romuo.toml"]).ok();
    assert_eq!(mode.trim(), "600 0");
}

#[test]
fn what_a_deploy_has_made_is_named_by_an_install_that_leaves_it_and_by_a_removal() {
    let machine = Machine::serving("");
    machine.ctl(&["deploy"]).ok();
    let leaves = "the app ran from its releases, and runs from /srv/site again";
    machine.ctl(&["install-units"]).exits(2);
    let said = machine.ctl(&["install-units", "--force"]).exits(0);
    assert!(said.stdout.contains(leaves), "{said:?}");
    // Now it does so already.
    let said = machine.ctl(&["install-units"]).exits(0);
    assert!(!said.stdout.contains(leaves), "{said:?}");
    let said = machine.ctl(&["uninstall-units"]).exits(0);
    assert!(said.stdout.contains("left in place: /var/lib/romuo/romuo"), "{said:?}");
    machine.run(&["rm", "-r", "/var/lib/romuo/romuo"]).ok();
    let said = machine.ctl(&["uninstall-units"]).exits(0);
    assert!(!said.stdout.contains("left in place"), "{said:?}");
}

#[test]
fn an_app_takes_the_place_of_no_unit_of_the_system() {
    let machine = Machine::boot();
    let vendor = "[Service]\nExecStart=/bin/true\n[Install]\nAlias=httpd.service\n";
    machine.sandbox.write("/usr/lib/systemd/system/nginx.service", vendor).unwrap();
    let before = tree(&machine);
    for name in ["dbus", "nginx", "httpd", "multi-user", "init", "systemd-journald", "getty"] {
        machine.configure(&format!("name = \"{name}\"\n{CONFIG}"));
        for force in
            [&["install-units"][..], &["install-units", "--force"], &["install-units", "--dry-run"]]
        {
            let said = machine.ctl(force).exits(2).stderr;
            for part in [&format!("no app can be named {name}: "), "another `name`"] {
                assert!(said.contains(part), "{part:?} is not in {said}");
            }
        }
    }
    assert_eq!(tree(&machine), before);

    // One of the administrator's that is started at boot.
    machine
        .sandbox
        .write("/etc/systemd/system/shop.service", "[Service]\nExecStart=/bin/true\n")
        .unwrap();
    let wants = "/etc/systemd/system/multi-user.target.wants";
    machine.run(&["mkdir", "-p", wants]).ok();
    machine.run(&["ln", "-s", "../shop.service", wants]).ok();
    machine.configure(&format!("name = \"shop\"\n{CONFIG}"));
    let said = machine.ctl(&["install-units", "--force"]).exits(2).stderr;
    assert!(
        said.contains("/etc/systemd/system/shop.service, of somebody else, is started at boot"),
        "{said}"
    );
    machine.run(&["rm", "/etc/systemd/system/multi-user.target.wants/shop.service"]).ok();
    machine.ctl(&["install-units"]).exits(1);
    machine.ctl(&["install-units", "--force", "--now"]).ok();
    // Its own are not in its way.
    machine.ctl(&["install-units"]).ok();
}

#[test]
fn an_app_that_runs_as_root_is_told_what_that_costs() {
    let machine = Machine::boot();
    machine.configure(&format!("user = \"root\"\n{CONFIG}"));
    let ran = machine.ctl(&["install-units", "--dry-run"]).exits(0);
    let sentence = "warning: user = \"root\" is root: whoever breaks into the app";
    assert!(ran.stderr.contains(sentence), "{}", ran.stderr);
    machine.configure(CONFIG);
    let ran = machine.ctl(&["install-units", "--dry-run"]).exits(0);
    assert!(!ran.stderr.contains("is root"), "{}", ran.stderr);
}

#[test]
fn a_program_of_the_path_of_root_is_never_taken_for_one_of_the_system() {
    let machine = Machine::serving("");
    let fake = "#!/bin/sh\necho taken >>/tmp/taken\nexit 1\n";
    for name in
        ["systemctl", "journalctl", "systemd-analyze", "git", "tar", "setpriv", "setsid", "getent"]
    {
        let path = format!("/srv/fake/{name}");
        machine.sandbox.write(&path, fake).unwrap();
        machine.run(&["chmod", "755", &path]).ok();
    }
    let with = |arguments: &[&str]| {
        let start =
            ["env", "--chdir=/srv/site", "PATH=/srv/fake:/usr/bin:/bin", "/usr/local/bin/romuoctl"];
        machine.run(&[&start, arguments].concat())
    };
    with(&["install-units", "--force"]).ok();
    with(&["logs"]).ok();
    with(&["status"]).ok();
    with(&["uninstall-units"]).ok();
    assert!(machine.run(&["test", "-e", "/tmp/taken"]).output.code == Some(1), "one was run");
}

#[test]
fn an_app_begins_without_what_an_earlier_one_of_its_name_ran_into() {
    let machine = Machine::serving("[limits]\nmax_restarts = 1\nretry_errored = \"off\"\n");
    machine.ctl(&["reload"]).ok();
    let state = "/run/romuo/romuo/1.guard";
    let crashed = "{\"crashes\":1,\"errored\":true,\"ready_at\":null}";
    machine.ctl(&["stop"]).ok();
    machine.sandbox.write(state, crashed).unwrap();
    machine.ctl(&["uninstall-units"]).ok();
    let left = machine.run(&["find", "/run/romuo", "-not", "-name", "*.lock", "-mindepth", "1"]);
    assert_eq!(left.ok(), "");
    machine.ctl(&["install-units", "--now"]).ok();
    let status = machine.status();
    assert_eq!((&status["state"], &status["roll"]), (&"online".into(), &serde_json::Value::Null));
}

#[test]
fn what_is_known_to_fail_is_not_installed() {
    let machine = Machine::boot();
    let before = tree(&machine);
    let listen = ["python3", "-c", LISTENS];
    let (mut holder, said) = machine.spawn_until_heard(&listen);
    assert_eq!(said, "listens\n");
    machine.run(&["mkdir", "-m", "700", "/srv/shut"]).ok();
    machine.sandbox.write("/srv/shut/app.py", "").unwrap();
    let app = "command = [\"python3\", \"app.py\"]\nlisten = [\"127.0.0.1:3001\"]\n";
    for (folder, config, said) in [
        ("/srv/site", CONFIG.to_owned(), &["(python3) listens on 127.0.0.1:3000 already"][..]),
        ("/srv/shut", app.to_owned(), &["/srv/shut is not readable", "chmod o+rx /srv/shut"]),
        ("/srv/site", format!("user = \"nobody-here\"\n{app}"), &["no user nobody-here"]),
        ("/srv/site", format!("writable = [\"nowhere\"]\n{app}"), &["mkdir -p /srv/site/nowhere"]),
    ] {
        machine.sandbox.write(format!("{folder}/romuo.toml"), config).unwrap();
        machine.run(&["touch", "/srv/site/app.py"]).ok();
        let file = format!("{folder}/romuo.toml");
        let ran = machine.run(&["romuoctl", "-c", &file, "install-units", "--now"]).exits(1);
        let stderr = one_line(&ran.stderr);
        assert!(stderr.contains("nothing was written"), "{stderr}");
        for part in said {
            assert!(stderr.contains(part), "{part} is not in {stderr}");
        }
        assert_eq!(tree(&machine), before);
        machine.run(&["romuoctl", "-c", &file, "install-units", "--dry-run"]).exits(0);
    }
    holder.kill().unwrap();
    holder.wait().unwrap();

    // It would start, and no deploy could ship it.
    machine.sandbox.write("/srv/site/all.toml", format!("writable = [\".\"]\n{app}")).unwrap();
    let all = ["romuoctl", "-c", "/srv/site/all.toml", "install-units"];
    let stderr = one_line(&machine.run(&all).exits(1).stderr);
    assert!(stderr.contains("`writable` has /srv/site, which holds the app itself"), "{stderr}");
    assert_eq!(tree(&machine), before);

    // Those of another app are systemd's.
    machine.configure(CONFIG);
    machine.ctl(&["install-units", "--now"]).ok();
    let other = format!("name = \"other\"\n{CONFIG}");
    machine.sandbox.write("/srv/site/other.toml", other).unwrap();
    let other = ["romuoctl", "-c", "/srv/site/other.toml", "install-units"];
    let ran = machine.run(&other).exits(1);
    assert!(ran.stderr.contains("romuo.socket listens on 127.0.0.1:3000"), "{}", ran.stderr);
    machine.run(&[&other[..], &["--force"]].concat()).ok();
}

/// Listens where the app is to listen.
const LISTENS: &str = "import socket, signal
held = socket.create_server(('127.0.0.1', 3000))
print('listens', flush=True)
signal.pause()
";
