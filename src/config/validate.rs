//! The third stage: refuses what is typed right but not possible.

use std::path::{Component, Path};
use std::time::Duration;

use super::duration::format_duration;
use super::error::ConfigError;
use super::merge::Merged;
use super::report::Report;
use super::settings::{Method, Mode, Settings};
use super::value::{Size, ValueError};

/// Smallest limit of memory. An idle `romuo-server` holds up to 6 MB; under less than 8 MiB the
/// kernel could end every start.
const MEMORY_MIN: Size = Size::mib(8);

impl Merged {
    /// The settings, where all of them are possible.
    pub(super) fn validate(self, mut report: Report<'_>) -> Result<Settings, ConfigError> {
        let Self(settings) = self;
        check_paths(&settings, &mut report);
        check_program(&settings, &mut report);
        check_listen(&settings, &mut report);
        check_limits(&settings, &mut report);
        check_deploy(&settings, &mut report);
        check_durations(&settings, &mut report);
        report.check()?;
        Ok(settings)
    }
}

fn check_paths(settings: &Settings, report: &mut Report<'_>) {
    if settings.directory.to_str().is_none_or(|path| path.contains(char::is_control)) {
        let error = ValueError::new(settings.directory.display(), "a path in plain UTF-8");
        report.refuse("directory", error.hint("move the app to another folder".to_owned()));
    }
    let path = &settings.health.path;
    if !is_url_path(path) {
        let allowed = "a path such as \"/health\": `/`, letters, digits, `-`, `.`, `_`, `~`";
        let fixed = format!("/{path}");
        let hint = is_url_path(&fixed).then(|| format!("write \"{fixed}\""));
        report.refuse("health.path", ValueError::new(path, allowed).hint(hint));
    }
    let fallback = settings.site.as_ref().and_then(|site| site.fallback.as_deref());
    if let Some(fallback) = fallback.filter(|fallback| !is_below(Path::new(fallback))) {
        let hint = "write its path as seen from `static.root`, such as \"index.html\"".to_owned();
        let error = ValueError::new(fallback, "a file below `static.root`");
        report.refuse("static.fallback", error.hint(hint));
    }
}

/// Fewest releases that are kept: the one that is in use is the newest as a rule, and one more is needed
/// to go back to.
const KEEP_MIN: u32 = 2;

/// Keys that speak of the app's own program.
const OF_PROGRAM: [&str; 5] = ["mode", "env_file", "writable", "readable", "environment"];

