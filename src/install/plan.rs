//! The plan: what should be, compared with what is.

use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use super::found::{Found, ReadError, installed_instances, names, written};
use super::layout::{
    CONFIG_FOLDER, CONFIG_MODE, LOCK, UNIT_MODE, boot_link, config_path, environment_path,
    identity_path, instance_link, unit_folder, unit_path, units, wants_folder,
};
use super::refusal::{PlanError, Refusal};
use super::scale::Scale;
use super::stamp::{self, Origin, Written};
use crate::render::Units;
use crate::unit::{AppName, InstanceId};

/// What is to be installed.
#[derive(Debug, Clone)]
pub struct Install<'a> {
    /// The rendered units.
    pub units: &'a Units,
    /// The configuration, as TOML with every default in it.
    pub config: &'a str,
    /// The file that the configuration was read from. Where that is the installed one, an edit in
    /// it is what the person wants, and no reason to refuse.
    pub source: &'a Path,
    /// What the settings of that file are; none: they were made of something else.
    pub written: Option<Written>,
    /// The app's directory, which the stamp names.
    pub directory: &'a Path,
    /// How many instances the configuration asks for.
    pub instances: NonZeroU16,
    /// How many the installed configuration asked for; none: there is none. The links are the truth
    /// at run time (`systemctl enable NAME@3`); they change only where the configuration did.
    pub earlier_instances: Option<NonZeroU16>,
    /// Start the app at boot. Otherwise that is left as it is.
    pub enable: bool,
    /// Overwrite files that someone else wrote or edited.
    pub force: bool,
}

/// One change. Paths are those of the machine, whatever the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new file.
    Create {
        /// Its path.
        path: PathBuf,
        /// Its text.
        text: String,
        /// Its permissions.
        mode: u32,
    },
    /// Another text in a file (and its permissions, whatever they were).
    Update {
        /// Its path.
        path: PathBuf,
        /// What it says; not UTF-8 is replaced.
        old: String,
        /// What it is to say.
        text: String,
        /// Its permissions.
        mode: u32,
    },
    /// Other permissions of a file.
    Mode {
        /// Its path.
        path: PathBuf,
        /// As they are.
        from: u32,
        /// As they are to be.
        to: u32,
    },
    /// A new symbolic link.
    Link {
        /// Its path.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A symbolic link less.
    Unlink {
        /// Its path.
        path: PathBuf,
    },
    /// A file less.
    Remove {
        /// Its path.
        path: PathBuf,
        /// What it says; not UTF-8 is replaced.
        old: String,
    },
    /// A folder less, where it is empty by then.
    RemoveFolder {
        /// Its path.
        path: PathBuf,
    },
}

impl Change {
    /// What is changed.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Create { path, .. }
            | Self::Update { path, .. }
            | Self::Mode { path, .. }
            | Self::Link { path, .. }
            | Self::Unlink { path }
            | Self::Remove { path, .. }
            | Self::RemoveFolder { path } => path,
        }
    }
}

/// All changes that lead from what is to what should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they are made.
    pub changes: Vec<Change>,
    /// What a removal leaves: drop-ins, links of others.
    pub left: Vec<PathBuf>,
    /// Files of romuo that were not compared, because only root may read them. There are none when
    /// root asks.
    pub unread: Vec<PathBuf>,
}

impl Plan {
    /// Nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// systemd must read its units anew (`systemctl daemon-reload`): units or links change.
    #[must_use]
    pub fn needs_reload(&self) -> bool {
        self.changes.iter().any(|change| change.path().starts_with(unit_folder()))
    }
}

/// A plan in the making.
struct Planner<'a> {
    root: &'a Path,
    force: bool,
    plan: Plan,
    refusals: Vec<Refusal>,
}

