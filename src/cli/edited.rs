//! Whether the `romuo.toml` that somebody wrote says something else by now than what is installed.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::context::Context;
use super::error::Failure;
use super::install::InstallUnits;
use super::output::Printer;
use crate::config;
use crate::install;
use crate::release::{Store, runs_releases};
use crate::unit::AppName;

/// A file whose settings are not those that are installed. For scripts it is its path.
#[derive(Debug, Clone, Serialize)]
#[serde(into = "PathBuf")]
pub(super) struct Edited {
    pub(super) path: PathBuf,
    /// The app runs releases, so that a deploy is what brings the settings in.
    pub(super) is_shipped: bool,
}

impl From<Edited> for PathBuf {
    fn from(edited: Edited) -> Self {
        edited.path
    }
}

impl Edited {
    /// The one of an app; none: it says what is installed, as far as whoever asks may know.
    pub(super) fn find(app: &AppName, context: &Context) -> Option<Self> {
        let root = context.root();
        if context.installed(app).is_ok_and(|installed| runs_releases(app, &installed.directory)) {
            let path = differs_from_release(app, root)?;
            return Some(Self { path, is_shipped: true });
        }
        let written = install::written(root, app)?;
        let path = install::below(root, &written.path);
        let is_as_installed = match config::load(&path) {
            Ok(settings) => {
                let settings = settings.below(root);
                let digest = || install::digest(&config::to_toml(&settings));
                settings.name != *app || digest() == written.digest
            }
            // It is being written, or it is gone: an install says so.
            Err(_) => !path.exists(),
        };
        (!is_as_installed).then_some(Self { path, is_shipped: false })
    }

    /// What to say of it, as a sentence.
    pub(super) fn sentence(&self) -> String {
        let path = self.path.display();
        if self.is_shipped {
            format!("{path} says something else than the release that serves")
        } else {
            format!("{path} was changed since it was installed")
        }
    }

    /// What brings it in, as the end of a sentence.
    pub(super) fn remedy(&self) -> &'static str {
        if self.is_shipped {
            "`romuoctl deploy` ships it"
        } else {
            "`romuoctl reload --install` brings it in"
        }
    }

    /// Installs what it says.
    pub(super) async fn install(self, context: &Context, printer: &Printer) -> Result<(), Failure> {
        let context = Context::new(context.root().to_path_buf(), Vec::new(), Some(self.path));
        let quiet = Printer { quiet: true, ..*printer };
        InstallUnits::again().run(&context, &quiet).await.map(drop)
    }
}

/// The file that the app was shipped from last, where the one in the current release says something else. Comments
/// say nothing.
fn differs_from_release(app: &AppName, root: &Path) -> Option<PathBuf> {
    let store = Store::new(root, app);
    let path = store.home().ok()??;
    let shipped = store.path(&store.current().ok()??).join(path.file_name()?);
    // Both as if they lay at home, where paths in them are the same.
    let read = |file: &Path| config::parse(&fs::read_to_string(file).ok()?, &path).ok();
    (read(&path)? != read(&shipped)?).then_some(path)
}
