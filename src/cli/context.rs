//! Which app, which configuration, which machine.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::error::Failure;
use super::output::listed;
use crate::config::{self, Instances, Settings};
use crate::install;
use crate::text::nearest;
use crate::unit::AppName;

/// What the global options say, and how they find the app.
#[derive(Debug, Clone)]
pub(super) struct Context {
    root: PathBuf,
    /// Those that were named.
    apps: Vec<AppName>,
    config: Option<PathBuf>,
}

impl Context {
    pub(super) fn new(root: PathBuf, apps: Vec<AppName>, config: Option<PathBuf>) -> Self {
        Self { root, apps, config }
    }

    /// The folder below which the machine lies.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Refuses a verb that works on the running systemd where `--root` names another machine.
    pub(super) fn running(&self, verb: &'static str) -> Result<(), Failure> {
        if self.root == Path::new("/") { Ok(()) } else { Err(Failure::NeedsRunning { verb }) }
    }

    /// Refuses a verb that changes the running machine to whoever is not root, before anything else is said.
    pub(super) fn as_root(&self, verb: &'static str) -> Result<(), Failure> {
        let is_own = self.root != Path::new("/");
        if is_own || geteuid().is_root() { Ok(()) } else { Err(Failure::NeedsRoot { verb }) }
    }

    /// The app to work on, whether or not it is installed.
    pub(super) fn app(&self) -> Result<AppName, Failure> {
        match (&self.config, self.named()?) {
            (None, Some(app)) => Ok(app.clone()),
            (None, None) if !Path::new(LOCAL).exists() => self.only_installed(),
            _ => self.settings().map(|(settings, _)| settings.name),
        }
    }

    /// The installed app to work on.
    pub(super) fn installed_app(&self) -> Result<AppName, Failure> {
        self.expect_installed(self.app()?)
    }

    /// The installed apps to look at: those that were named, else that of the folder one is in, else all.
    pub(super) fn looked_at(&self) -> Result<Vec<AppName>, Failure> {
        if self.config.is_none() && !self.apps.is_empty() {
            if self.means_all() {
                return self.all();
            }
            let named: BTreeSet<_> = self.apps.iter().cloned().collect();
            return named.into_iter().map(|app| self.expect_installed(app)).collect();
        }
        if self.source().is_some() {
            return Ok(vec![self.installed_app()?]);
        }
        self.all()
    }

    /// The installed apps to do something with: one, or each where `all` was named.
    pub(super) fn acted_on(&self) -> Result<Vec<AppName>, Failure> {
        if self.means_all() { self.all() } else { Ok(vec![self.installed_app()?]) }
    }

    /// Whether PM2's word for all apps was said.
    fn means_all(&self) -> bool {
        let [app] = self.apps.as_slice() else { return false };
        self.config.is_none() && app.as_str() == ALL && !self.is_installed(app)
    }

    /// Every installed app.
    fn all(&self) -> Result<Vec<AppName>, Failure> {
        let all = self.installed_apps();
        if all.is_empty() {
            return Err(Failure::NoApp { installed: "no app is installed".into() });
        }
        Ok(all)
    }

    /// The one app that was named; none: none was.
    fn named(&self) -> Result<Option<&AppName>, Failure> {
        match self.apps.as_slice() {
            [] => Ok(None),
            [app] => Ok(Some(app)),
            many => Err(Failure::OneApp { named: listed(many) }),
        }
    }

    fn expect_installed(&self, app: AppName) -> Result<AppName, Failure> {
        if self.is_installed(&app) {
            return Ok(app);
        }
        let installed = self.installed_apps();
        let near = nearest(app.as_str(), installed.iter().map(AppName::as_str)).map(str::to_owned);
        let is_here = self.apps.is_empty();
        let installed = listed(&installed);
        Err(Failure::UnknownApp { app, near, installed, is_here })
    }

