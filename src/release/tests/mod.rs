//! The store on a real file system.

mod additions;
mod kept;
mod place;
mod properties;
mod staging;
mod tree;
mod way_back;

use std::collections::BTreeMap;
use std::path::PathBuf;

use self::tree::{Node, snapshot};
use super::*;

/// A store, and a folder to stage.
struct Shop {
    /// In memory where there is such a place: each staging waits for its file system.
    dir: tempfile::TempDir,
    store: Store,
}

impl Shop {
    fn new() -> Self {
        let memory = PathBuf::from("/dev/shm");
        let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let dir = tempfile::tempdir_in(place).unwrap();
        std::fs::create_dir(dir.path().join("source")).unwrap();
        let store = Store::new(&dir.path().join("root"), &"shop".parse().unwrap());
        Self { dir, store }
    }

    /// A path in the folder to stage.
    fn source(&self, path: &str) -> PathBuf {
        self.dir.path().join("source").join(path)
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.source(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn try_stage(&self) -> Result<(ReleaseId, Staged), ReleaseError> {
        self.try_stage_with(&Additions::default())
    }

    fn try_stage_with(&self, additions: &Additions) -> Result<(ReleaseId, Staged), ReleaseError> {
        let lock = self.store.lock()?;
        let source = self.source("");
        let rules = Rules::read(&source, &[])?;
        let id = self.store.next_id(None)?;
        let staged = self.store.stage(&lock, &source, &rules, &id, additions)?;
        Ok((id, staged))
    }

    fn stage(&self) -> (ReleaseId, Staged) {
        self.try_stage().unwrap()
    }

    fn release(&self, id: &ReleaseId) -> BTreeMap<PathBuf, Node> {
        snapshot(&self.store.path(id))
    }

    /// What a release of the folder as it is now should be.
    fn expected(&self) -> BTreeMap<PathBuf, Node> {
        let tree = snapshot(&self.source(""));
        tree.into_iter().map(|(path, node)| (path, node.released())).collect()
    }
}

/// What the history says of a release that was just staged.
fn entry(id: &str) -> Entry {
    Entry {
        id: id.parse().unwrap(),
        staged_at: "2026-11-26T00:11:00Z".parse().unwrap(),
        by: "alice".into(),
        source: Source::Git("v1.2".into()),
        commit: Some("abc1234def5678abc1234def5678abc1234def56".parse().unwrap()),
        verdict: Verdict::Staged,
        reason: None,
        duration_ms: None,
        serving_since: None,
    }
}
