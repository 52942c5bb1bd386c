//! Every option of PM2's configuration files (version 7), and what becomes of it.
//!
//! `docs/pm2.md` is made from this table; a test compares it with PM2's own schema.

use std::fmt::Write as _;

use serde::Serialize;

use crate::text::nearest;

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// romuo does the same.
    Done,
    /// romuo gets to the same end in another way.
    Differently,
    /// romuo does not do it; the text says why, and what to do instead.
    Unsupported,
    /// PM2 does not know it either.
    Unknown,
}

impl Fate {
    /// The fate in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Differently => "done differently",
            Self::Unsupported => "not supported",
            Self::Unknown => "not known",
        }
    }
}

/// One option of PM2.
#[derive(Debug)]
pub struct Known {
    /// Its name in PM2's schema.
    pub name: &'static str,
    /// Other names that PM2 takes for it, besides its own in camel case.
    pub aliases: &'static [&'static str],
    /// What becomes of it in general.
    pub fate: Fate,
    /// The same in words.
    pub becomes: &'static str,
}

impl Known {
    const fn new(
        name: &'static str,
        aliases: &'static [&'static str],
        fate: Fate,
        becomes: &'static str,
    ) -> Self {
        Self { name, aliases, fate, becomes }
    }
}

use Fate::{Differently, Done, Unsupported};

const JOURNAL: &str = "the journal keeps it: `romuoctl logs`, or `journalctl -u 'NAME@*' -o cat`";
const NO_WATCH: &str = "`watch` is not supported: `romuoctl deploy` ships what is complete";
const KEYMETRICS: &str = "it belongs to the pm2.io service; `romuoctl status`, /health and the \
                          journal say how the app is";

