//! The first stage: what the file says. The comments of the fields are the descriptions of the
//! JSON schema; the keys that [`File::read`] asks for are the keys that are known.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use toml::Spanned;
use toml::de::DeTable;

use super::error::ConfigError;
use super::listen::Listen;
use super::reader::Reader;
use super::report::Report;
use super::retry::Retry;
use super::settings::{Method, Mode, Network, OnFailure};
use super::share::Share;
use super::subnet::Subnet;
use super::threshold::Threshold;
use super::typed::{Any, OneOrMore, ShellLine, Time, Variable, Word};
use super::value::{Instances, Size};
use crate::unit::{AppName, UserName};

/// The configuration of one app.
#[derive(Debug, Default, JsonSchema)]
#[schemars(title = "romuo.toml", deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "they are the names of the keys")]
pub(super) struct File {
    /// The app's name: the stem of its units and, without `user`, its dynamic user. Small letters,
    /// digits, `-` and `_`, a letter first, 31 characters at most.
    pub(super) name: Option<AppName>,
    /// The app's program and its arguments. In front mode `{port}`, `{host}` and `{socket}` stand
    /// for where it is to listen, and the environment has `PORT` and `HOST`. Without it:
    /// `romuo-server` serves `[static]` and /health itself.
    pub(super) command: Option<OneOrMore<Word>>,
    /// "front", the default with a `command`: `romuo-server` holds the sockets, runs the command as its
    /// child and forwards HTTP. "inherit": systemd hands the sockets to the command itself. Needs `command`.
    pub(super) mode: Option<Mode>,
    /// Paths that the app may write to, besides its state folder; they start at `directory`.
    pub(super) writable: Option<Any<PathBuf>>,
    /// Paths below a home that the app has to see, besides its folder and its runtime.
    pub(super) readable: Option<Any<PathBuf>>,
    /// A file of `KEY=value` lines for the app's environment, read at each start.
    pub(super) env_file: Option<PathBuf>,
    /// Working directory. Relative paths start at the folder of this file, which is the default.
    pub(super) directory: Option<PathBuf>,
    /// The user that the instances run as. Without it: a dynamic user with the app's name.
    pub(super) user: Option<UserName>,
    /// Where the app listens; no two alike.
    pub(super) listen: Option<OneOrMore<Listen>>,
    /// How many instances to run, 1 to 65535, or "max": one a CPU.
    pub(super) instances: Option<Instances>,
    /// Name of the environment, reported by /health. 128 characters at most.
    pub(super) env: Option<String>,
    /// "none": an instance sees only a loopback of its own, besides the sockets it inherits.
    /// "host": it sees the network of the host, which is the default with a `command`.
    pub(super) network: Option<Network>,
    /// Version of the app, reported by /health. Without it: from package.json, Cargo.toml or
    /// pyproject.toml in `directory`, each time that the app starts. 128 characters at most.
    pub(super) version: Option<String>,
    /// Variables of the app's environment, over those of `env_file`.
    pub(super) environment: Option<BTreeMap<String, Variable>>,
    #[schemars(default)]
    pub(super) limits: Limits,
    #[schemars(default)]
    pub(super) health: Health,
    #[schemars(default)]
    pub(super) reload: Reload,
    #[schemars(default)]
    pub(super) deploy: Deploy,
    #[schemars(default)]
    pub(super) front: Front,
    #[schemars(default, rename = "static")]
    pub(super) site: StaticSite,
}

