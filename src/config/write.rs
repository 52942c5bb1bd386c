//! Settings -> the text of the installed file.

use std::fmt::{Display, Write as _};
use std::path::PathBuf;

use toml::Value;

use super::duration::format_duration;
use super::settings::Settings;
use super::share::Share;
use super::value::Instances;

/// The whole of `settings` as the text of a `romuo.toml`: every key, every path absolute, so that
/// reading it brings the same settings wherever it is. (Durations are cut to microseconds.)
#[must_use]
pub fn to_toml(settings: &Settings) -> String {
    let Settings { limits, health, .. } = settings;
    let mut file = Text(String::new());
    file.text("name", &settings.name);
    file.text("directory", settings.directory.display());
    if let Some(program) = &settings.program {
        file.value("command", program.command.clone());
        file.text("mode", program.mode);
        file.value("writable", paths(&program.writable));
        file.value("readable", paths(&program.readable));
        file.optional("env_file", program.env_file.as_ref().map(|path| path.display()));
    }
    file.optional("user", settings.user.as_ref());
    file.value("listen", settings.listen.iter().map(ToString::to_string).collect::<Vec<_>>());
    match settings.instances {
        Instances::Count(count) => file.value("instances", u32::from(count.get())),
        Instances::Max => file.text("instances", Instances::Max),
    }
    file.text("env", &settings.env);
    file.text("network", settings.network);
    file.optional("version", settings.version.as_ref());

    if let Some(program) = &settings.program
        && !program.environment.is_empty()
    {
        file.table("environment");
        for (name, value) in &program.environment {
            file.text(&Value::from(name.as_str()).to_string(), value);
        }
    }

    file.table("limits");
    file.text("memory", limits.memory);
    file.text("recycle", limits.recycle);
    file.optional("max_age", limits.max_age.map(format_duration));
    file.value("max_restarts", limits.max_restarts);
    file.text("min_uptime", format_duration(limits.min_uptime));
    file.text("restart_delay", format_duration(limits.restart_delay));
    file.text("retry_errored", limits.retry_errored);
    file.text("start_timeout", format_duration(limits.start_timeout));
    file.text("stop_timeout", format_duration(limits.stop_timeout));
    file.text("hold", format_duration(limits.hold));
    file.text("body", limits.body);

    file.table("health");
    file.text("path", &health.path);
    file.text("interval", format_duration(health.interval));
    file.text("timeout", format_duration(health.timeout));
    file.value("failures", health.failures);

    file.table("reload");
    let reload = &settings.reload;
    file.text("method", reload.method);
    match reload.max_unavailable {
        Share::Count(count) => file.value("max_unavailable", u32::from(count)),
        Share::Percent(_) => file.text("max_unavailable", reload.max_unavailable),
    }
    file.value("surge", u32::from(reload.surge));
    file.text("on_failure", reload.on_failure);
    file.value("probes", reload.probes);
    file.text("watch", format_duration(reload.watch));
    file.text("linger", format_duration(reload.linger));

    file.table("deploy");
    let deploy = &settings.deploy;
    file.value("build", deploy.build.clone());
    file.value("keep", deploy.keep.get());
    file.value("before", deploy.before.clone());
    file.value("after", deploy.after.clone());
    file.value("on_failure", deploy.on_failure.clone());
    file.text("timeout", format_duration(deploy.timeout));
    file.text("watch", format_duration(deploy.watch));

    file.table("front");
    let proxies = settings.front.trusted_proxies.iter().map(ToString::to_string);
    file.value("trusted_proxies", proxies.collect::<Vec<_>>());
    file.text("tunnel_idle", format_duration(settings.front.tunnel_idle));

    if let Some(site) = &settings.site {
        file.table("static");
        file.text("root", site.root.display());
        file.optional("fallback", site.fallback.as_ref());
    }
    file.0
}

fn paths(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

/// A TOML text that grows line by line. Writing to a String cannot fail.
struct Text(String);

impl Text {
    fn table(&mut self, name: &str) {
        let _ = writeln!(self.0, "\n[{name}]");
    }

    fn value(&mut self, key: &str, value: impl Into<Value>) {
        let _ = writeln!(self.0, "{key} = {}", value.into());
    }

    fn text(&mut self, key: &str, text: impl Display) {
        self.value(key, text.to_string());
    }

    fn optional(&mut self, key: &str, text: Option<impl Display>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }
}