/// Every option of PM2's schema, in its order.
pub const OPTIONS: &[Known] = &[
    Known::new("script", &["exec", "cmd", "command"], Done, "`command`, with its interpreter"),
    Known::new(
        "name",
        &[],
        Done,
        "`name`, in the letters that a unit may have; \"My API\" becomes \"my-api\"",
    ),
    Known::new("name_prefix", &[], Done, "it is put before `name`"),
    Known::new(
        "filter_env",
        &[],
        Done,
        "nothing of your shell's environment gets to the app anyway, only what `[environment]` and \
         `env_file` say",
    ),
    Known::new(
        "namespace",
        &[],
        Unsupported,
        "each app has a target of its own, NAME.target; give apps that belong together one prefix, \
         as in `systemctl status 'shop-*'`",
    ),
    Known::new(
        "install_url",
        &[],
        Unsupported,
        "it belongs to PM2's modules, which romuo does not have; install the app before you import",
    ),
    Known::new("cwd", &[], Done, "`directory`"),
    Known::new("args", &[], Done, "words of `command`, after the script"),
    Known::new(
        "exec_interpreter",
        &["interpreter"],
        Done,
        "the first word of `command`; `install-units` finds the program behind nvm, pyenv and the \
         like",
    ),
    Known::new(
        "node_args",
        &["interpreterArgs", "interpreter_args"],
        Done,
        "words of `command`, before the script",
    ),
    Known::new("out_file", &["out", "output", "out_log"], Differently, JOURNAL),
    Known::new("error_file", &["error", "err", "err_file", "err_log"], Differently, JOURNAL),
    Known::new("log_file", &["log"], Differently, JOURNAL),
    Known::new(
        "disable_logs",
        &[],
        Unsupported,
        "the journal bounds itself (SystemMaxUse= in journald.conf); start the app with less output",
    ),
    Known::new(
        "log_type",
        &[],
        Differently,
        "`romuoctl logs --output json` prints JSON; what the app writes stays as it is",
    ),
    Known::new(
        "log_date_format",
        &[],
        Differently,
        "the journal has a time for each line; `journalctl --output=short-iso` chooses how it looks",
    ),
    Known::new("time", &[], Differently, "the journal has a time for each line"),
    Known::new("env", &[], Done, "`[environment]`; PORT becomes `listen`, NODE_ENV becomes `env`"),
    Known::new(
        "env_*",
        &[],
        Done,
        "over `env` in `[environment]`, for the one that `import --env NAME` chooses; without it: \
         env_production",
    ),
    Known::new(
        "max_memory_restart",
        &[],
        Differently,
        "`limits.memory`: the kernel holds the limit at every moment, for the app and all that it \
         starts; shortly before it an instance is started anew without a loss (`limits.recycle`). PM2 \
         looks twice a minute, at one process",
    ),
    Known::new(
        "pid_file",
        &["pid"],
        Unsupported,
        "systemd knows the processes: `systemctl show -P MainPID NAME@1`",
    ),
    Known::new("restart_delay", &[], Done, "`limits.restart_delay`"),
    Known::new(
        "exp_backoff_restart_delay",
        &[],
        Differently,
        "`limits.restart_delay`, which does not grow; after `limits.max_restarts` quick crashes the \
         instance is tried again after `limits.retry_errored`, which does",
    ),
    Known::new(
        "source_map_support",
        &[],
        Done,
        "`--enable-source-maps` for Node where it is true; PM2 does it without being asked",
    ),
    Known::new(
        "disable_source_map_support",
        &[],
        Done,
        "source maps are only read where `--enable-source-maps` is in `command`",
    ),
    Known::new(
        "wait_ready",
        &[],
        Differently,
        "an instance is ready when `health.path` answers well. There is no `process.send` in it: \
         write `process.send?.('ready')`",
    ),
    Known::new(
        "instances",
        &[],
        Done,
        "`instances`; 0 and \"max\" are \"max\". `romuoctl scale 4` changes it later, as `pm2 scale` does",
    ),
    Known::new(
        "kill_timeout",
        &[],
        Done,
        "`limits.stop_timeout`. The app gets SIGTERM, not SIGINT, when its last request has ended",
    ),
    Known::new(
        "shutdown_with_message",
        &[],
        Unsupported,
        "the app gets SIGTERM when its last request has ended: use `process.on('SIGTERM', ...)`",
    ),
    Known::new(
        "listen_timeout",
        &[],
        Differently,
        "`limits.start_timeout`, where it is longer than its default: when it is over, PM2 goes on \
         and romuo has failed to start",
    ),
    Known::new(
        "cron_restart",
        &["cron"],
        Unsupported,
        "a timer of systemd does it: a NAME-reload.timer with `OnCalendar=`, and a service with \
         `ExecStart=systemctl reload NAME.target`",
    ),
    Known::new(
        "merge_logs",
        &["combine_logs"],
        Differently,
        "`romuoctl logs` shows all instances in one, `--instance ID` one of them",
    ),
    Known::new(
        "vizion",
        &[],
        Differently,
        "`version` is from package.json, Cargo.toml or pyproject.toml; git is not asked",
    ),
    Known::new(
        "autostart",
        &[],
        Differently,
        "an app is started at boot; with `install-units --no-enable` it is not",
    ),
    Known::new(
        "autorestart",
        &[],
        Unsupported,
        "an instance that ends is always started again, up to `limits.max_restarts`; a program that \
         is to end by itself is a service with Type=oneshot",
    ),
    Known::new(
        "stop_exit_codes",
        &[],
        Unsupported,
        "an instance that ends by itself has crashed, whatever its exit code is",
    ),
    Known::new("watch_delay", &[], Unsupported, NO_WATCH),
    Known::new(
        "watch",
        &[],
        Unsupported,
        "`romuoctl deploy` ships what is complete; for development use `node --watch` or nodemon in a \
         terminal",
    ),
    Known::new("ignore_watch", &[], Unsupported, NO_WATCH),
    Known::new("watch_options", &[], Unsupported, NO_WATCH),
    Known::new("min_uptime", &[], Done, "`limits.min_uptime`"),
    Known::new("max_restarts", &[], Done, "`limits.max_restarts`"),
    Known::new(
        "execute_command",
        &[],
        Done,
        "a command is run as it is; fork mode follows from that",
    ),
    Known::new(
        "exec_mode",
        &[],
        Differently,
        "each instance is a service of its own with a port of its own, behind one public socket; \
         the app needs no cluster module",
    ),
    Known::new(
        "force",
        &[],
        Unsupported,
        "an app is there once, by its name; import the file again under another `name`",
    ),
    Known::new("append_env_to_name", &[], Done, "the name of the environment is put after `name`"),
    Known::new("post_update", &[], Done, "`deploy.build`"),
    Known::new("trace", &[], Unsupported, KEYMETRICS),
    Known::new("disable_trace", &[], Done, "nothing is traced"),
    Known::new("v8", &[], Unsupported, KEYMETRICS),
    Known::new("event_loop_inspector", &[], Unsupported, KEYMETRICS),
    Known::new("deep_monitoring", &[], Unsupported, KEYMETRICS),
    Known::new(
        "increment_var",
        &[],
        Differently,
        "for PORT: each instance gets a port of its own anyway. Another variable can be worked out \
         of `NODE_APP_INSTANCE`, which counts from 0",
    ),
    Known::new(
        "instance_var",
        &[],
        Differently,
        "`NODE_APP_INSTANCE` counts from 0 as with PM2, `ROMUO_INSTANCE` from 1; they have no other \
         names",
    ),
    Known::new("pmx", &[], Unsupported, KEYMETRICS),
    Known::new("automation", &[], Unsupported, KEYMETRICS),
    Known::new(
        "treekill",
        &[],
        Done,
        "whatever an instance started ends with it, detached or not: they are in one cgroup",
    ),
    Known::new("port", &[], Done, "`listen`"),
    Known::new("username", &[], Unsupported, "PM2 notes who started it; `user` says who runs it"),
    Known::new(
        "uid",
        &["user"],
        Done,
        "`user`, by name; without it the app has a dynamic user of its own",
    ),
    Known::new(
        "gid",
        &[],
        Unsupported,
        "the group is that of `user`; others come with `usermod -aG`",
    ),
    Known::new("windowsHide", &[], Unsupported, "romuo runs on Linux"),
    Known::new(
        "kill_retry_time",
        &[],
        Unsupported,
        "systemd ends the whole cgroup: there is nothing to try again",
    ),
    Known::new("write", &[], Unsupported, "it is PM2's own note"),
    Known::new("io", &[], Unsupported, KEYMETRICS),
];

