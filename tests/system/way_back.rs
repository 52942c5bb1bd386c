//! The way back: what a rollback leads to, what a deploy that fails goes back to, and what the history says.

use std::io::Read as _;

use crate::shop::{CONFIG, Shop, pair};

#[test]
fn a_rollback_leads_to_what_served_and_never_to_what_nobody_has_tried() {
    let shop = Shop::boot();
    shop.version("two", "");
    let two = shop.deploy();
    // It lies in the folder only.
    shop.version("three", "");
    shop.ctl(&["rollback"]).ok();
    let kept = shop.run().remove(0);
    assert_eq!((shop.says().as_str(), shop.run()), ("one red", pair(&kept)));
    let (_, releases) = shop.json(&["releases"]);
    assert_eq!(releases["releases"][1]["source"], "what served", "{releases:#}");
    // Before that there was nothing.
    let said = shop.ctl(&["rollback"]).exits(2).stderr;
    assert!(said.contains("has no release to go back to"), "{said}");
    assert_eq!(shop.says(), "one red");
    shop.ctl(&["rollback", &two]).ok();
    assert_eq!(shop.says(), "two red");
    shop.ctl(&["rollback", "base"]).ok();
    assert_eq!((shop.says().as_str(), shop.run()), ("one red", pair(&kept)));
}

#[test]
fn what_was_reloaded_in_place_is_what_a_first_deploy_goes_back_to() {
    let shop = Shop::boot();
    shop.version("two", "");
    shop.ctl(&["reload"]).ok();
    assert_eq!((shop.says().as_str(), shop.run()), ("two red", pair("base")));
    // Nothing was changed since: what lies there is what serves.
    shop.deploy();
    shop.version("three", "");
    shop.ctl(&["rollback"]).ok();
    assert_eq!(shop.says(), "two red");
}

#[test]
fn a_first_deploy_that_is_broken_goes_back_to_what_served() {
    let shop = Shop::boot();
    shop.version("bad", "if (process.env.ROMUO_INSTANCE === '2') throw new Error('not two')");
    let (code, deployed) = shop.json(&["deploy"]);
    assert_eq!(
        (code, deployed["verdict"].as_str()),
        (Some(4), Some("rolled back")),
        "{deployed:#}"
    );
    assert_eq!(shop.says(), "one red");
    // Also after a crash, and after the next start.
    shop.ctl(&["restart"]).ok();
    assert_eq!(shop.says(), "one red");
    shop.is_clean();
}

#[test]
fn where_the_way_back_fails_too_both_causes_are_told() {
    let shop = Shop::boot();
    let needs = "require('fs').readFileSync('/srv/needed')\n";
    shop.write("../needed", "");
    shop.version("two", needs);
    let two = shop.deploy();
    // What the release before needs is gone when it is to come back.
    let keys = CONFIG.replace("[deploy]", "[deploy]\nbefore = [\"rm /srv/needed\"]");
    shop.write("romuo.toml", &format!("{keys}[environment]\nCOLOUR = \"red\"\n"));
    shop.version("bad", "if (process.env.ROMUO_INSTANCE === '2') throw new Error('not two')");
    let (code, deployed) = shop.json(&["deploy"]);
    let reason = deployed["reason"].as_str().unwrap();
    assert_eq!((code, deployed["verdict"].as_str()), (Some(1), Some("failed")), "{reason}");
    let causes = ["halted: shop@2.service", "and the way back to release", " failed too: shop@"];
    for cause in causes {
        assert!(reason.contains(cause), "{cause}: {reason}");
    }
    // Once that is mended, the next roll goes on with the way back.
    shop.write("../needed", "");
    shop.0.run(&["romuoctl", "--app", "shop", "reload"]).ok();
    assert_eq!((shop.says().as_str(), shop.run()), ("two red", pair(&two)));
    assert_eq!(shop.verdicts()[0].1, "rolled back");
    shop.is_clean();
}

#[test]
fn a_rollback_steps_back_by_what_served_however_often_one_went_to_and_fro() {
    let shop = Shop::boot();
    shop.version("two", "");
    let two = shop.deploy();
    shop.ctl(&["rollback"]).ok();
    assert_eq!(shop.says(), "one red");
    // Forward again, and back to what has served meanwhile.
    shop.ctl(&["rollback", &two]).ok();
    shop.ctl(&["rollback"]).ok();
    assert_eq!(shop.says(), "one red");
    shop.ctl(&["rollback", &two]).ok();
    shop.version("three", "");
    let three = shop.deploy();
    shop.ctl(&["rollback", "base"]).ok();
    // Not to what came after it.
    shop.ctl(&["rollback"]).exits(2);
    shop.ctl(&["rollback", &three]).ok();
    shop.ctl(&["rollback"]).ok();
    assert_eq!(shop.says(), "one red");
    shop.is_clean();
}

