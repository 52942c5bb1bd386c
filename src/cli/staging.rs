//! What becomes a release: a folder with the settings that it has as one.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::error::Failure;
use crate::account::{Owner, login};
use crate::config::{self, Settings};
use crate::release::{
    AddedFile, Additions, CONFIG_FILE, CONFIG_MODE, DeployLock, Entry, ReleaseId, Rules, Staged,
    Store, Verdict,
};
use crate::ship::{Checkout, ForRelease, for_release};

/// A folder on its way to a release.
pub(super) struct Staging<'a> {
    checkout: &'a Checkout,
    /// The settings that it has as a release.
    pub(super) settings: Settings,
    /// What of it is data, relative to the folder, and where that stays.
    links: Vec<(PathBuf, PathBuf)>,
}

impl<'a> Staging<'a> {
    /// Of settings in installed form.
    pub(super) fn new(
        settings: Settings,
        checkout: &'a Checkout,
        store: &Store,
    ) -> Result<Self, Failure> {
        let ForRelease { settings, links } =
            for_release(settings, checkout, &store.current_path())?;
        Ok(Self { checkout, settings, links })
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.checkout.folder
    }

    /// What of the folder is left out.
    pub(super) fn rules(&self, owner: &Owner) -> Result<Rules, Failure> {
        let data: Vec<PathBuf> = self.links.iter().map(|(inside, _)| inside.clone()).collect();
        Ok(Rules::read(self.folder(), &data)?.of_user(owner.ids().0))
    }

    /// Makes the release, and notes it in the history.
    pub(super) fn stage(
        self,
        id: &ReleaseId,
        rules: &Rules,
        store: &Store,
        lock: &DeployLock,
    ) -> Result<Staged, Failure> {
        let Self { checkout, settings, links } = self;
        let (text, staged_at) = (config::to_toml(&settings), Timestamp::now());
        let files = vec![AddedFile { path: CONFIG_FILE.into(), text, mode: CONFIG_MODE }];
        let staged = store.stage(lock, &checkout.folder, rules, id, &Additions { files, links })?;
        store.history().add(Entry {
            id: id.clone(),
            staged_at,
            by: login(),
            source: checkout.source.clone(),
            commit: checkout.commit.clone(),
            verdict: Verdict::Staged,
            reason: None,
            duration_ms: None,
            serving_since: None,
        })?;
        Ok(staged)
    }
}