    /// The configuration to work with, and the file it is from.
    pub(super) fn settings(&self) -> Result<(Settings, PathBuf), Failure> {
        let path = match (&self.config, self.named()?) {
            (Some(path), _) => path.clone(),
            (None, Some(app)) => self.installed_path(app),
            (None, None) if Path::new(LOCAL).exists() => local(),
            (None, None) => self.installed_path(&self.only_installed()?),
        };
        Ok((config::load(&path)?.below(&self.root), path))
    }

    /// How many instances the installed configuration of the app asks for; none: there is none.
    /// Where only root may read it, it is taken to ask for as many as the new one.
    pub(super) fn installed_instances(&self, new: &Settings) -> Option<Instances> {
        let path = self.installed_path(&new.name);
        match config::load(&path) {
            Ok(installed) => Some(installed.instances),
            Err(_) => path.exists().then_some(new.instances),
        }
    }

    /// The installed configuration of the app.
    pub(super) fn installed(&self, app: &AppName) -> Result<Settings, Failure> {
        Ok(config::load(&self.installed_path(app))?.below(&self.root))
    }

    /// Whether the app is installed.
    pub(super) fn is_installed(&self, app: &AppName) -> bool {
        self.installed_path(app).exists()
    }

    /// The configuration that somebody wrote: that of `--config`, or of the folder one is in; none: the app
    /// is named otherwise.
    pub(super) fn source(&self) -> Option<PathBuf> {
        match &self.config {
            Some(path) => Some(path.clone()),
            None if self.apps.is_empty() && Path::new(LOCAL).exists() => Some(local()),
            None => None,
        }
    }

    /// The same for an app that the verb itself names; none: it does not.
    pub(super) fn naming(&self, app: Option<AppName>) -> Self {
        self.naming_all(app.into_iter().collect())
    }

    /// The same for apps that the verb itself names, if it does.
    pub(super) fn naming_all(&self, apps: Vec<AppName>) -> Self {
        if apps.is_empty() { self.clone() } else { Self { apps, config: None, ..self.clone() } }
    }

    fn installed_path(&self, app: &AppName) -> PathBuf {
        install::below(&self.root, &install::config_path(app))
    }

    /// Where the instances of `app` have their control sockets.
    pub(super) fn control_folder(&self, app: &AppName) -> PathBuf {
        self.root.join("run/romuo").join(app.as_str())
    }

    /// Where the outcome of the last roll of `app` is kept; see [`crate::roll::Outcome`].
    pub(super) fn outcome_path(&self, app: &AppName) -> PathBuf {
        self.root.join("run/romuo").join(format!("{app}.roll.json"))
    }

    /// Where a roll of `app` under way keeps how far it is; see [`crate::roll::Progress`].
    pub(super) fn progress_path(&self, app: &AppName) -> PathBuf {
        self.root.join("run/romuo").join(format!("{app}.roll.progress.json"))
    }

    /// The installed apps.
    pub(super) fn installed_apps(&self) -> Vec<AppName> {
        install::installed_apps(&self.root).unwrap_or_default().into_iter().collect()
    }

    fn only_installed(&self) -> Result<AppName, Failure> {
        match self.installed_apps().as_slice() {
            [app] => Ok(app.clone()),
            [] => Err(Failure::NoApp { installed: "no app is installed".into() }),
            many => {
                let installed = format!("several apps are installed ({})", listed(many));
                Err(Failure::NoApp { installed })
            }
        }
    }
}

/// The configuration of the app whose folder one is in.
pub(super) const LOCAL: &str = "romuo.toml";

/// That file by the name that its folder has for whoever is in it: where a link leads there, which may lead
/// elsewhere tomorrow, it is that of the link.
fn local() -> PathBuf {
    let is_here = |path: &PathBuf| {
        let (here, there) = (env::current_dir(), fs::canonicalize(path));
        // Where there is no link in it, the short name says as much.
        matches!((here, there), (Ok(here), Ok(there)) if here == there && *path != there)
    };
    let named = env::var_os("PWD").map(PathBuf::from).filter(|path| path.is_absolute());
    named.filter(is_here).map_or_else(|| LOCAL.into(), |folder| folder.join(LOCAL))
}

/// What PM2 calls all apps.
const ALL: &str = "all";
