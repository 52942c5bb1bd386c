//! An ecosystem file of PM2 as its apps.

use serde_json::{Map, Value};

use super::environment::SERVE;
use super::options::Fate;
use super::report::Line;

/// What a file says, taken apart.
#[derive(Debug, Default)]
pub(super) struct Ecosystem {
    pub(super) apps: Vec<Map<String, Value>>,
    /// The hosts that PM2 deploys to, by their names.
    pub(super) deploy: Option<Map<String, Value>>,
    /// What became of the rest.
    pub(super) others: Vec<Line>,
}

/// Takes a file apart: `{apps: [...]}`, `{apps: {...}}`, a list at the top, or one app.
pub(super) fn take_apart(value: Value) -> Ecosystem {
    let mut ecosystem = Ecosystem::default();
    match value {
        Value::Array(items) => ecosystem.add_all(items),
        Value::Object(fields) if is_app(&fields) => ecosystem.apps.push(fields),
        Value::Object(fields) => {
            for (key, value) in fields {
                ecosystem.add(&key, value);
            }
        }
        _ => {}
    }
    ecosystem
}

fn is_app(fields: &Map<String, Value>) -> bool {
    !fields.contains_key("apps")
        && ["script", "cmd", "command", "exec"].iter().any(|key| fields.contains_key(*key))
}

impl Ecosystem {
    fn add_all(&mut self, items: Vec<Value>) {
        for item in items {
            match item {
                Value::Object(fields) => self.apps.push(fields),
                other => self.others.push(Line::new(
                    "apps",
                    &other,
                    Fate::Unsupported,
                    "an app is an object with a `script`",
                )),
            }
        }
    }

    fn add(&mut self, key: &str, value: Value) {
        match (key, value) {
            // PM2 takes both names.
            ("apps" | "pm2", Value::Array(items)) => self.add_all(items),
            ("apps" | "pm2", Value::Object(fields)) if is_app(&fields) => self.apps.push(fields),
            // Apps by their names, which PM2 does not take.
            ("apps" | "pm2", Value::Object(fields)) => self.add_all(fields.into_values().collect()),
            ("static", Value::Array(sites)) => {
                for site in sites {
                    self.add_site(site);
                }
            }
            ("deploy", Value::Object(hosts)) => self.deploy = Some(hosts),
            (key, value) => self.others.push(Line::new(
                key,
                &value,
                Fate::Unknown,
                "PM2 does not know it beside `apps` and `deploy`, so it did nothing",
            )),
        }
    }

    /// A site that PM2's own server is to serve, as the app that PM2 makes of it.
    fn add_site(&mut self, site: Value) {
        let Value::Object(fields) = site else { return self.add_all(vec![site]) };
        let port = fields.get("port").map(ToString::to_string).unwrap_or_default();
        let name = fields.get("name").cloned();
        let name = name.unwrap_or_else(|| format!("static-page-server-{port}").into());
        let mut environment = Map::new();
        for (key, value) in fields.into_iter().filter(|(key, _)| key != "name") {
            environment.insert(format!("{SERVE}{}", key.to_uppercase()), value);
        }
        let mut app = Map::new();
        app.insert("name".into(), name);
        app.insert("script".into(), "serve".into());
        app.insert("env".into(), environment.into());
        self.apps.push(app);
    }
}
