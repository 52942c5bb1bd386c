//! Where an app really lives: the folder with its `romuo.toml`, its data and its repository.

use std::fs;
use std::path::PathBuf;

use super::super::context::{Context, LOCAL};
use super::super::error::Failure;
use crate::config::{self, Settings};
use crate::release::{Source, Store};
use crate::ship::{Checkout, Wanted};
use crate::unit::AppName;

/// The home of an app.
pub(super) struct Home {
    pub(super) folder: PathBuf,
    /// Its `romuo.toml`.
    pub(super) file: PathBuf,
    pub(super) settings: Settings,
}

/// That of the app to work on: the one of `--config` or of the folder one is in, else where it was shipped
/// from last, else where the installed one lies.
pub(super) fn find(context: &Context) -> Result<Home, Failure> {
    let file = match context.source() {
        Some(file) => file,
        None => known(context, &context.app()?)?,
    };
    let file = std::path::absolute(file).map_err(Failure::Runtime)?;
    let settings = config::load(&file)?;
    let folder = file.parent().unwrap_or(&file).to_path_buf();
    // As the owner of a folder there, which is root, what was shipped before would be built.
    let store = Store::new(context.root(), &settings.name).folder().to_path_buf();
    let (real, store) = (fs::canonicalize(&folder), fs::canonicalize(&store));
    if let (Ok(real), Ok(store)) = (real, store)
        && real.starts_with(&store)
    {
        return Err(Failure::IsRelease { folder, store });
    }
    Ok(Home { folder, file, settings })
}

fn known(context: &Context, app: &AppName) -> Result<PathBuf, Failure> {
    if let Some(file) = Store::new(context.root(), app).home()? {
        return Ok(file);
    }
    if !context.is_installed(app) {
        return Err(Failure::NotInstalled { app: app.clone() });
    }
    let directory = context.installed(app)?.directory;
    let mut files = directory.ancestors().map(|folder| folder.join(LOCAL));
    files.find(|file| file.exists()).ok_or(Failure::NoHome { app: app.clone() })
}

impl Home {
    /// What is to be shipped: this folder, unless something else was asked for.
    pub(super) fn wanted(
        &self,
        git: Option<String>,
        archive: Option<PathBuf>,
    ) -> Result<Wanted, Failure> {
        Ok(match (git, archive) {
            (Some(reference), _) => Wanted::Git { folder: self.folder.clone(), reference },
            (None, Some(file)) => {
                let file = fs::canonicalize(&file)
                    .map_err(|source| Failure::Read { path: file, source })?;
                Wanted::Archive { file, home: self.folder.clone() }
            }
            (None, None) => Wanted::Folder(self.folder.clone()),
        })
    }

    /// The settings of what is shipped.
    pub(super) fn settings_in(&self, checkout: &Checkout) -> Result<Settings, Failure> {
        let own = checkout.folder.join(self.file.file_name().unwrap_or_default());
        if checkout.source == Source::Folder {
            return Ok(config::load(&own)?);
        }
        if own.symlink_metadata().is_ok() {
            return Ok(config::load_guarded(&own)?);
        }
        // It has none of its own: the one at home, as if it lay there.
        let read = |source| Failure::Read { path: self.file.clone(), source };
        Ok(config::parse(&fs::read_to_string(&self.file).map_err(read)?, &own)?)
    }
}