/// Plans the installation below `root`. Changes nothing.
///
/// # Errors
/// Where what is there cannot be read, or is not romuo's (all of that at once).
pub fn plan(root: &Path, install: &Install<'_>) -> Result<Plan, PlanError> {
    let app = &install.units.app;
    let config = config_path(app);
    let mut planner = Planner::new(root, install.force);
    let edited_source = install.source == super::layout::below(root, &config);
    let written = if edited_source { written(root, app) } else { install.written.clone() };
    planner.file(
        &config,
        stamp::config(install.directory, install.config, written.as_ref()),
        CONFIG_MODE,
        install.force || edited_source,
    )?;
    match &install.units.environment {
        Some(text) => {
            let text = stamp::environment(install.directory, text);
            planner.file(&environment_path(app), text, CONFIG_MODE, install.force)?;
        }
        None => planner.remove(&environment_path(app))?,
    }
    for unit in &install.units.files {
        let text = stamp::unit(app, unit);
        planner.file(&unit_path(&unit.name), text, UNIT_MODE, install.force)?;
    }
    if install.enable {
        planner.link(&boot_link(app), &unit_path(&app.target()))?;
    }
    if install.earlier_instances != Some(install.instances) {
        for id in InstanceId::first(install.instances) {
            planner.link(&instance_link(app, id), &unit_path(&app.template()))?;
        }
        for id in installed_instances(root, app)? {
            if InstanceId::first(install.instances).all(|wanted| wanted != id) {
                planner.unlink(&instance_link(app, id), &unit_path(&app.template()))?;
            }
        }
    }
    planner.finish()
}

/// Plans the removal of everything that romuo installed for an app below `root`, and of the links to
/// its template that `systemctl enable` made. Drop-ins stay and are named. Changes nothing.
///
/// # Errors
/// Where what is there cannot be read, or was edited or written by someone else and `force` is not
/// given.
pub fn plan_removal(root: &Path, app: &AppName, force: bool) -> Result<Plan, PlanError> {
    let mut planner = Planner::new(root, force);
    // First of all: what is left of a removal that is cut off has none, and takes that of its releases again.
    planner.remove(&identity_path(app))?;
    planner.unlink(&boot_link(app), &unit_path(&app.target()))?;
    for id in installed_instances(root, app)? {
        planner.unlink(&instance_link(app, id), &unit_path(&app.template()))?;
    }
    for unit in units(app) {
        planner.remove(&unit_path(&unit))?;
    }
    planner.remove(&config_path(app))?;
    planner.remove(&environment_path(app))?;
    for folder in [wants_folder(app), CONFIG_FOLDER.into()] {
        planner.remove_folder(folder)?;
    }
    planner.plan.left.extend(drop_ins(root, app)?);
    planner.finish()
}

/// Plans the links of a scaled app below `root`. Changes nothing.
///
/// # Errors
/// Where what is there cannot be read, or a link is not one to the app's template.
pub fn plan_scale(root: &Path, app: &AppName, scale: &Scale) -> Result<Plan, PlanError> {
    let mut planner = Planner::new(root, false);
    for id in &scale.add {
        planner.link(&instance_link(app, *id), &unit_path(&app.template()))?;
    }
    for id in &scale.remove {
        planner.unlink(&instance_link(app, *id), &unit_path(&app.template()))?;
    }
    // What leads elsewhere would bring the instance back at the next boot.
    for path in std::mem::take(&mut planner.plan.left) {
        let found = Found::at(root, &path)?;
        planner.refuse(path, found);
    }
    planner.finish()
}

/// The drop-in folders of an app's units.
fn drop_ins(root: &Path, app: &AppName) -> Result<Vec<PathBuf>, ReadError> {
    let own = units(app);
    let is_ours = |name: &String| {
        name.strip_suffix(".d").is_some_and(|unit| {
            own.iter().any(|own| own.as_str() == unit) || app.instance_of(unit).is_some()
        })
    };
    let names = names(root, unit_folder())?;
    Ok(names.iter().filter(|name| is_ours(name)).map(|name| unit_folder().join(name)).collect())
}