#[test]
fn a_rollback_that_was_canceled_says_nothing_of_the_release() {
    let shop = Shop::boot();
    shop.version("two", "");
    let two = shop.deploy();
    shop.version("three", "");
    let three = shop.deploy();
    // As long as it takes: the cancel comes while the first instance is being restarted.
    let held = "[Service]\nExecStartPre=/bin/sh -c 'while test -e /run/held; do sleep 0.1; done'\n";
    shop.0.drop_in("shop@1.service", held);
    shop.0.run(&["touch", "/run/held"]).ok();
    let begun = crate::machine::Machine::now();
    let asked = shop.0.spawn(&["romuoctl", "--app", "shop", "rollback"]);
    shop.0.until_journal_after(begun, "the roll has begun", |entry| {
        entry.message.contains("restarting shop@1.service")
    });
    shop.ctl(&["reload", "--cancel"]).ok();
    shop.0.run(&["rm", "/run/held"]).ok();
    assert_eq!(asked.wait_with_output().unwrap().status.code(), Some(4));
    assert_eq!((shop.says().as_str(), shop.run()), ("three red", pair(&three)));
    let verdict = |id: &str| shop.verdicts().into_iter().find(|(it, _)| it == id).unwrap().1;
    assert_eq!((verdict(&three).as_str(), verdict(&two).as_str()), ("serving", "replaced"));
    shop.ctl(&["rollback"]).ok();
    assert_eq!((shop.says().as_str(), shop.run()), ("two red", pair(&two)));
}

#[test]
fn what_was_shipped_while_the_app_was_stopped_has_not_served() {
    let shop = Shop::boot();
    shop.version("two", "");
    let two = shop.deploy();
    let staged = |version: &str| {
        shop.version(version, "");
        let (code, deployed) = shop.json(&["deploy"]);
        assert_eq!((code, deployed["verdict"].as_str()), (Some(0), Some("staged")), "{deployed:#}");
        deployed["release"].as_str().unwrap().to_owned()
    };
    let verdict = |id: &str| shop.verdicts().into_iter().find(|(it, _)| it == id).unwrap().1;
    shop.ctl(&["stop"]).ok();
    let three = staged("three");
    let four = staged("four");
    assert_eq!((verdict(&three).as_str(), verdict(&two).as_str()), ("failed", "serving"));
    shop.ctl(&["start"]).ok();
    assert_eq!((shop.says().as_str(), verdict(&four).as_str()), ("four red", "serving"));
    shop.ctl(&["rollback"]).ok();
    assert_eq!((shop.says().as_str(), shop.run()), ("two red", pair(&two)));

    // Who starts it by systemd starts it, too.
    shop.ctl(&["stop"]).ok();
    let five = staged("five");
    shop.0.systemctl(&["start", "shop.target"]).ok();
    shop.0.systemctl(&["stop", "shop.target", "shop@1.service", "shop@2.service"]).ok();
    let six = staged("six");
    assert_eq!((verdict(&five).as_str(), verdict(&six).as_str()), ("serving", "staged"));
    shop.0.systemctl(&["start", "shop.target"]).ok();
    shop.ctl(&["rollback"]).ok();
    assert_eq!((shop.says().as_str(), shop.run()), ("five red", pair(&five)));
}

#[test]
fn a_rollback_brings_the_number_of_instances_back() {
    let shop = Shop::boot();
    shop.deploy();
    let four = CONFIG.replace("[deploy]", "instances = 4\n[deploy]");
    shop.write("romuo.toml", &format!("{four}[environment]\nCOLOUR = \"red\"\n"));
    shop.deploy();
    assert_eq!(shop.run().len(), 4);
    shop.ctl(&["rollback"]).ok();
    assert_eq!(shop.run().len(), 2);
}