/// Limits of each instance.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Limits {
    /// Hard limit of memory, at least 8M; an instance that passes it is killed and restarted.
    pub(super) memory: Option<Size>,
    /// At this share of `memory`, "1%" to "99%", an instance is recycled: it finishes its requests and
    /// is started anew, one instance at a time. "off": never.
    pub(super) recycle: Option<Threshold>,
    /// An instance, or the program behind its front, that has been up for this long is recycled too;
    /// `min_uptime` at least. Without it: it may get as old as it likes.
    pub(super) max_age: Option<Time>,
    /// After this many restarts in a row, each before `min_uptime`, the instance is errored:
    /// `retry_errored` says what follows.
    pub(super) max_restarts: Option<NonZeroU32>,
    /// An instance that was up for this long had a good start: its crashes are counted anew.
    pub(super) min_uptime: Option<Time>,
    /// Pause before a crashed instance is restarted. For an app behind a front: least time between two
    /// starts of it.
    pub(super) restart_delay: Option<Time>,
    /// An errored instance is tried again after this, "1s" to "1h", then twice as long, up to an hour;
    /// meanwhile, where none serves, clients get 503 with `Retry-After`. "off": it stays down until it
    /// is started by hand.
    pub(super) retry_errored: Option<Retry>,
    /// How long an instance may take until it is ready; above 0.
    pub(super) start_timeout: Option<Time>,
    /// From SIGTERM to the end of the last request, which is cut off then; above 0.
    pub(super) stop_timeout: Option<Time>,
    /// How long a request waits for an app that is down and comes back, before it gets 503 (502 if the app
    /// ended with it in hand). Where no other instance serves, a new connection waits in the socket's queue
    /// until one does, or its client gives up.
    pub(super) hold: Option<Time>,
    /// Most that the body of a request may have; beyond it: 413.
    pub(super) body: Option<Size>,
}

/// How liveness is judged.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Health {
    /// Path of the health answer on the public port: `/`, letters, digits, `-`, `.`, `_`, `~`.
    pub(super) path: Option<String>,
    /// Time between two probes of an instance by itself; above 0.
    pub(super) interval: Option<Time>,
    /// How long one answer may take; above 0, `interval` at most.
    pub(super) timeout: Option<Time>,
    /// After this many failed probes in a row the instance is restarted, and a roll halts.
    pub(super) failures: Option<NonZeroU32>,
}

/// How a rolling restart goes.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Reload {
    /// "swap": the front starts the new child beside the old one and moves the requests over, the
    /// default in front mode. "restart": systemd restarts the instance.
    pub(super) method: Option<Method>,
    /// How many instances may be rolled at the same time: a number, or percent of all ("25%", rounded
    /// down, one at the least).
    pub(super) max_unavailable: Option<Share>,
    /// How many extra instances are started first and stopped last, wherever instances are
    /// restarted, so that there are never fewer than before. As many are rolled at the same time then,
    /// whatever `max_unavailable` says.
    pub(super) surge: Option<u16>,
    /// "halt": after an instance that failed the rest is left as it is. "continue": it is rolled, as
    /// far as no more instances are down than `max_unavailable` allows.
    pub(super) on_failure: Option<OnFailure>,
    /// How many good answers in a row an instance has to give until the next one is rolled.
    pub(super) probes: Option<NonZeroU32>,
    /// For how long the first instance is compared with its siblings (failed answers, restarts, memory)
    /// before the rest is rolled; "0s": it is not.
    pub(super) watch: Option<Time>,
    /// How long an idle connection is kept during a drain where no other instance takes it over;
    /// `limits.stop_timeout` at most.
    pub(super) linger: Option<Time>,
}

/// How a deploy goes. A line is run by `sh -c` in the folder that is shipped.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Deploy {
    /// Lines that build the app: "npm ci", "npm run build".
    pub(super) build: Option<Any<ShellLine>>,
    /// How many releases are kept besides those in use, 2 at least: one to go back to.
    #[schemars(range(min = 2))]
    pub(super) keep: Option<NonZeroU32>,
    /// Lines that are run before the first instance is rolled, such as a migration of the database. One
    /// that fails ends the deploy, and nothing was touched.
    pub(super) before: Option<Any<ShellLine>>,
    /// Lines that are run after a deploy that went well.
    pub(super) after: Option<Any<ShellLine>>,
    /// Lines that are run after a deploy that failed or was rolled back: those of the file at home.
    pub(super) on_failure: Option<Any<ShellLine>>,
    /// How long each of these lines may take; above 0.
    pub(super) timeout: Option<Time>,
    /// How long a new release is watched, twice: a candidate of it, which no client reaches, has to stay
    /// well, and then the first instance is compared with its siblings before the rest is rolled, as
    /// `reload.watch` says: in failed answers, restarts and memory. "0s": it is not.
    pub(super) watch: Option<Time>,
}

