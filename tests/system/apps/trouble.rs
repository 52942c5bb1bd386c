//! Apps that misbehave: each comes to a clear outcome, told where one looks.

use std::cell::Cell;
use std::time::Duration;

use romuo::load::Kind;
use romuo::sandbox::Output;

use super::app::{App, clients, expect_no_reconnect};
use crate::machine::{Machine, wait};

/// Fails where one of `parts` is not in what was said.
fn says(output: &Output, parts: &[&str]) {
    let said = format!("{}{}", output.stdout, output.stderr);
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

/// The clients that must not notice anything.
fn bystanders() -> romuo::load::Mix {
    let ms = Duration::from_millis;
    clients(Kind::KeepAlive { gap: ms(5) }, 8).clients(
        Kind::NewConnection { gap: ms(20) },
        4,
        &super::app::page(),
    )
}

#[test]
fn an_app_that_ignores_port_is_told_so() {
    let app = App::boot("ignores-port");
    let failed = app.install().exits(1);
    says(&failed, &["ignores-port@1.service", "PORT"]);
    says(&app.ctl(&["status"]).exits(3), &["ignores-port"]);
    says(&app.ctl(&["logs"]).exits(0), &["PORT"]);
}

#[test]
fn an_app_that_crashes_at_boot_shows_why_and_becomes_errored() {
    let app = App::boot("crashes");
    let failed = app.install().exits(1);
    says(&failed, &["crashes@1.service", "DATABASE_URL is not set"]);
    app.machine.until_standing_in(&app.unit(1));
    says(&app.ctl(&["status"]).exits(3), &["errored"]);
    // It has said so on its standard error.
    says(&app.ctl(&["logs", "--lines", "200", "--stderr"]).exits(0), &["DATABASE_URL is not set"]);
    let said = app.ctl(&["logs", "--lines", "200", "--stdout"]).exits(0).stdout;
    assert!(!said.contains("DATABASE_URL is not set"), "{said}");
    assert_eq!(app.machine.property("crashes.socket", "ActiveState"), "active");
}

#[test]
fn an_app_that_boots_for_twenty_seconds_comes_up_with_the_defaults() {
    let app = App::boot("boots-slowly");
    app.install().ok();
    assert_eq!(app.machine.property(&app.unit(1), "NRestarts"), "0");
    says(&app.ctl(&["status"]).exits(0), &["online"]);
}

#[test]
fn a_boot_longer_than_the_health_checks_allow_is_waited_for_and_one_beyond_its_limit_ends_the_roll()
{
    let app = App::boot("boots-slowly").described_by("probed.toml").start();
    let children = app.children();
    let load = app.load(bystanders());
    app.reload();
    expect_no_reconnect(&app.finish(load));
    let swapped = app.children();
    assert!(children.iter().zip(&swapped).all(|(before, after)| before != after));

    // A release whose boot takes longer than `start_timeout`: the code alone has changed.
    let server = "/srv/apps/boots-slowly/server.js";
    let code = String::from_utf8(app.machine.sandbox.read(server).unwrap()).unwrap();
    app.machine.sandbox.write(server, code.replace("process.env.BOOT", "60000")).unwrap();
    let load = app.load(bystanders());
    says(&app.ctl(&["reload"]).exits(1), &["boots-probed@1.service", "instance 2 was not touched"]);
    expect_no_reconnect(&app.finish(load));
    assert_eq!(app.children(), swapped, "both serve on");
}

#[test]
fn what_an_app_forks_goes_with_it() {
    for name in ["forks", "cluster"] {
        let app = App::serving(name);
        let before = app.processes(1);
        let load = app.load(bystanders());
        app.reload();
        expect_no_reconnect(&app.finish(load));
        let after = app.processes(1);
        assert_eq!(before.len(), after.len(), "{name}: {before:?} became {after:?}");
        let stayed = before.iter().filter(|pid| after.contains(pid)).count();
        assert_eq!(stayed, 1, "only the front stays: {before:?} became {after:?}");
    }
}

#[test]
fn an_app_that_hangs_is_killed_and_started_again_and_nobody_waits_for_it() {
    let app = App::serving("hangs");
    let before = app.children();
    let load = app.load(bystanders());
    let hung_at = Machine::now();
    // Not to be asked again of another instance: it would hang that one too.
    let hang = ["curl", "-s", "-m", "30", "-d", "x", "http://127.0.0.1:3000/"];
    let answer = app.machine.run(&[&hang[..], &["-w", "%{http_code}"]].concat()).ok();
    assert!(answer.ends_with("502"), "{answer}");
    app.machine.until_journal_after(hung_at, "the app is killed", |entry| {
        entry.message.contains("health") && entry.unit.is_some()
    });
    app.finish(load);
    app.machine.until_journal_after(hung_at, "it is well again", |entry| {
        entry.message == "the app is well"
    });
    says(&app.ctl(&["health"]).exits(0), &["ok"]);
    let after = app.children();
    let others = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert_eq!(others, 1, "{before:?} became {after:?}");
}

#[test]
fn a_stopped_app_is_found_and_replaced_and_no_get_is_lost() {
    let app = App::serving("hangs");
    let (mains, before) = (app.mains(), app.children());
    let load = app.load(bystanders());
    app.machine.run(&["kill", "-STOP", &before[0].to_string()]).ok();
    app.machine.until_journal("the app is killed", |entry| entry.message.contains("health"));
    app.finish(load);
    assert_eq!(app.mains(), mains, "the front outlives it");
}

#[test]
fn a_request_that_kills_its_app_gets_two_processes_of_one_instance_and_is_named() {
    let app = App::serving("hangs");
    let (mains, before) = (app.mains(), app.children());
    let begun = Machine::now();
    let die = ["curl", "-s", "-m", "30", "-w", "%{http_code}", "http://127.0.0.1:3000/die?token=1"];
    let answer = app.machine.run(&die).ok();
    let answered = Machine::now();
    assert!(
        answer.contains("ended with the request in hand") && answer.ends_with("502"),
        "{answer}"
    );
    app.machine.until_journal_after(begun, "it is named", |entry| {
        entry.message == "the app had GET /die in hand when it crashed"
    });
    app.machine.until_journal_after(answered, "it is well again", |entry| {
        entry.message == "the app is well"
    });
    let restarts = || {
        let health = app.ctl(&["health", "-o", "json"]).output.stdout;
        let health: serde_json::Value = serde_json::from_str(&health).unwrap();
        [0, 1].map(|at| health["instances"][at]["app"]["restarts"].as_u64().unwrap())
    };
    let mut of_each = restarts();
    of_each.sort_unstable();
    assert_eq!(of_each, [0, 2]);
    assert!(!app.machine.journal().contains("token=1"), "what may be secret is not told");
    assert_eq!(app.mains(), mains, "the fronts outlive it");
    let after = app.children();
    assert_eq!(before.iter().zip(&after).filter(|(before, after)| before != after).count(), 1);

    // One whose answer had begun is named too, and not sent again.
    let begun = Machine::now();
    let half = ["curl", "-s", "-m", "30", "http://127.0.0.1:3000/half?token=1"];
    assert_eq!(app.machine.run(&half).exits(18).stdout, "half");
    app.machine.until_journal_after(begun, "it is named", |entry| {
        entry.message == "the app had GET /half in hand when it crashed"
    });
    app.machine
        .until_journal_after(begun, "it is well again", |entry| entry.message == "the app is well");
    assert_eq!(restarts().iter().sum::<u64>(), 3);
}

#[test]
fn an_app_that_leaks_is_killed_at_its_limit_and_comes_back() {
    let app = App::serving("leaks");
    if !app.machine.sandbox.memory_limits_work() {
        println!("SKIPPED: the memory controller cannot be had here, so MemoryMax= is ignored");
        return;
    }
    let before = app.children();
    let load = app.load(bystanders());
    let leak = "for i in $(seq 20); do curl -s -d x http://127.0.0.1:3000/ || :; done";
    let begun = Machine::now();
    app.machine.run(&["sh", "-c", leak]).ok();
    app.machine.until_journal_after(begun, "the kernel kills it", |entry| {
        entry.message.contains("OOM") || entry.message.contains("SIGKILL")
    });
    wait(load.until_each_answered(10)).unwrap();
    println!("{}", wait(load.stop()));
    // Each end is followed by a start.
    let ends = app.machine.journal().matches("by SIGKILL").count();
    let starts = Cell::new(0);
    app.machine.until_journal_after(begun, "each is well again", |entry| {
        starts.set(starts.get() + usize::from(entry.message == "the app is well"));
        starts.get() >= ends
    });
    says(&app.ctl(&["health"]).exits(0), &["ok"]);
    assert_ne!(app.children(), before);
}

#[test]
fn an_app_that_is_not_well_is_not_ready() {
    let app = App::boot("unhealthy");
    let failed = app.install().exits(1);
    says(&failed, &["unhealthy@1.service", "500", "/health"]);
}

#[test]
fn uploads_and_a_database_beside_the_code_are_kept_where_they_are_named() {
    let app = App::boot("writes");
    let folders = "cd /srv/apps/writes && mkdir uploads data && chown www-data uploads data";
    app.machine.run(&["sh", "-c", folders]).ok();
    let made = app.ctl(&["install-units", "--now"]).ok();
    assert!(made.contains("uploads"), "{made}");
    let url = "http://127.0.0.1:3000";
    let upload = format!(
        "for i in $(seq 20); do curl -sf -d hello {url}/$i.txt || exit 1; done; curl -sf {url}/count"
    );
    let said = app.machine.run(&["sh", "-c", &upload]).ok();
    assert!(said.ends_with("20"), "{said}");
    // They outlive a swap, a restart and the app.
    app.reload();
    app.ctl(&["restart"]).ok();
    let count = ["curl", "-sf", "http://127.0.0.1:3000/count"];
    assert_eq!(app.machine.run(&count).ok(), "20");
    let kept = app.machine.sandbox.read("/srv/apps/writes/uploads/7.txt").unwrap();
    assert_eq!(kept, b"hello");
}

#[test]
fn a_folder_that_may_not_be_written_is_explained() {
    let app = App::boot("writes").described_by("sealed.toml");
    says(&app.install().exits(1), &["writes@1.service"]);
    says(&app.ctl(&["logs"]).exits(0), &["writable"]);
    says(&app.ctl(&["status"]).exits(3), &["writable"]);
}
