//! The second stage: the file over the defaults, with absolute paths.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::file::File;
use super::settings::{Method, Mode, Network, Program, Settings, StaticSite};
use super::typed::Any;

/// Settings that nobody has validated yet: [`validate`](Self::validate) lets them out.
#[derive(Debug, PartialEq)]
pub(super) struct Merged(pub(super) Settings);

impl Merged {
    /// `file` over the defaults. Relative paths start at `folder`, the absolute path of the
    /// folder that the file is in.
    pub(super) fn new(file: File, folder: &Path) -> Self {
        let directory = resolve(folder, &file.directory.unwrap_or_default());
        let mut merged = Settings::new(file.name.unwrap_or_default(), directory);
        merged.version = file.version;
        merged.site = file.site.root.map(|root| StaticSite {
            root: resolve(&merged.directory, &root),
            fallback: file.site.fallback,
        });
        merged.user = file.user;
        merged.program = file.command.map(|command| {
            let paths = |paths: Option<Any<PathBuf>>| {
                let paths = paths.map(Vec::from).unwrap_or_default();
                paths.iter().map(|path| resolve(&merged.directory, path)).collect()
            };
            Program {
                command: command.0.into_iter().map(|word| word.0).collect(),
                mode: file.mode.unwrap_or(Mode::Front),
                environment: file
                    .environment
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(name, value)| (name, value.0))
                    .collect(),
                env_file: file.env_file.map(|path| resolve(&merged.directory, &path)),
                writable: paths(file.writable),
                readable: paths(file.readable),
            }
        });
        if let Some(program) = &merged.program {
            // Most apps ask a database or another service for something.
            merged.network = Network::Host;
            if program.mode == Mode::Front {
                merged.reload.method = Method::Swap;
            }
        }
        set(&mut merged.front.trusted_proxies, file.front.trusted_proxies);
        set(&mut merged.front.tunnel_idle, file.front.tunnel_idle);
        set(&mut merged.listen, file.listen);
        set(&mut merged.instances, file.instances);
        set(&mut merged.env, file.env);
        set(&mut merged.network, file.network);

        let Settings { limits, health, reload, deploy, .. } = &mut merged;
        set(&mut limits.memory, file.limits.memory);
        set(&mut limits.recycle, file.limits.recycle);
        limits.max_age = file.limits.max_age.map(Duration::from);
        set(&mut limits.max_restarts, file.limits.max_restarts);
        set(&mut limits.min_uptime, file.limits.min_uptime);
        set(&mut limits.restart_delay, file.limits.restart_delay);
        set(&mut limits.retry_errored, file.limits.retry_errored);
        set(&mut limits.start_timeout, file.limits.start_timeout);
        set(&mut limits.stop_timeout, file.limits.stop_timeout);
        set(&mut limits.hold, file.limits.hold);
        set(&mut limits.body, file.limits.body);
        set(&mut reload.method, file.reload.method);
        set(&mut reload.max_unavailable, file.reload.max_unavailable);
        set(&mut reload.surge, file.reload.surge);
        set(&mut reload.on_failure, file.reload.on_failure);
        set(&mut reload.probes, file.reload.probes);
        set(&mut reload.watch, file.reload.watch);
        set(&mut deploy.build, file.deploy.build);
        set(&mut deploy.keep, file.deploy.keep);
        set(&mut deploy.before, file.deploy.before);
        set(&mut deploy.after, file.deploy.after);
        set(&mut deploy.on_failure, file.deploy.on_failure);
        set(&mut deploy.timeout, file.deploy.timeout);
        set(&mut deploy.watch, file.deploy.watch);
        set(&mut health.path, file.health.path);
        set(&mut health.interval, file.health.interval);
        set(&mut health.failures, file.health.failures);
        // Who shortens a span is not asked to shorten the default of what must fit into it.
        fit(&mut health.timeout, file.health.timeout, health.interval);
        fit(&mut reload.linger, file.reload.linger, limits.stop_timeout);
        Self(merged)
    }
}

/// What the file says takes the place of the default.
fn set<T>(target: &mut T, said: Option<impl Into<T>>) {
    if let Some(said) = said {
        *target = said.into();
    }
}

/// As [`set`], but a default that is above `limit` gives way to it.
fn fit(target: &mut Duration, said: Option<impl Into<Duration>>, limit: Duration) {
    *target = said.map_or(limit.min(*target), Into::into);
}

/// `path` seen from the absolute `base`, without `.` and `..`. Symlinks are not followed: the
/// parent of `current/` is the folder that one sees it in.
pub(crate) fn resolve(base: &Path, path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in base.join(path).components() {
        match component {
            Component::ParentDir => {
                resolved.pop();
            }
            Component::CurDir => {}
            other => resolved.push(other),
        }
    }
    resolved
}