/// How clients are treated in front of the app.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Front {
    /// Peers whose `X-Forwarded-*` headers are believed and extended: addresses or networks. Those
    /// of all others are replaced.
    pub(super) trusted_proxies: Option<Any<Subnet>>,
    /// How long nothing may be said, in either direction, on a WebSocket or another connection that has
    /// changed its protocol; then it is closed.
    pub(super) tunnel_idle: Option<Time>,
}

/// A static site to serve.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct StaticSite {
    /// Its folder. Relative paths start at `directory`.
    #[schemars(required)]
    pub(super) root: Option<PathBuf>,
    /// The file below `root` that a browser gets for a page which is no file: "index.html" of a
    /// single-page app. Without it: 404.
    pub(super) fallback: Option<String>,
}

impl File {
    /// Reads the file at `path` that says `text`. The report knows where each value stands.
    pub(super) fn parse<'a>(
        text: &'a str,
        path: &'a Path,
    ) -> Result<(Self, Report<'a>), ConfigError> {
        let mut report = Report::new(path, text);
        let root = DeTable::parse(text).unwrap_or_else(|error| {
            report.syntax(error.message(), error.span().unwrap_or_default());
            Spanned::new(0..0, DeTable::new())
        });
        let mut reader = Reader::new(root.get_ref(), &mut report);
        let file = Self::read(&mut reader);
        reader.finish();
        Ok((file, report.check()?))
    }

    /// Asks for every key.
    pub(super) fn read(from: &mut Reader<'_, '_, '_>) -> Self {
        Self {
            name: from.value("name"),
            command: from.values("command"),
            mode: from.value("mode"),
            writable: from.any("writable"),
            readable: from.any("readable"),
            env_file: from.value("env_file"),
            directory: from.value("directory"),
            user: from.value("user"),
            listen: from.values("listen"),
            instances: from.value("instances"),
            env: from.value("env"),
            network: from.value("network"),
            version: from.value("version"),
            environment: from.pairs("environment"),
            limits: Limits {
                memory: from.value("limits.memory"),
                recycle: from.value("limits.recycle"),
                max_age: from.value("limits.max_age"),
                max_restarts: from.value("limits.max_restarts"),
                min_uptime: from.value("limits.min_uptime"),
                restart_delay: from.value("limits.restart_delay"),
                retry_errored: from.value("limits.retry_errored"),
                start_timeout: from.value("limits.start_timeout"),
                stop_timeout: from.value("limits.stop_timeout"),
                hold: from.value("limits.hold"),
                body: from.value("limits.body"),
            },
            health: Health {
                path: from.value("health.path"),
                interval: from.value("health.interval"),
                timeout: from.value("health.timeout"),
                failures: from.value("health.failures"),
            },
            reload: Reload {
                method: from.value("reload.method"),
                max_unavailable: from.value("reload.max_unavailable"),
                surge: from.value("reload.surge"),
                on_failure: from.value("reload.on_failure"),
                probes: from.value("reload.probes"),
                watch: from.value("reload.watch"),
                linger: from.value("reload.linger"),
            },
            deploy: Deploy {
                build: from.any("deploy.build"),
                keep: from.value("deploy.keep"),
                before: from.any("deploy.before"),
                after: from.any("deploy.after"),
                on_failure: from.any("deploy.on_failure"),
                timeout: from.value("deploy.timeout"),
                watch: from.value("deploy.watch"),
            },
            front: Front {
                trusted_proxies: from.any("front.trusted_proxies"),
                tunnel_idle: from.value("front.tunnel_idle"),
            },
            site: StaticSite {
                root: from.required("static.root"),
                fallback: from.value("static.fallback"),
            },
        }
    }
}
