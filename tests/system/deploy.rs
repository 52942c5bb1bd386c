//! `romuoctl deploy` and `rollback`: what serves, what is told, what is kept.

use serde_json::Value;

use crate::machine::{Machine, Ran};

/// An app that says which version it is, in its folder and in its environment.
const SERVER: &str = "
const http = require('http')
const VERSION = 'one'
http.createServer((request, response) => response.end(VERSION + ' ' + process.env.COLOUR))
  .listen(process.env.PORT)
";

const CONFIG: &str = "name = \"shop\"\ncommand = [\"node\", \"server.js\"]\n\
     listen = [\"127.0.0.1:3000\"]\n";

/// A machine on which the app runs from its folder.
struct Shop(Machine);

impl Shop {
    fn boot() -> Self {
        let shop = Self(Machine::boot());
        shop.write("server.js", SERVER);
        shop.configure("red", "");
        shop.ctl(&["install-units", "--now"]).ok();
        shop
    }

    fn write(&self, file: &str, text: &str) {
        self.0.sandbox.write(format!("/srv/shop/{file}"), text).unwrap();
    }

    fn configure(&self, colour: &str, tables: &str) {
        let text = format!("{CONFIG}{tables}\n[environment]\nCOLOUR = \"{colour}\"\n");
        self.write("romuo.toml", &text);
    }

    fn ctl(&self, arguments: &[&str]) -> Ran {
        self.0.run(&[&["env", "--chdir=/srv/shop", "romuoctl"], arguments].concat())
    }

    /// What `romuoctl VERB -o json` says, and its exit code.
    fn json(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let ran = self.ctl(&[arguments, &["-o", "json"]].concat());
        let value = serde_json::from_str(&ran.output.stdout);
        (ran.output.code, value.unwrap_or_else(|error| panic!("{error}: {ran:?}")))
    }

    /// What each instance answers, by asking until both have.
    fn says(&self) -> String {
        self.0.run(&["curl", "-sS", "http://127.0.0.1:3000/"]).ok()
    }
}

#[test]
fn a_good_release_serves_and_the_one_before_comes_back() {
    let shop = Shop::boot();
    assert_eq!(shop.says(), "one red");
    shop.write("server.js", &SERVER.replace("'one'", "'two'"));
    let ran = shop.ctl(&["deploy"]);
    println!("{ran:?}");
    ran.ok();
    assert_eq!(shop.says(), "two red");
    let ran = shop.ctl(&["releases"]);
    println!("{}", ran.ok());
    shop.write("server.js", &SERVER.replace("'one'", "'three'"));
    shop.configure("blue", "");
    println!("{:?}", shop.json(&["deploy"]));
    assert_eq!(shop.says(), "three blue");
    println!("{:?}", shop.ctl(&["rollback"]));
    assert_eq!(shop.says(), "two red");
    println!("{}", shop.ctl(&["releases"]).ok());
    println!("{:?}", shop.ctl(&["rollback", "base"]));
    println!("{}", shop.ctl(&["releases"]).ok());
    println!("{}", shop.0.journal());
}