#[test]
fn a_deploy_that_is_interrupted_while_old_addresses_close_has_served() {
    let shop = Shop::boot();
    let one = shop.deploy();
    // The second start of this instance from here on is the one that closes the old address.
    let count = "starts=$$(cat /run/starts 2>/dev/null || echo 0); echo $$((starts + 1)) > /run/starts; \
                 test $$starts = 0 || while test -e /run/held; do sleep 0.1; done";
    shop.0.drop_in("shop@2.service", &format!("[Service]\nExecStartPre=+/bin/sh -c '{count}'\n"));
    shop.0.run(&["touch", "/run/held"]).ok();
    let text = CONFIG.replace("3000", "3001");
    shop.write("romuo.toml", &format!("{text}[environment]\nCOLOUR = \"red\"\n"));
    let begun = crate::machine::Machine::now();
    let command = ["env", "--chdir=/srv/shop", "romuoctl", "deploy", "-o", "json"];
    let mut deploy = shop.0.spawn(&command);
    shop.0.until_journal_after(begun, "the old address closes", |entry| {
        entry.message.starts_with("closing 127.0.0.1:3000")
    });
    shop.0.run(&["pkill", "--signal=INT", "--full", "--exact", "romuoctl deploy -o json"]).ok();
    let mut said = String::new();
    deploy.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    deploy.wait().unwrap();
    let deployed: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(deployed["verdict"], "serving", "{deployed:#}");
    let reason = deployed["reason"].as_str().unwrap();
    assert!(reason.contains("was interrupted, and the roll goes on without it"), "{reason}");
    shop.0.run(&["rm", "/run/held"]).ok();
    shop.ctl(&["reload"]).ok();
    let two = deployed["release"].as_str().unwrap();
    let verdicts = shop.verdicts();
    assert_eq!(verdicts[0], (two.to_owned(), "serving".to_owned()));
    assert_eq!(verdicts[1], (one, "replaced".to_owned()));
}

#[test]
fn a_port_that_is_taken_is_said_before_a_first_deploy_is_anything() {
    let shop = Shop::new();
    shop.ctl(&["install-units"]).ok();
    let taker = "import http.server as h; s = h.HTTPServer(('127.0.0.1', 3000), h.BaseHTTPRequestHandler); \
                 print('taken', flush=True); s.serve_forever()";
    let (mut taker, _) = shop.0.spawn_until_heard(&["python3", "-c", taker]);
    let (code, deployed) = shop.json(&["deploy"]);
    assert_eq!((code, deployed["verdict"].as_str()), (Some(1), Some("failed")), "{deployed:#}");
    let reason = deployed["reason"].as_str().unwrap();
    assert!(reason.contains("listens on 127.0.0.1:3000 already"), "{reason}");
    assert!(deployed["release"].is_null() && deployed["serves"].is_null(), "{deployed:#}");
    taker.kill().unwrap();
    taker.wait().unwrap();
    shop.deploy();
    assert_eq!(shop.says(), "one red");
}

#[test]
fn an_app_that_takes_the_place_of_another_inherits_nothing_of_it() {
    let shop = Shop::boot();
    // It is older than all that the other one has served.
    shop.0.run(&["cp", "-r", "/srv/shop", "/srv/other"]).ok();
    shop.0.run(&["sed", "-i", "s/'one'/'other'/", "/srv/other/server.js"]).ok();
    shop.version("two", "");
    shop.deploy();
    shop.version("three", "");
    shop.deploy();
    let other = |line: &str| {
        let line = format!("cd /srv/other && romuoctl {line}");
        shop.0.run(&["sh", "-c", &line])
    };
    let said = other("install-units --force --now").ok();
    for part in ["shop was installed from /srv/shop, and is from /srv/other now", "were put aside"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    // What still serves is the other one's: no way back leads there.
    let told = other("deploy --quiet").ok();
    assert_eq!(shop.says(), "other red", "{told}");
    let said = other("rollback").exits(2).stderr;
    assert!(said.contains("has no release to go back to"), "{said}");
    assert_eq!(shop.verdicts().len(), 1);

    // The same where its folder is gone, and nobody has deployed it.
    shop.0.run(&["sh", "-c", "mv /srv/other /srv/third && touch -d 2020-01-01 /srv/third/*"]).ok();
    let third = |line: &str| {
        let line = format!("cd /srv/third && romuoctl {line}");
        shop.0.run(&["sh", "-c", &line])
    };
    third("uninstall-units --purge").exits(0);
    third("install-units --now").ok();
    shop.0.run(&["mv", "/srv/third", "/srv/fourth"]).ok();
    let said = shop.0.run(&["sh", "-c", "cd /srv/fourth && romuoctl install-units"]).ok();
    assert!(said.contains("were put aside, and are not used"), "{said}");
    let (_, releases) = shop.json(&["--app", "shop", "releases"]);
    assert_eq!(releases["releases"].as_array().map(Vec::len), Some(0), "{releases:#}");
}