/// Variables that systemd or the front sets, and that would mean something else to the app
/// (sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3)). By their whole names: `LISTEN_PORT` is an
/// app's own.
const RESERVED: [&str; 7] = [
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

fn check_program(settings: &Settings, report: &mut Report<'_>) {
    let is_front = settings.program.as_ref().is_some_and(|program| program.mode == Mode::Front);
    if settings.reload.method == Method::Swap && !is_front {
        let error = ValueError::new("swap", "\"restart\"");
        let hint = "only a front can swap: it needs `command` and `mode = \"front\"`".to_owned();
        report.refuse("reload.method", error.hint(hint));
    }
    let Some(program) = &settings.program else {
        for key in OF_PROGRAM {
            let hint = "say what the app is: command = [\"node\", \"server.js\"]";
            report.complain_of(key, "of no use without `command`", hint);
        }
        return;
    };
    let hint = "the app serves its files itself: leave [static] out";
    report.complain_of("static.root", "of no use beside `command`", hint);
    for (name, value) in &program.environment {
        check_variable(name, value, program.mode, report);
    }
    for (key, paths) in [("writable", &program.writable), ("readable", &program.readable)] {
        for (at, path) in paths.iter().enumerate() {
            if path == Path::new("/") {
                let error = ValueError::new(path.display(), "a path below the root");
                report.refuse(&format!("{key}[{at}]"), error);
            }
        }
    }
}

fn check_variable(name: &str, value: &str, mode: Mode, report: &mut Report<'_>) {
    let key = format!("environment.{name}");
    if !is_variable_name(name) {
        let hint = "names of variables are letters, digits and `_`, no digit first";
        report.complain_of(&key, "no name of a variable", hint);
    } else if is_reserved(name) {
        report.complain_of(&key, "set by systemd", "leave it out");
    } else if name == "PORT" && mode == Mode::Front {
        let hint = format!(
            "each instance gets a port of its own; where clients connect is \
             listen = [\"127.0.0.1:{value}\"]"
        );
        report.complain_of(&key, "set by the front", &hint);
    }
}

/// Whether systemd, or the front, says something else by a variable of this name.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Whether `name` can be that of a variable (POSIX.1-2017 XBD 3.235); systemd hands over no other
/// (its `env_name_is_valid`).
pub(crate) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn check_listen(settings: &Settings, report: &mut Report<'_>) {
    for (at, address) in settings.listen.iter().enumerate() {
        let taken = settings.listen[..at].iter().find(|other| other.collides(address));
        if let Some(other) = taken {
            let error = ValueError::new(address, "an address that is still free");
            let hint = format!("\"{other}\" above takes it already; leave one of the two out");
            report.refuse(&format!("listen[{at}]"), error.hint(hint));
        }
    }
}

fn check_limits(settings: &Settings, report: &mut Report<'_>) {
    let memory = settings.limits.memory;
    if memory < MEMORY_MIN {
        let hint = "an idle romuo-server alone holds up to 6M: with less it could not start";
        let error = ValueError::new(memory, "a size of 8M or more");
        report.refuse("limits.memory", error.hint(hint.to_owned()));
    }
}

fn check_deploy(settings: &Settings, report: &mut Report<'_>) {
    let keep = settings.deploy.keep.get();
    if keep < KEEP_MIN {
        let hint = "one to run and one to go back to: write 2".to_owned();
        report.refuse("deploy.keep", ValueError::new(keep, "a whole number, 2 or more").hint(hint));
    }
}

fn check_durations(settings: &Settings, report: &mut Report<'_>) {
    let Settings { limits, health, reload, deploy, .. } = settings;
    for (key, duration) in [
        ("limits.start_timeout", limits.start_timeout),
        ("limits.stop_timeout", limits.stop_timeout),
        ("health.interval", health.interval),
        ("health.timeout", health.timeout),
        ("deploy.timeout", deploy.timeout),
    ] {
        if duration.is_zero() {
            let error = ValueError::new(format_duration(duration), "a duration above 0");
            report.refuse(key, error);
        }
    }
    if let Some(age) = limits.max_age
        && (age.is_zero() || age < limits.min_uptime)
    {
        let least = format_duration(limits.min_uptime);
        let hint = format!("`limits.min_uptime` is {least}: no start counts as good before that");
        let allowed = "a duration above 0, of `limits.min_uptime` or more";
        let error = ValueError::new(format_duration(age), allowed);
        report.refuse("limits.max_age", error.hint(hint));
    }
    let interval = ("health.interval", health.interval);
    let allowed = "a duration up to `health.interval`";
    check_fits(("health.timeout", health.timeout), interval, allowed, report);
    let stop_timeout = ("limits.stop_timeout", limits.stop_timeout);
    let allowed = "a duration up to `limits.stop_timeout`";
    check_fits(("reload.linger", reload.linger), stop_timeout, allowed, report);
}

/// Refuses a duration that does not fit into another one.
fn check_fits(
    (key, duration): (&str, Duration),
    (limit_key, limit): (&str, Duration),
    allowed: &'static str,
    report: &mut Report<'_>,
) {
    // A limit of 0 has been refused itself.
    if duration > limit && !limit.is_zero() {
        let limit = format_duration(limit);
        let hint = format!("`{limit_key}` is {limit}: raise it, or write \"{limit}\" here");
        report.refuse(key, ValueError::new(format_duration(duration), allowed).hint(hint));
    }
}

/// Whether `path` is one that every client and proxy hands on as it is: unreserved characters of
/// RFC 3986 in segments, none of which is `.` or `..`.
fn is_url_path(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
    path.starts_with('/')
        && path.chars().all(plain)
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Whether `path` stays below the folder that it is joined to, and names something in it.
fn is_below(path: &Path) -> bool {
    path.components().all(|component| matches!(component, Component::Normal(_)))
        && !path.as_os_str().is_empty()
}
