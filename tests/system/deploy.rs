//! `romuoctl deploy` and `rollback`: what serves, what is told, what is kept.

use crate::shop::{CONFIG, SERVER, Shop, pair};

#[test]
fn what_the_app_writes_and_its_secrets_stay_where_they_are() {
    let shop = Shop::boot();
    shop.write(".env", "COLOUR=green\n");
    shop.write("uploads/picture", "");
    let keys = "env_file = \".env\"\nwritable = [\"uploads\"]\n[deploy]";
    shop.write("romuo.toml", &CONFIG.replace("[deploy]", keys));
    let told = shop.ctl(&["deploy", "--dry-run"]).ok();
    let at = |text: &str| told.find(text).unwrap_or_else(|| panic!("{text} is not in {told}"));
    assert!(at("uploads stays where it is: /srv/shop/uploads") < at("rehearse "), "{told}");
    let release = shop.deploy();
    assert_eq!(shop.says(), "one green");
    for name in [".env", "uploads"] {
        let path = format!("/var/lib/romuo/shop/releases/{release}/{name}");
        assert_eq!(shop.0.run(&["readlink", &path]).ok().trim(), format!("/srv/shop/{name}"));
    }
    // Both are as they are by now, whatever the release.
    shop.write(".env", "COLOUR=white\n");
    shop.ctl(&["reload"]).ok();
    assert_eq!((shop.says().as_str(), shop.run()), ("one white", pair(&release)));
}

#[test]
fn a_good_release_serves_and_the_one_before_comes_back() {
    let shop = Shop::boot();
    assert_eq!(shop.says(), "one red");
    shop.version("two", "");
    let two = shop.deploy();
    assert_eq!((shop.says().as_str(), shop.run()), ("two red", pair(&two)));

    // Only the code is another one: it is swapped.
    shop.version("three", "");
    let (_, deployed) = shop.json(&["deploy"]);
    let how = deployed["roll"]["how"].as_array().unwrap().iter();
    assert!(how.clone().all(|one| one["done"] == "swapped") && how.count() == 2, "{deployed:#}");
    let three = deployed["release"].as_str().unwrap().to_owned();
    assert_eq!((shop.says().as_str(), shop.run()), ("three red", pair(&three)));

    // With its configuration.
    shop.version("four", "");
    shop.configure("blue", "");
    let four = shop.deploy();
    assert_eq!((shop.says().as_str(), shop.run()), ("four blue", pair(&four)));
    shop.ctl(&["rollback"]).ok();
    assert_eq!((shop.says().as_str(), shop.run()), ("three red", pair(&three)));
    shop.ctl(&["rollback", &two]).ok();
    assert_eq!((shop.says().as_str(), shop.run()), ("two red", pair(&two)));
    let kept = shop.verdicts().pop().unwrap().0;
    let verdicts =
        [(&four, "rolled back"), (&three, "rolled back"), (&two, "serving"), (&kept, "replaced")];
    let verdicts = verdicts.map(|(id, verdict)| (id.clone(), verdict.to_owned()));
    assert_eq!(shop.verdicts(), verdicts);

    // A crash brings back what it ran, and so does a boot of the units.
    shop.ctl(&["restart"]).ok();
    assert_eq!((shop.says().as_str(), shop.run()), ("two red", pair(&two)));
    shop.ctl(&["rollback", "base"]).ok();
    assert_eq!((shop.says().as_str(), shop.run()), ("one red", pair(&kept)));
    shop.is_clean();
}

