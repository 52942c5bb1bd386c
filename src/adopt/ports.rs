//! Where an app of PM2 listens, where `PORT` does not say it: other variables, the command inside of its own, its
//! sources.

use super::environment::{in_env_file, port_of_file};
use super::missing;
use super::pm2::Mapping;
use super::port::{self, Said, words};
use super::scan;
use crate::program::{inside, with_place};

/// What stands before `_PORT` in names of variables that name the app's own port.
const OWN: [&str; 15] = [
    "ADMIN", "API", "APP", "BACKEND", "CLIENT", "FRONTEND", "HTTP", "LISTEN", "NITRO", "NODE",
    "SERVER", "SERVICE", "UVICORN", "WEB", "WWW",
];

/// The same in names of variables that name the port of something that the app asks, or another one of its own.
const OTHERS: [&str; 36] = [
    "AMQP",
    "CACHE",
    "DATABASE",
    "DB",
    "DEBUG",
    "ELASTIC",
    "ELASTICSEARCH",
    "EMAIL",
    "FTP",
    "GRPC",
    "HTTPS",
    "IMAP",
    "INSPECT",
    "KAFKA",
    "LDAP",
    "MAIL",
    "MAILER",
    "MEMCACHED",
    "METRICS",
    "MONGO",
    "MONGODB",
    "MQTT",
    "MSSQL",
    "MYSQL",
    "NATS",
    "PG",
    "POSTGRES",
    "POSTGRESQL",
    "PROXY",
    "RABBITMQ",
    "REDIS",
    "SMTP",
    "SQL",
    "SSH",
    "SSL",
    "TLS",
];

/// What runs a file of the app, in whose text its port may stand.
const RUNNERS: [&str; 4] = ["node", "python", "python3", "bun"];

/// The port that Nitro listens on, rather than on that of `PORT` (nitro.build, "Node.js").
const NITRO_PORT: &str = "NITRO_PORT";

/// The address in the same way.
const NITRO_HOST: &str = "NITRO_HOST";

/// What stands before `_PORT` at the end of a name: `API` of `SHOP_API_PORT`.
fn stem(name: &str) -> Option<&str> {
    name.strip_suffix("_PORT")?.rsplit('_').next()
}

impl Mapping<'_> {
    /// Variables that name the app's own port get `{port}` in the place of their value.
    pub(super) fn ports_by_other_names(&mut self, script: &str) {
        if let Some(host) = self.environment.variables.get_mut(NITRO_HOST) {
            *host = "{host}".into();
        }
        if let Some(port) = self.port_in(NITRO_PORT) {
            // It is stronger than PORT.
            return self.give(NITRO_PORT, port);
        }
        let is_own = |name: &&String| stem(name).is_some_and(|stem| OWN.contains(&stem));
        let may_be = |name: &&String| stem(name).is_some_and(|stem| !OTHERS.contains(&stem));
        let names = || self.environment.variables.keys();
        if let Some(port) = self.environment.port {
            let same = |name: &&String| may_be(name) && self.port_in(name) == Some(port);
            let same: Vec<String> = names().filter(same).cloned().collect();
            return same.iter().for_each(|name| self.give(name, port));
        }
        let one = |names: Vec<String>| <[String; 1]>::try_from(names).ok().map(|[name]| name);
        let own = one(names().filter(is_own).cloned().collect());
        let other = one(names().filter(may_be).cloned().collect());
        match own.and_then(|name| Some((self.port_in(&name)?, name))) {
            Some((port, name)) => self.give(&name, port),
            None => match other.and_then(|name| Some((self.port_in(&name)?, name))) {
                Some((port, name)) if self.asks_for(script, &name) => self.give(&name, port),
                Some((port, name)) => self.notes.push(format!(
                    "{name} = {port} may be the port that it listens on: then write {{port}} in the place of its \
                     value, and {port} in `listen`"
                )),
                None => {}
            },
        }
    }

    fn port_in(&self, name: &str) -> Option<u16> {
        let value = self.environment.variables.get(name)?;
        value.parse().ok().filter(|port| *port > 0)
    }

    fn give(&mut self, name: &str, port: u16) {
        self.environment.variables.insert(name.into(), "{port}".into());
        self.environment.port = Some(port);
        self.notes
            .push(format!("{name} = {port} became {{port}}: each instance gets a port of its own"));
    }

    /// The text of a script: of the file, or of that which a folder is entered by.
    fn source(&self, script: &str) -> Option<String> {
        let path = self.directory.join(script);
        scan::read(&if path.is_dir() { path.join("index.js") } else { path })
    }

    /// Whether a script looks at a variable, and at no `PORT`.
    fn asks_for(&self, script: &str, name: &str) -> bool {
        self.source(script).is_some_and(|text| {
            words(&text, name).next().is_some() && words(&text, "PORT").next().is_none()
        })
    }

    /// The port that it is to have, where anything says one; and what is said of a script that is not there.
    pub(super) fn port_said(&mut self, script: &str) -> Option<u16> {
        let (inside, file) = self.port_inside();
        let in_source = self.port_in_source(file.as_deref().unwrap_or(script));
        // An option of a server is stronger than the variable.
        let said = self.made.port.or(inside).or(self.environment.port);
        if self.draft.get("static.root").is_some() {
            return said;
        }
        self.notes.extend(missing::script(script, &self.directory));
        // Most apps read this file by themselves.
        let in_file = port_of_file(&self.directory).filter(|_| said.is_none());
        self.notes.extend(in_file.map(in_env_file));
        said.or(in_file).or(in_source)
    }

    /// The port of the command inside of `npm start` and its like, and the file that it runs.
    fn port_inside(&mut self) -> (Option<u16>, Option<String>) {
        let command = &self.made.words;
        let Some((words, port)) = inside(command, &self.directory, self.around.search) else {
            return (None, None);
        };
        let port = port.or_else(|| with_place(&words)?.1);
        if let Some(port) = port {
            self.notes.push(format!(
                "`{}` listens on {port}, as package.json says: that is `listen`",
                command.join(" ").escape_debug()
            ));
        }
        let runs = words.first().is_some_and(|first| RUNNERS.contains(&&**first));
        let script = words.get(1).filter(|word| runs && !word.starts_with('-'));
        (port, script.cloned())
    }

    /// The port that the script itself falls back to, and a note where it looks at no other.
    fn port_in_source(&mut self, script: &str) -> Option<u16> {
        let Said { port, asks, .. } = port::said(&self.source(script)?);
        let port = port.map(|(_, port)| port);
        let is_told = self.made.takes_port()
            || self.environment.variables.values().any(|value| value.contains("{port}"));
        if let (Some(port), false) = (port, asks || is_told) {
            self.notes.push(format!(
                "{script} listens on {port} and does not look at PORT: write \
                 `process.env.PORT || {port}`, since each instance gets a port of its own"
            ));
        }
        port
    }
}
