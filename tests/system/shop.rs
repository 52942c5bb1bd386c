//! A machine with an app that is deployed, and what it says of itself.

use std::fmt::Write as _;

use serde_json::Value;

use crate::machine::{Machine, Ran};

/// An app that says which version it is, in its code and in its environment.
pub(crate) const SERVER: &str = "const http = require('http')
const VERSION = 'one'
http.createServer((request, response) => response.end(VERSION + ' ' + process.env.COLOUR))
  .listen(process.env.PORT)
";

pub(crate) const CONFIG: &str = "name = \"shop\"\ncommand = [\"node\", \"server.js\"]\n\
     listen = [\"127.0.0.1:3000\"]\n[deploy]\nwatch = \"0s\"\n";

/// A machine on which the app runs from its folder.
pub(crate) struct Shop(pub(crate) Machine);

impl Shop {
    pub(crate) fn boot() -> Self {
        let shop = Self::new();
        shop.ctl(&["install-units", "--now"]).ok();
        shop
    }

    /// The same before it is installed.
    pub(crate) fn new() -> Self {
        let shop = Self(Machine::boot());
        shop.write("server.js", SERVER);
        shop.configure("red", "");
        shop
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        self.0.sandbox.write(format!("/srv/shop/{file}"), text).unwrap();
    }

    /// The next release says this, and `more` is added to its code.
    pub(crate) fn version(&self, version: &str, more: &str) {
        let code = SERVER.replace("'one'", &format!("'{version}'"));
        self.write("server.js", &format!("{code}{more}"));
    }

    pub(crate) fn configure(&self, colour: &str, more: &str) {
        let mut text = CONFIG.to_owned();
        let _ = write!(text, "{more}\n[environment]\nCOLOUR = \"{colour}\"\n");
        self.write("romuo.toml", &text);
    }

    pub(crate) fn ctl(&self, arguments: &[&str]) -> Ran {
        self.0.run(&[&["env", "--chdir=/srv/shop", "romuoctl"], arguments].concat())
    }

    /// What `romuoctl VERB -o json` says, and its exit code.
    pub(crate) fn json(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let ran = self.ctl(&[arguments, &["-o", "json"]].concat());
        let value = serde_json::from_str(&ran.output.stdout);
        (ran.output.code, value.unwrap_or_else(|error| panic!("{error}: {ran:?}")))
    }

    /// Ships a release that is to come out well; its id.
    pub(crate) fn deploy(&self) -> String {
        let (code, deployed) = self.json(&["deploy"]);
        assert_eq!(code, Some(0), "{deployed:#}\n{}", self.0.journal());
        assert_eq!(deployed["verdict"], "serving");
        assert_eq!(deployed["serves"], deployed["release"]);
        deployed["release"].as_str().unwrap().to_owned()
    }

    /// What an instance answers.
    pub(crate) fn says(&self) -> String {
        self.0.run(&["curl", "-sS", "http://127.0.0.1:3000/"]).ok()
    }

    /// The release of each instance, as it says itself.
    pub(crate) fn run(&self) -> Vec<String> {
        let status = self.0.run(&["romuoctl", "--app", "shop", "status", "-o", "json"]);
        let status: Value = serde_json::from_str(&status.output.stdout).unwrap();
        let instances = status["instances"].as_array().unwrap().iter();
        instances.map(|one| one["release"].as_str().unwrap_or("base").to_owned()).collect()
    }

    /// The verdicts in the history, the newest first.
    pub(crate) fn verdicts(&self) -> Vec<(String, String)> {
        let (_, releases) = self.json(&["releases"]);
        let releases = releases["releases"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        releases.map(|one| (text(&one["id"]), text(&one["verdict"]))).collect()
    }

    /// Nothing of a deploy is left behind.
    pub(crate) fn is_clean(&self) {
        let units = ["list-units", "--all", "--no-legend", "shop.candidate*"];
        assert_eq!(self.0.systemctl(&units).ok(), "");
        let left = "find /run/systemd/system /run/romuo -name 'shop.candidate*' -o -name 'shop.trial' \
             -o -name 'shop.deploy.json'; find /var/lib/romuo/shop/work /var/lib/romuo/shop/releases \
             -mindepth 1 -maxdepth 1 -name '.*' -o -path '*/work/*' 2>/dev/null";
        assert_eq!(self.0.run(&["sh", "-c", left]).output.stdout, "");
    }
}

pub(crate) fn pair(text: &str) -> Vec<String> {
    vec![text.to_owned(); 2]
}