#[test]
fn a_build_touches_nothing_of_the_folder() {
    let shop = Shop::boot();
    shop.write("lib/words.js", "module.exports = 'kept'");
    let needs = "const words = require('./lib/words.js')\n";
    shop.write("server.js", &format!("{needs}{}", SERVER.replace("VERSION + ' '", "words + ' '")));
    shop.ctl(&["restart"]).ok();
    assert_eq!(shop.says(), "kept red");
    let build = |line: &str| {
        let keys = format!("[deploy]\nbuild = ['{line}']");
        shop.write("romuo.toml", &CONFIG.replace("[deploy]", &keys));
    };
    // As `npm ci` does that finds no network.
    build("rm -rf lib && false");
    shop.ctl(&["deploy"]).exits(1);
    shop.ctl(&["restart"]).ok();
    assert_eq!(shop.says(), "kept red");
    // What it makes is in the release alone.
    build("echo \"module.exports = process.env.HOME && \\\"built\\\"\" > lib/words.js");
    shop.deploy();
    assert!(shop.says().starts_with("built "), "{}", shop.says());
    let there = shop.0.sandbox.read("/srv/shop/lib/words.js").unwrap();
    assert_eq!(there, b"module.exports = 'kept'");
    shop.is_clean();
}

#[test]
fn a_build_may_ask_git_and_finds_the_data_of_the_app() {
    let shop = Shop::boot();
    let keys = "writable = [\"data\"]\nenv_file = \".env\"\n[deploy]\n\
                build = [\"git rev-parse HEAD > revision\", \"cat data/kept .env > seen\"]";
    shop.write("romuo.toml", &CONFIG.replace("[deploy]", keys));
    shop.write("data/kept", "data\n");
    shop.write(".env", "COLOUR=green\n");
    let git = "cd /srv/shop && git init -q -b main . && git add -A && git -c user.name=a -c user.email=a@b \
               commit -qm one && git rev-parse HEAD";
    let commit = shop.0.run(&["sh", "-c", git]).ok();
    let release = shop.deploy();
    let read = |name: &str| {
        let path = format!("/var/lib/romuo/shop/releases/{release}/{name}");
        String::from_utf8(shop.0.sandbox.read(&path).unwrap()).unwrap()
    };
    assert_eq!(read("revision"), commit);
    assert_eq!(read("seen"), "data\nCOLOUR=green\n");
    // The repository knows of nothing that is gone.
    let trees = shop.0.run(&["git", "-C", "/srv/shop", "worktree", "list"]).ok();
    assert_eq!(trees.lines().count(), 1, "{trees}");
}

#[test]
fn the_first_deploy_starts_an_app_that_nobody_has_stopped() {
    let shop = Shop::new();
    shop.ctl(&["install-units"]).ok();
    let one = shop.deploy();
    assert_eq!((shop.says().as_str(), shop.run()), ("one red", pair(&one)));
    // Who stopped it wants it so.
    shop.ctl(&["stop"]).ok();
    shop.version("two", "");
    let told = shop.ctl(&["deploy"]).exits(0);
    let told = [told.stdout, told.stderr].concat();
    assert!(told.contains("the app is stopped, and starts with the release"), "{told}");
    assert_eq!(shop.0.status_of("shop")["state"], "stopped");
    shop.ctl(&["start"]).ok();
    assert_eq!(shop.says(), "two red");
}

#[test]
fn a_release_that_is_broken_does_not_touch_what_serves() {
    let shop = Shop::boot();
    shop.version("two", "");
    let two = shop.deploy();
    let before = [1, 2].map(|id| shop.0.property(&format!("shop@{id}.service"), "InvocationID"));
    for (more, said) in
        [("throw new Error('no')", "exited with code 1"), ("process.exit(7)", "exited with code 7")]
    {
        shop.version("bad", more);
        let (code, deployed) = shop.json(&["deploy"]);
        let reason = deployed["reason"].as_str().unwrap();
        println!("{reason}");
        assert_eq!((code, deployed["verdict"].as_str()), (Some(1), Some("failed")), "{reason}");
        assert!(reason.contains(said), "{reason}");
        assert_eq!((shop.says().as_str(), shop.run()), ("two red", pair(&two)));
        shop.is_clean();
    }
    let after = [1, 2].map(|id| shop.0.property(&format!("shop@{id}.service"), "InvocationID"));
    assert_eq!(before, after);
}

