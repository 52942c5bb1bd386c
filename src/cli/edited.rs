//! Whether the `romuo.toml` that somebody wrote says something else by now than what is installed.

use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::Failure;
use super::install::InstallUnits;
use super::output::Printer;
use crate::config;
use crate::install;
use crate::unit::AppName;

/// The file whose settings were changed since they were installed; none: they were not, as far as whoever
/// asks may know.
pub(super) fn edited(app: &AppName, root: &Path) -> Option<PathBuf> {
    let written = install::written(root, app)?;
    let path = install::below(root, &written.path);
    let is_as_installed = match config::load(&path) {
        Ok(settings) => {
            let settings = settings.below(root);
            settings.name != *app || install::digest(&config::to_toml(&settings)) == written.digest
        }
        // It is being written, or it is gone: an install says so.
        Err(_) => !path.exists(),
    };
    (!is_as_installed).then_some(path)
}

/// What to say of such a file, as a sentence.
pub(super) fn sentence(path: &Path) -> String {
    format!("{} was changed since it was installed", path.display())
}

/// Installs what that file says.
pub(super) async fn install(
    path: PathBuf,
    context: &Context,
    printer: &Printer,
) -> Result<(), Failure> {
    let context = Context::new(context.root().to_path_buf(), Vec::new(), Some(path));
    let quiet = Printer { quiet: true, ..*printer };
    InstallUnits::again().run(&context, &quiet).await.map(drop)
}