/// The option that PM2 takes `key` for; none: it knows no such key.
#[must_use]
pub fn option(key: &str) -> Option<&'static Known> {
    let named = |known: &&Known| {
        known.name == key || known.aliases.contains(&key) || camel_case(known.name) == key
    };
    let environment = || OPTIONS.iter().find(|known| known.name == "env_*");
    OPTIONS.iter().find(named).or_else(|| environment().filter(|_| key.starts_with("env_")))
}

/// `max_restarts` -> `maxRestarts`, as PM2 does it.
fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        match letters.next() {
            Some(first) if part.len() > 1 => {
                text.extend(first.to_uppercase());
                text.push_str(letters.as_str());
            }
            _ => text.push_str(part),
        }
    }
    text
}

/// The option that somebody may have meant who wrote `key`.
pub(super) fn near(key: &str) -> Option<&'static str> {
    let names = OPTIONS.iter().flat_map(|known| known.aliases.iter().chain([&known.name]));
    nearest(key, names.copied())
}

/// The table of options in Markdown, for `docs/pm2.md`.
#[must_use]
pub fn table() -> String {
    let mut text = "| option of PM2 | what becomes of it | how |\n|---|---|---|\n".to_owned();
    for Known { name, aliases, fate, becomes } in OPTIONS {
        let names = [name].into_iter().chain(*aliases).map(|name| format!("`{name}`"));
        let names = names.collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "| {names} | {} | {becomes} |", fate.as_str());
    }
    text
}
