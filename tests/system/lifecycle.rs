//! Start, stop, restart.

use romuo::load::{Kind, Mix};

use crate::machine::{ADDRESS, CONFIG, Machine, one_line, wait};

/// curl's exit code where the connection is refused.
const REFUSED: i32 = 7;

#[test]
fn a_stop_closes_the_port_and_a_start_opens_it() {
    let machine = Machine::serving("");
    let url = format!("http://{ADDRESS}/health");
    for (stop, start) in [
        (&["romuoctl", "stop"][..], &["romuoctl", "start"][..]),
        (&["systemctl", "stop", "romuo.target"], &["systemctl", "start", "romuo.target"]),
        (&["systemctl", "stop", "romuo"], &["systemctl", "start", "romuo"]),
    ] {
        machine.run(&["curl", "--fail", "--silent", &url]).ok();
        machine.run(stop).ok();
        // systemd closes the socket in a job of its own, right after the one that was waited for.
        machine.systemctl(&["stop", "romuo.socket"]).ok();
        machine.run(&["curl", "--silent", &url]).exits(REFUSED);
        assert_eq!(machine.status()["state"], "stopped");
        machine.run(start).ok();
    }
    machine.run(&["curl", "--fail", "--silent", &url]).ok();
    assert_eq!(machine.status()["state"], "online");
}

#[test]
fn a_stop_under_load_finishes_what_is_in_hand() {
    let machine = Machine::serving("");
    let site = Machine::site();
    let slow = Kind::SlowUpload { over: std::time::Duration::from_secs(3) };
    // Each client sends one request, and has it in hand when the stop comes.
    let load = machine.load(Mix::new(ADDRESS).clients(slow, 8, &site.upload).at_most(8));
    wait(async {
        while load.requests_sent() < 8 {
            tokio::task::yield_now().await;
        }
    });
    machine.ctl(&["stop"]).ok();
    let report = wait(load.finish());
    assert_eq!(report.sent(), 8);
    machine.expect_no_loss(&report);
}

#[test]
fn traffic_does_not_start_what_was_stopped() {
    let machine = Machine::serving("");
    let flat_out = Kind::NewConnection { gap: std::time::Duration::ZERO };
    let load = machine.load(Mix::new(ADDRESS).clients(flat_out, 4, &Machine::site().small));
    wait(load.until_each_answered(10)).unwrap();
    machine.ctl(&["stop"]).ok();
    assert_eq!(machine.status()["state"], "stopped");
    assert_eq!(machine.property("romuo.socket", "ActiveState"), "inactive");
    let report = wait(load.stop());
    assert!(report.lost() > 0, "the port was closed to them");
    assert_eq!(machine.status()["state"], "stopped");
}

#[test]
fn one_instance_is_restarted_alone() {
    let machine = Machine::serving("");
    let before = [machine.pid(1), machine.pid(2)];
    let load = machine.load(Machine::mixed());
    wait(load.until_each_answered(1)).unwrap();
    machine.ctl(&["restart", "2"]).ok();
    machine.expect_no_loss(&wait(load.stop()));
    assert_eq!(machine.pid(1), before[0]);
    assert_ne!(machine.pid(2), before[1]);
}

#[test]
fn a_reload_of_what_is_stopped_is_refused_with_a_hint() {
    let machine = Machine::serving("");
    machine.ctl(&["stop"]).ok();
    let ran = machine.ctl(&["reload"]).exits(1);
    assert!(ran.stderr.contains("is not running"), "{}", ran.stderr);
    assert!(ran.stderr.contains("romuoctl start"), "{}", ran.stderr);
}

#[test]
fn a_start_that_fails_says_which_instance_and_why() {
    let machine = Machine::serving("[limits]\nstart_timeout = \"5s\"\n");
    machine.ctl(&["stop"]).ok();
    machine.drop_in(
        "romuo@2.service",
        "[Service]\nExecStart=\nExecStart=/bin/sh -c 'echo no luck; exit 7'\n",
    );
    let ran = machine.ctl(&["start"]).exits(1);
    for part in ["romuo@2.service", "no luck"] {
        assert!(ran.stderr.contains(part), "{part:?} is not in {}", ran.stderr);
    }
    assert_eq!(machine.property("romuo@1.service", "ActiveState"), "active");
}

#[test]
fn the_shared_socket_never_blocks_whoever_starts() {
    let machine = Machine::serving("");
    for unit in ["romuo.hold.service", "romuo@2.service", "romuo.service"] {
        machine.systemctl(&["restart", unit]).ok();
        // The first descriptor that systemd passes is 3 (sd_listen_fds(3)).
        let info = machine.run(&["cat", &format!("/proc/{}/fdinfo/3", machine.pid(1))]).ok();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        let nonblock = rustix::fs::OFlags::NONBLOCK.bits();
        assert_eq!(flags & nonblock, nonblock, "after a restart of {unit}: {info}");
    }
}

#[test]
fn what_was_edited_and_not_installed_is_said_and_brought_in_on_demand() {
    let machine = Machine::serving("");
    let edited = || machine.status()["edited"].clone();
    assert!(edited().is_null());
    machine.configure(&format!("# A comment changes nothing.\n{CONFIG}"));
    assert!(edited().is_null());
    machine.configure(&format!("env = \"staging\"\n{CONFIG}"));
    assert_eq!(edited(), "/srv/site/romuo.toml");
    let text = machine.ctl(&["status"]).ok();
    assert!(text.contains("`romuoctl reload --install` brings it in"), "{text}");
    let told = machine.ctl(&["reload"]).exits(0).stderr;
    let told = one_line(&told);
    assert!(told.contains("/srv/site/romuo.toml was changed since it was installed"), "{told}");
    // Nothing waits in silence, also where there is no terminal.
    assert!(told.starts_with("warning: ") && told.contains("asking systemd for a roll"), "{told}");
    assert!(edited().is_string());
    machine.ctl(&["reload", "--install"]).ok();
    assert!(edited().is_null());
    let health: serde_json::Value =
        serde_json::from_str(&machine.ctl(&["health", "-o", "json"]).ok()).unwrap();
    assert_eq!(health["instances"][1]["env"], "staging");

    // The same where it is shipped.
    machine.configure(&format!("env = \"production\"\n{CONFIG}"));
    machine.ctl(&["deploy"]).ok();
    assert!(edited().is_null());
    machine.configure(&format!("env = \"staging\"\n# Another one.\n{CONFIG}"));
    assert_eq!(edited(), "/srv/site/romuo.toml");
    let text = machine.ctl(&["status"]).ok();
    assert!(text.contains("than the release that serves; `romuoctl deploy` ships it"), "{text}");
    let told = one_line(&machine.ctl(&["reload"]).exits(0).stderr);
    assert!(
        told.contains("a reload alone does not change that: `romuoctl deploy` ships"),
        "{told}"
    );
    machine.ctl(&["reload", "--install"]).exits(2);
    machine.configure(&format!("env = \"production\"\n# A comment is nothing.\n{CONFIG}"));
    assert!(edited().is_null());
    assert_eq!(machine.ctl(&["reload", "--quiet"]).exits(0).stderr, "");
}
