//! What is remembered of the recycling of an instance: a small file beside that of the crash guard.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Reason;
use crate::health::Recycled;
use crate::unit::InstanceId;

/// The record of one instance since the boot.
#[derive(Debug, Clone)]
pub struct Record {
    path: PathBuf,
}

impl Record {
    /// That of instance `id` in the runtime folder `dir`.
    #[must_use]
    pub fn at(dir: &Path, id: InstanceId) -> Self {
        Self { path: dir.join(format!("{id}.recycled")) }
    }

    /// How often it was recycled, and why the last time; none: never, or nobody can read it.
    #[must_use]
    pub fn read(&self) -> Option<Recycled> {
        serde_json::from_slice(&fs::read(&self.path).ok()?).ok()
    }

    /// It is recycled once more.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn add(&self, reason: Reason) -> io::Result<Recycled> {
        let count = self.read().map_or(0, |before| before.count).saturating_add(1);
        let now = Recycled { count, last: reason.to_string() };
        let new = self.path.with_extension("recycled.new");
        // It lives in memory and not longer than the boot, so there is nothing to sync.
        File::create(&new)?.write_all(&serde_json::to_vec(&now)?)?;
        fs::rename(&new, &self.path)?;
        Ok(now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_counts_from_one_process_to_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let record = || Record::at(dir.path(), "1".parse().unwrap());
        assert_eq!(record().read(), None);
        record().add(Reason::Age(Duration::from_secs(60))).unwrap();
        let twice = record().add(Reason::Age(Duration::from_secs(7200))).unwrap();
        assert_eq!(twice, Recycled { count: 2, last: "up for 2h".into() });
        assert_eq!(record().read(), Some(twice));
        assert_eq!(Record::at(dir.path(), "2".parse().unwrap()).read(), None);
        fs::write(dir.path().join("1.recycled"), "nonsense").unwrap();
        assert_eq!(record().add(Reason::Age(Duration::ZERO)).unwrap().count, 1);
    }
}
