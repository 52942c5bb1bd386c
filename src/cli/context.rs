//! Which app, which configuration, which machine.

use std::path::{Path, PathBuf};

use super::error::Failure;
use crate::config::{self, Instances, Settings};
use crate::install;
use crate::unit::AppName;

/// What the global options say, and how they find the app.
#[derive(Debug)]
pub(super) struct Context {
    root: PathBuf,
    app: Option<AppName>,
    config: Option<PathBuf>,
}

impl Context {
    pub(super) fn new(root: PathBuf, app: Option<AppName>, config: Option<PathBuf>) -> Self {
        Self { root, app, config }
    }

    /// The folder below which the machine lies.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Refuses a verb that works on the running systemd where `--root` names another machine.
    pub(super) fn running(&self, verb: &'static str) -> Result<(), Failure> {
        if self.root == Path::new("/") { Ok(()) } else { Err(Failure::NeedsRunning { verb }) }
    }

    /// The app to work on.
    pub(super) fn app(&self) -> Result<AppName, Failure> {
        match (&self.config, &self.app) {
            (None, Some(app)) => Ok(app.clone()),
            (None, None) if !Path::new(LOCAL).exists() => self.only_installed(),
            _ => self.settings().map(|(settings, _)| settings.name),
        }
    }

    /// The configuration to work with, and the file it is from.
    pub(super) fn settings(&self) -> Result<(Settings, PathBuf), Failure> {
        let path = match (&self.config, &self.app) {
            (Some(path), _) => path.clone(),
            (None, Some(app)) => self.installed_path(app),
            (None, None) if Path::new(LOCAL).exists() => LOCAL.into(),
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
        match (&self.config, &self.app) {
            (Some(path), _) => Some(path.clone()),
            (None, None) if Path::new(LOCAL).exists() => Some(LOCAL.into()),
            _ => None,
        }
    }

    /// The same for this app.
    pub(super) fn of(&self, app: AppName) -> Self {
        Self { root: self.root.clone(), app: Some(app), config: None }
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

    fn only_installed(&self) -> Result<AppName, Failure> {
        let apps = install::installed_apps(&self.root).unwrap_or_default();
        match Vec::from_iter(apps).as_slice() {
            [app] => Ok(app.clone()),
            [] => Err(Failure::NoApp { installed: "no app is installed".into() }),
            many => {
                let names: Vec<_> = many.iter().map(AppName::as_str).collect();
                let installed = format!("several apps are installed ({})", names.join(", "));
                Err(Failure::NoApp { installed })
            }
        }
    }
}

/// The configuration of the app whose folder one is in.
pub(super) const LOCAL: &str = "romuo.toml";