#[test]
fn a_release_that_breaks_only_in_an_instance_is_taken_back() {
    let shop = Shop::boot();
    shop.version("two", "");
    let two = shop.deploy();
    // The candidate is instance 1 of its own; the second one throws.
    shop.version("bad", "if (process.env.ROMUO_INSTANCE === '2') throw new Error('not two')");
    let (code, deployed) = shop.json(&["deploy"]);
    println!("{deployed:#}");
    assert_eq!((code, deployed["verdict"].as_str()), (Some(4), Some("rolled back")));
    assert_eq!((shop.says().as_str(), shop.run()), ("two red", pair(&two)));
    // With another configuration the units go back, too.
    shop.configure("blue", "[limits]\nmemory = \"200M\"\n");
    let (code, deployed) = shop.json(&["deploy"]);
    println!("{deployed:#}");
    assert_eq!((code, deployed["verdict"].as_str()), (Some(4), Some("rolled back")));
    assert_eq!((shop.says().as_str(), shop.run()), ("two red", pair(&two)));
    assert_eq!(shop.0.property("shop@1.service", "MemoryMax"), (300 << 20).to_string());
    shop.is_clean();
}

#[test]
fn whoever_wants_to_hear_of_failures_hears_of_each() {
    let shop = Shop::boot();
    let line = "echo \"$ROMUO_SOURCE, $ROMUO_VERDICT: $ROMUO_REASON\" > heard";
    let hook = format!("[deploy]\non_failure = ['{line}']");
    shop.write("romuo.toml", &CONFIG.replace("[deploy]", &hook));
    let heard = || String::from_utf8(shop.0.sandbox.read("/srv/shop/heard").unwrap()).unwrap();
    shop.deploy();
    // Before there is a release of it, when that is tried, and when it is rolled.
    shop.ctl(&["deploy", "--git", "v9"]).exits(1);
    assert!(heard().starts_with("git v9, failed: "), "{}", heard());
    shop.version("bad", "throw new Error('no')");
    shop.ctl(&["deploy"]).exits(1);
    assert!(heard().starts_with("folder, failed: release "), "{}", heard());
    shop.version("bad", "if (process.env.ROMUO_INSTANCE === '2') throw new Error('not two')");
    shop.ctl(&["deploy"]).exits(4);
    assert!(heard().starts_with("folder, rolled back: "), "{}", heard());
    shop.is_clean();
}

#[test]
fn a_commit_and_an_archive_are_shipped_as_they_are_and_data_stays_where_it_is() {
    let shop = Shop::boot();
    let more = "writable = [\"uploads\"]\nenv_file = \".env\"\n";
    let keys = CONFIG.replace("[deploy]", &format!("{more}[deploy]\nbuild = [\"sh build.sh\"]"));
    shop.write("romuo.toml", &keys);
    shop.write(".env", "COLOUR=green\n");
    shop.write(".gitignore", ".env\nuploads\nbuilt\n");
    shop.write("uploads/kept", "by an app of before");
    shop.write("build.sh", "echo built by $(id -un) for $ROMUO_APP; echo yes > built\n");
    let code = SERVER.replace(
        "VERSION + ' '",
        "VERSION + ' ' + fs.readFileSync('uploads/kept') + ', built: ' + fs.readFileSync('built')",
    );
    let code = format!("const fs = require('fs')\n{code}");
    shop.write("server.js", &code.replace("'one'", "'committed'"));
    let user = "chown -R nobody /srv/shop && chmod 755 /srv/shop";
    shop.0.run(&["sh", "-c", user]).ok();
    let git = |line: &str| {
        let line = format!("cd /srv/shop && git -c user.name=a -c user.email=a@b {line}");
        let command = ["setpriv", "--reuid", "nobody", "--clear-groups", "sh", "-c", &line];
        shop.0.run(&[&["env", "HOME=/"][..], &command].concat()).ok()
    };
    git("init -q -b main . && git add -A && git -c user.name=a -c user.email=a@b commit -qm one");
    // What is not committed is not shipped.
    shop.write("server.js", &code.replace("'one'", "'changed'"));

    let (code_, deployed) = shop.json(&["deploy", "--git", "main"]);
    assert_eq!(code_, Some(0), "{deployed:#}\n{}", shop.0.journal());
    assert_eq!(shop.says(), "committed by an app of before, built: yes\ngreen");
    let id = deployed["release"].as_str().unwrap();
    let commit = git("rev-parse --short=7 main");
    // What served before is a release, too: where both are of one second, this one ends in `.2`.
    let (first, _) = id.split_once('.').unwrap_or((id, ""));
    assert!(first.ends_with(&format!("-{}", commit.trim())), "{id}");
    let (_, releases) = shop.json(&["releases"]);
    assert_eq!(releases["releases"][0]["source"], "git main");
    let log = shop.0.run(&["cat", &format!("/var/lib/romuo/shop/logs/{id}.log")]).ok();
    assert!(log.contains("built by nobody for shop"), "{log}");
    shop.is_clean();

    let pack = "cd /srv && mkdir pack && cp -r shop/romuo.toml shop/build.sh shop/server.js pack && \
         tar czf shop.tgz pack";
    shop.0.run(&["sh", "-c", pack]).ok();
    let ran = shop.0.run(&["romuoctl", "--app", "shop", "deploy", "--archive", "/srv/shop.tgz"]);
    ran.ok();
    assert_eq!(shop.says(), "changed by an app of before, built: yes\ngreen");
    shop.is_clean();
    let dry = shop.ctl(&["deploy", "--dry-run"]).ok();
    for part in ["build     $ sh build.sh", "uploads stays where it is: /srv/shop/uploads"] {
        assert!(dry.contains(part), "{part}: {dry}");
    }
}

