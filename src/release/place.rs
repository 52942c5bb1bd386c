//! Where the app of an instance lies and how it is configured, decided anew at each of its starts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::running::{Links, of_folder};
use super::store::{CONFIG_FILE, Store};
use crate::config::{self, ConfigError, Settings};
use crate::unit::InstanceId;

/// The configuration of what the instance is pinned to, beside the installed one. An empty line: there is none.
pub(super) const PINNED: &str = "pinned.toml";

/// That of what it is to try.
pub(super) const TRIAL: &str = "trial.toml";

/// What an instance runs, with the configuration that belongs to it.
///
/// An app whose folder is `/var/lib/romuo/NAME/current`, or lies below it, is run from the folder of a
/// release: the one that is to be tried, for one start; else the one that the instance is pinned to; else
/// the current one. A pin to the folder `base` stands for what the app was before its first release: that
/// configuration says itself where it lies. Every other app lies where its configuration says.
#[derive(Debug)]
pub struct Place {
    /// None: the app runs no releases.
    links: Option<Links>,
    installed: Settings,
    /// Configurations, as they are written, by the folder that they belong to.
    known: BTreeMap<PathBuf, Settings>,
    last: Mutex<Last>,
}

/// What was decided last.
#[derive(Debug)]
struct Last {
    /// The configuration as it stands in its file.
    written: Settings,
    /// The same, where it is run.
    settings: Arc<Settings>,
}

impl Place {
    /// What an instance runs from now on. `config`: the installed configuration; systemd puts those of the
    /// pin and of the trial beside it. `runtime`: the folder of the instances.
    ///
    /// # Errors
    /// Where the configuration that belongs to it cannot be used.
    pub fn of_instance(
        config: &Path,
        instance: InstanceId,
        runtime: Option<PathBuf>,
    ) -> Result<Self, ConfigError> {
        Self::below(Path::new("/"), config, instance, runtime)
    }

    /// An app that lies where its configuration says.
    #[must_use]
    pub fn fixed(settings: Settings) -> Self {
        let last = Mutex::new(Last::fixed(settings.clone()));
        Self { links: None, installed: settings, known: BTreeMap::new(), last }
    }

    /// An app that lies in the folder of a release, whatever any instance is to run.
    ///
    /// # Errors
    /// Where the configuration cannot be used.
    pub fn of_release(config: &Path, folder: &Path) -> Result<Self, ConfigError> {
        let settings = config::load(config)?;
        let current = Store::new(Path::new("/"), &settings.name).current_path();
        let mut settings = settings.moved(&current, folder);
        // It is a candidate: there is no client that may come back.
        settings.reload.linger = Duration::ZERO;
        Ok(Self::fixed(settings))
    }

    pub(super) fn below(
        root: &Path,
        config: &Path,
        instance: InstanceId,
        runtime: Option<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let installed = config::load(config)?;
        let app = &installed.name;
        if !installed.directory.starts_with(Store::new(root, app).current_path()) {
            return Ok(Self::fixed(installed));
        }
        let links = Links::new(root, app, instance, runtime);
        let beside = |name| Some(config.with_file_name(name)).filter(|path| has_text(path));
        // One that came after systemd had handed over the configurations waits for the next start.
        let (trial, pinned) = (beside(TRIAL), beside(PINNED));
        let tried = links.trial(|folder| trial.is_some() || !folder.join(CONFIG_FILE).exists());
        let pin = links.pin();

        let mut known = BTreeMap::new();
        let own =
            |path: Option<&PathBuf>| path.map_or(Ok(installed.clone()), |it| config::load(it));
        if let Some(folder) = &tried {
            // It is good for this start, also if what it would fall back to is not.
            let fallback = own(pinned.as_ref()).ok();
            known.extend(pin.clone().zip(fallback));
            known.insert(folder.clone(), own(trial.as_ref())?);
        } else if let Some(folder) = &pin {
            known.insert(folder.clone(), own(pinned.as_ref())?);
        }
        let last = Mutex::new(Last::fixed(installed.clone()));
        let place = Self { links: Some(links), installed, known, last };
        place.decide(tried.or(pin));
        Ok(place)
    }

    /// What was decided last.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.lock().settings)
    }

    /// The app is to be started again because it ended: what it runs now. That is never a trial.
    pub fn again(&self) -> Arc<Settings> {
        if let Some(links) = &self.links {
            self.decide(links.pin());
        }
        self.settings()
    }

    /// A new app is to be started beside the one that runs: what the new one runs. A trial is used up by
    /// it. It has the configuration of the one that runs, where none of its own was handed over at the
    /// start of the instance.
    pub fn anew(&self) -> Arc<Settings> {
        if let Some(links) = &self.links {
            self.decide(links.trial(|_| true).or_else(|| links.pin()));
        }
        self.settings()
    }

    /// The configuration that the unit was made of.
    #[must_use]
    pub fn installed(&self) -> &Settings {
        &self.installed
    }

    fn decide(&self, folder: Option<PathBuf>) {
        let (Some(links), Some(folder)) = (&self.links, folder) else { return };
        let mut last = self.lock();
        if let Some(known) = self.known.get(&folder) {
            last.written.clone_from(known);
        }
        let written = last.written.clone();
        last.settings = Arc::new(match of_folder(&folder) {
            Some(_) => written.moved(&links.current(), &folder),
            // What was there before the first release.
            None => written,
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Last {
    fn fixed(settings: Settings) -> Self {
        Self { settings: Arc::new(settings.clone()), written: settings }
    }
}

/// Whether there is a file that says something: systemd knows no default of no bytes at all.
fn has_text(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| !bytes.trim_ascii().is_empty())
}
