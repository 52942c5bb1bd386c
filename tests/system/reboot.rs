//! A machine that loses its power in the middle of a deploy, and what comes up then.

use std::path::Path;

use serde_json::Value;

use crate::machine::{Machine, Ran, builder};

/// What outlasts a reboot.
const DISK: [&str; 4] = ["/srv/shop", "/var/lib/romuo", "/etc/romuo", "/etc/systemd/system"];

/// An app that says which version it is. Instance SLOW does not listen for long after its start.
const SERVER: &str = "const http = require('http')
const server = http.createServer((request, response) => response.end('VERSION'))
if (process.env.ROMUO_INSTANCE === 'SLOW') {
  console.log('a slow start has begun')
  setTimeout(() => server.listen(process.env.PORT), 600000)
} else {
  server.listen(process.env.PORT)
}
";

const CONFIG: &str = "name = \"shop\"\ncommand = [\"node\", \"server.js\"]\n\
     listen = [\"127.0.0.1:3000\"]\ninstances = 2\nreload.method = \"swap\"\ndeploy.watch = \"0s\"\n\
     limits.start_timeout = \"120s\"\n";

/// A machine that was switched on.
struct Shop(Machine);

impl Shop {
    /// Boots it with what is on its disk.
    fn boot(disk: &Path) -> Self {
        let bound = DISK.iter().fold(builder(), |builder, path| {
            builder.bind(disk.join(path.trim_start_matches('/')), path)
        });
        Self(Machine { sandbox: bound.boot().unwrap_or_else(|error| panic!("{error}")) })
    }

    fn write(&self, version: &str, slow: &str) {
        let code = SERVER.replace("VERSION", version).replace("SLOW", slow);
        self.0.sandbox.write("/srv/shop/server.js", code).unwrap();
    }

    fn ctl(&self, arguments: &[&str]) -> Ran {
        self.0.run(&[&["env", "--chdir=/srv/shop", "romuoctl"], arguments].concat())
    }

    fn json(&self, verb: &str) -> Value {
        let said = self.ctl(&[verb, "-o", "json"]).ok();
        serde_json::from_str(&said).unwrap()
    }

    /// Ships a version, and takes the power away while the instance that is slow with it starts.
    fn lose_power(self, version: &str, slow: &str) {
        self.write(version, slow);
        let begun = Machine::now();
        let mut deploy = self.0.spawn(&["env", "--chdir=/srv/shop", "romuoctl", "deploy"]);
        let is_slow = "a slow start has begun";
        self.0.until_journal_after(begun, is_slow, |entry| entry.message == is_slow);
        drop(self);
        deploy.wait().unwrap();
    }

    /// The release of each instance, as it says itself; all of them are well.
    fn run(&self) -> Vec<String> {
        let status = self.json("status");
        assert_eq!(status["state"], "online", "{status:#}\n{}", self.0.journal());
        let instances = status["instances"].as_array().unwrap().iter();
        instances.map(|one| one["release"].as_str().unwrap().to_owned()).collect()
    }

    /// The releases, the newest first: id, verdict, and the instances that run it.
    fn releases(&self) -> Vec<(String, String, Value)> {
        let releases = self.json("releases");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let one = |one: &Value| (text(&one["id"]), text(&one["verdict"]), one["instances"].clone());
        releases["releases"].as_array().unwrap().iter().map(one).collect()
    }
}

#[test]
fn a_reboot_in_the_middle_of_a_deploy_comes_up_on_what_was_verified() {
    let disk = tempfile::tempdir().unwrap();
    for path in DISK {
        std::fs::create_dir_all(disk.path().join(path.trim_start_matches('/'))).unwrap();
    }
    let shop = Shop::boot(disk.path());
    shop.0.sandbox.write("/srv/shop/romuo.toml", CONFIG).unwrap();
    shop.write("one", "none");
    shop.ctl(&["install-units", "--now"]).ok();
    shop.ctl(&["deploy"]).ok();
    let [one, _] = <[String; 2]>::try_from(shop.run()).unwrap();

    // Not even instance 1 has shown that it is well with it: nobody runs it.
    shop.lose_power("two", "1");
    let shop = Shop::boot(disk.path());
    assert_eq!(shop.run(), [one.clone(), one.clone()]);
    let releases = shop.releases();
    assert_eq!((&*releases[0].1, &releases[0].2), ("staged", &serde_json::json!([])));
    assert_eq!(releases[1], (one.clone(), "serving".into(), serde_json::json!(["1", "2"])));

    // Instance 1 has, and instance 2 has not: each comes up with what it was well with.
    shop.lose_power("three", "2");
    let shop = Shop::boot(disk.path());
    let releases = shop.releases();
    let three = releases[0].0.clone();
    assert_eq!(shop.run(), [three.clone(), one.clone()]);
    assert_eq!(releases[0], (three, "staged".into(), serde_json::json!(["1"])));
    assert_eq!(releases[2], (one.clone(), "serving".into(), serde_json::json!(["2"])));
    assert_eq!(shop.json("releases")["current"], one.as_str());

    // All are brought to what came out well last.
    let begun = Machine::now();
    shop.ctl(&["reload"]).ok();
    assert_eq!(shop.run(), [one.clone(), one.clone()]);
    let all_go = format!("some instances run something else: all go to release {one}");
    shop.0.until_journal_after(begun, &all_go, |entry| entry.message == all_go);
    shop.write("four", "none");
    shop.ctl(&["deploy"]).ok();
    let four = shop.releases()[0].0.clone();
    assert_eq!(shop.run(), [four.clone(), four]);
}