#[test]
fn what_is_shipped_cannot_have_root_read_or_run_anything_through_a_link() {
    let shop = Shop::boot();
    shop.0.run(&["sh", "-c", "chown -R nobody /srv/shop && chmod 755 /srv/shop"]).ok();
    shop.0.run(&["mkdir", "-m", "700", "/srv/secret"]).ok();
    shop.0.run(&["sh", "-c", "echo seen > /srv/secret/server.js"]).ok();
    let deployed = |make: &str| {
        let pack = "cd /srv && rm -rf pack && cp -r shop pack && cd pack";
        let make = format!("{pack} && {make} && tar czf /srv/shop.tgz -C /srv pack");
        shop.0.run(&["sh", "-c", &make]).ok();
        shop.0.run(&["romuoctl", "--app", "shop", "deploy", "--archive", "/srv/shop.tgz"])
    };

    let ran = deployed("ln -sf /etc/shadow romuo.toml").exits(2);
    assert!(ran.stderr.contains("romuo.toml"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("root:"), "{}", ran.stderr);
    let ran = deployed("rm romuo.toml && mkfifo romuo.toml").exits(2);
    assert!(ran.stderr.contains("it is no file"), "{}", ran.stderr);

    // A line puts something else in the place of its folder, where the next one would run as root.
    let swap = "build = [\"mv ../pack ../x; ln -s /srv/secret ../pack\", \"id -un\"]\n";
    let ran = deployed(&format!(
        "printf '%s' '{swap}' | sed -i '/^\\[deploy\\]/r /dev/stdin' romuo.toml"
    ))
    .exits(1);
    assert!(ran.stderr.contains("of user 0"), "{}", ran.stderr);
    assert!(format!("{ran:?}").contains("nobody"), "{ran:?}");
    // What served is the only release.
    let seen = ["grep", "-rl", "seen", "/var/lib/romuo/shop/releases"];
    assert_eq!(shop.0.run(&seen).output.stdout, "");
    assert_eq!(shop.0.run(&["ls", "/var/lib/romuo/shop/releases"]).ok().lines().count(), 1);

    // So would all lines where the home leads to a release, which is root's.
    shop.0.run(&["sh", "-c", "mv /srv/shop /srv/real"]).ok();
    shop.0.run(&["mkdir", "-p", "/var/lib/romuo/shop/releases/x"]).ok();
    shop.0.run(&["cp", "/srv/real/romuo.toml", "/var/lib/romuo/shop/releases/x"]).ok();
    shop.0.run(&["ln", "-s", "/var/lib/romuo/shop/releases/x", "/srv/shop"]).ok();
    let ran = shop.ctl(&["--config", "/srv/shop/romuo.toml", "deploy"]).exits(2);
    assert!(ran.stderr.contains("where releases are kept"), "{}", ran.stderr);
    assert_eq!(shop.says(), "one red");
}

#[test]
fn old_releases_go_and_those_in_use_stay() {
    let shop = Shop::boot();
    shop.configure("red", "keep = 2\n");
    let first = shop.deploy();
    let mut last = Vec::new();
    for version in ["two", "three", "four"] {
        shop.version(version, "");
        last.push(shop.deploy());
    }
    // An instance that is stopped goes along: nothing holds the first one any more.
    let there = shop.0.run(&["ls", "/var/lib/romuo/shop/releases"]).ok();
    let there: Vec<&str> = there.lines().collect();
    assert_eq!(there, [&last[1], &last[2]], "and not {first}");
    let (_, releases) = shop.json(&["releases"]);
    let kept = releases["releases"].as_array().unwrap().iter().map(|one| &one["kept"]);
    // And neither what served before them all.
    assert_eq!(kept.collect::<Vec<_>>(), [true, true, false, false, false]);
    let gone = shop.ctl(&["rollback", &first]).exits(2);
    assert!(gone.stderr.contains("has no release"), "{gone:?}");
    assert_eq!((shop.says().as_str(), shop.run()), ("four red", pair(&last[2])));
}

#[test]
fn a_deploy_mends_an_app_whose_instances_are_errored() {
    let shop = Shop::boot();
    shop.configure("red", "[limits]\nmax_restarts = 2\nretry_errored = \"1h\"\n");
    shop.version("one", "if (require('fs').existsSync('/srv/broken')) process.exit(1)\n");
    shop.deploy();
    shop.0.sandbox.write("/srv/broken", "").unwrap();
    shop.ctl(&["restart"]).exits(1);
    for unit in ["shop@1.service", "shop@2.service"] {
        shop.0.until_standing_in(unit);
    }
    assert!(shop.says().starts_with("503 Service Unavailable: "), "{}", shop.says());
    // What is broken too is found so beside them, as ever.
    shop.version("two", "process.exit(2)\n");
    let (code, refused) = shop.json(&["deploy"]);
    assert_eq!(code, Some(1), "{refused:#}");
    shop.version("three", "");
    let three = shop.deploy();
    assert_eq!(shop.says(), "three red");
    assert_eq!(shop.run(), pair(&three));
    shop.is_clean();
}

/// Has the right to deploy, and does nothing with it.
const DEPLOYS: &str = "import fcntl, signal
held = open('/var/lib/romuo/shop/deploy.lock')
fcntl.flock(held, fcntl.LOCK_EX)
print('held', flush=True)
signal.pause()
";

#[test]
fn what_is_being_deployed_is_not_uninstalled() {
    let shop = Shop::boot();
    shop.deploy();
    let (mut deploy, said) = shop.0.spawn_until_heard(&["python3", "-c", DEPLOYS]);
    assert_eq!(said, "held\n");
    let refused = shop.ctl(&["uninstall-units"]).exits(1);
    assert!(refused.stderr.contains("deploy"), "{refused:?}");
    // Nor is anything installed beside it: half of that would be, and systemd would not be told.
    shop.write("romuo.toml", &CONFIG.replace("[deploy]", "[limits]\nmemory = \"300M\"\n[deploy]"));
    let before = shop.0.run(&["cat", "/etc/systemd/system/shop@.service"]).ok();
    let refused = shop.ctl(&["install-units", "--force"]).exits(1);
    assert!(refused.stderr.contains("deploy"), "{refused:?}");
    assert_eq!(shop.0.run(&["cat", "/etc/systemd/system/shop@.service"]).ok(), before);
    assert_eq!(shop.says(), "one red");
    deploy.kill().unwrap();
    deploy.wait().unwrap();
    shop.ctl(&["uninstall-units"]).ok();
}
