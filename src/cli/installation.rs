//! Which installation of an app this is: of which folder, and what below `/var/lib/romuo` is its own.

use std::fs;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::Failure;
use crate::config::Settings;
use crate::install;
use crate::release::{DeployLock, ReleaseError, Store, runs_releases};
use crate::unit::AppName;

/// The link that tools set to the release which is to serve.
const CURRENT: &str = "current";

/// How far above such a release it lies at the most: `releases/ID` has it beside `releases`.
const DEPTH: usize = 2;

/// The `romuo.toml` of which the installed app of this name is, where that is another one than `file`.
pub(super) fn other(
    app: &AppName,
    file: &Path,
    context: &Context,
) -> Result<Option<PathBuf>, Failure> {
    let Some(installed) = source(app, context)? else { return Ok(None) };
    let (there, own) = (below(&installed, context), below(&install::config_path(app), context));
    let is_same = |path: &Path| path == file || (real(path).is_some() && real(path) == real(file));
    Ok((!is_same(&there) && !is_same(&own)).then_some(installed))
}

/// Refuses such a file as long as the other one is there.
pub(super) fn refuse_other(app: &AppName, file: &Path, context: &Context) -> Result<(), Failure> {
    let installed = other(app, file, context)?;
    refuse_where_there(app, file, installed.as_deref(), context)
}

/// The same where it is known already what the other one is, if there is one.
pub(super) fn refuse_where_there(
    app: &AppName,
    file: &Path,
    other: Option<&Path>,
    context: &Context,
) -> Result<(), Failure> {
    match other.filter(|path| below(path, context).exists()) {
        None => Ok(()),
        Some(installed) => {
            let (installed, here) = (installed.to_path_buf(), file.to_path_buf());
            Err(Failure::OtherFolder { app: app.clone(), installed, here })
        }
    }
}

/// Refuses to do something with the installed app where it was named only by a `romuo.toml` of another folder, as
/// that of a copy.
pub(super) fn refuse_elsewhere(context: &Context) -> Result<(), Failure> {
    let Some(file) = context.source() else { return Ok(()) };
    let file = std::path::absolute(file).map_err(Failure::Runtime)?;
    refuse_other(&context.app()?, &file, context)
}

/// A path of the machine below the root.
fn below(path: &Path, context: &Context) -> PathBuf {
    install::below(context.root(), path)
}

/// Refuses a folder that is only what a link beside it leads to at the moment, as tools that deploy by such a link
/// leave it (Capistrano, PM2): the next one would not be served.
pub(super) fn refuse_frozen(settings: &Settings) -> Result<(), Failure> {
    let folder = &settings.directory;
    for part in folder.ancestors().filter(|part| part.parent().is_some()) {
        let beside = part.ancestors().skip(1).take(DEPTH).map(|above| above.join(CURRENT));
        let leads_here = |link: &PathBuf| link.is_symlink() && real(link) == real(part);
        if !part.is_symlink()
            && let Some(link) = { beside }.find(leads_here)
        {
            let inside = folder.strip_prefix(part).unwrap_or(Path::new(""));
            let link = link.join(inside).components().collect();
            return Err(Failure::Frozen { folder: folder.clone(), link });
        }
    }
    Ok(())
}

fn real(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok()
}

/// The `romuo.toml` that the installed app is of; none: it is not installed, or that is not known.
fn source(app: &AppName, context: &Context) -> Result<Option<PathBuf>, Failure> {
    let Ok(installed) = context.installed(app) else { return Ok(None) };
    if runs_releases(app, &installed.directory) {
        return Ok(Store::new(context.root(), app).home()?);
    }
    Ok(install::written(context.root(), app).map(|written| written.path))
}

/// The releases of an installed app, and the right to change them.
pub(super) fn releases(app: &AppName, context: &Context) -> Result<(Store, DeployLock), Failure> {
    let store = Store::new(context.root(), app);
    let lock = store.lock()?;
    if let Some(identity) = install::identity(context.root(), app) {
        match store.installation()? {
            None => store.belong_to(&lock, &identity)?,
            Some(found) if found == identity => {}
            Some(_) => {
                let folder = store.folder().to_path_buf();
                return Err(Failure::OtherInstallation { app: app.clone(), folder });
            }
        }
    }
    Ok((store, lock))
}

/// An app was installed with this identity: what an installation before it has left is put aside; where that is
/// now. `is_new`: there was none of that name, or one of another folder.
pub(super) fn settle(
    (store, lock): (&Store, &DeployLock),
    identity: &str,
    is_new: bool,
) -> Result<Option<PathBuf>, ReleaseError> {
    let found = store.installation()?;
    if found.as_deref() == Some(identity) {
        return Ok(None);
    }
    let is_another = is_new || found.is_some();
    let aside = if is_another { store.set_aside(lock)? } else { None };
    store.belong_to(lock, identity)?;
    Ok(aside)
}