impl<'a> Planner<'a> {
    fn new(root: &'a Path, force: bool) -> Self {
        Self { root, force, plan: Plan::default(), refusals: Vec::new() }
    }

    fn finish(self) -> Result<Plan, PlanError> {
        if self.refusals.is_empty() {
            Ok(self.plan)
        } else {
            Err(PlanError::Refused(self.refusals))
        }
    }

    /// There should be this file.
    fn file(&mut self, at: &Path, text: String, mode: u32, force: bool) -> Result<(), ReadError> {
        let path = at.to_path_buf();
        match Found::at(self.root, at)? {
            Found::Nothing => self.plan.changes.push(Change::Create { path, text, mode }),
            Found::File { bytes, mode: from } if bytes == text.as_bytes() => {
                if from != mode {
                    self.plan.changes.push(Change::Mode { path, from, to: mode });
                }
            }
            Found::File { bytes, .. } => {
                if self.may_replace(at, &bytes, force) {
                    let old = String::from_utf8_lossy(&bytes).into_owned();
                    self.plan.changes.push(Change::Update { path, old, text, mode });
                }
            }
            Found::Unreadable => self.plan.unread.push(path),
            found => self.refuse(path, found),
        }
        Ok(())
    }

    /// There should be no such file.
    fn remove(&mut self, at: &Path) -> Result<(), ReadError> {
        match Found::at(self.root, at)? {
            Found::Nothing => {}
            Found::File { bytes, .. } => {
                if self.may_replace(at, &bytes, self.force) {
                    let old = String::from_utf8_lossy(&bytes).into_owned();
                    self.plan.changes.push(Change::Remove { path: at.into(), old });
                }
            }
            Found::Unreadable => self.plan.unread.push(at.into()),
            found => self.refuse(at.into(), found),
        }
        Ok(())
    }

    fn may_replace(&mut self, path: &Path, bytes: &[u8], force: bool) -> bool {
        match stamp::origin(bytes) {
            Origin::Ours => return true,
            _ if force => return true,
            Origin::HandEdited => self.refusals.push(Refusal::HandEdited(path.into())),
            Origin::Foreign => self.refusals.push(Refusal::Foreign(path.into())),
        }
        false
    }

    /// There should be this link.
    fn link(&mut self, path: &Path, target: &Path) -> Result<(), ReadError> {
        match Found::at(self.root, path)? {
            Found::Nothing => {
                self.plan.changes.push(Change::Link { path: path.into(), target: target.into() });
            }
            found if found.leads_to(path, target) => {}
            found => self.refuse(path.into(), found),
        }
        Ok(())
    }

    /// There should be no such link, if it leads to `target`.
    fn unlink(&mut self, path: &Path, target: &Path) -> Result<(), ReadError> {
        match Found::at(self.root, path)? {
            Found::Nothing => {}
            found if found.leads_to(path, target) => {
                self.plan.changes.push(Change::Unlink { path: path.into() });
            }
            _ => self.plan.left.push(path.into()),
        }
        Ok(())
    }

    /// There should be no such folder, if it holds nothing but what goes.
    fn remove_folder(&mut self, path: PathBuf) -> Result<(), ReadError> {
        let names = names(self.root, &path)?;
        let goes = |name: &String| {
            if name == LOCK {
                return true;
            }
            let inner = path.join(name);
            self.plan.changes.iter().any(|change| change.path() == inner)
        };
        let there = Found::at(self.root, &path)? == Found::Other;
        if there && names.iter().all(goes) {
            self.plan.changes.push(Change::RemoveFolder { path });
        }
        Ok(())
    }

    fn refuse(&mut self, path: PathBuf, found: Found) {
        self.refusals.push(match found {
            Found::Link { target } if target == Path::new("/dev/null") => Refusal::Masked(path),
            Found::Link { target } => Refusal::Symlink { path, target },
            _ => Refusal::InTheWay(path),
        });
    }
}
