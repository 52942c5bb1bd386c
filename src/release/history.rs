//! Who shipped what, and what came of it.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::ReleaseError;
use super::folders;
use super::id::{Commit, ReleaseId};
use super::lock::DeployLock;
use crate::lock::{A_MOMENT, Lock};
use crate::unit::NameError;

/// The version of the file that is written here, and the newest that is understood.
const VERSION: u32 = 1;

/// How many entries are kept, the newest: a few years of daily deploys, and still a small file.
const ENTRIES_MAX: usize = 1000;

/// Why a release that served does so no more where somebody went back behind it.
const BY_HAND: &str = "by hand";

/// Mode of the file: everybody may see what runs.
const MODE: u32 = 0o644;

/// What came of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verdict {
    /// It is there, and no instance has run it yet.
    Staged,
    /// Instances serve with it, or did when the app was stopped.
    Serving,
    /// It has served, and another one came after it.
    Replaced,
    /// No instance came up with it, or it was stopped before one did.
    Failed,
    /// Instances that had it went back to the release before.
    #[serde(rename = "rolled back")]
    RolledBack,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Staged => "staged",
            Self::Serving => "serving",
            Self::Replaced => "replaced",
            Self::Failed => "failed",
            Self::RolledBack => "rolled back",
        })
    }
}

/// What a release was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Source {
    /// A folder as it was.
    Folder,
    /// A commit, by the name that was given for it.
    Git(String),
    /// An archive that was sent.
    Archive,
    /// The folder that the app ran from before its first deploy, as it was then.
    Served,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => f.write_str("folder"),
            Self::Git(reference) => write!(f, "git {reference}"),
            Self::Archive => f.write_str("archive"),
            Self::Served => f.write_str("what served"),
        }
    }
}

impl FromStr for Source {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "folder" => Ok(Self::Folder),
            "archive" => Ok(Self::Archive),
            "what served" => Ok(Self::Served),
            _ => text.strip_prefix("git ").map(|reference| Self::Git(reference.into())).ok_or_else(
                || NameError {
                    given: text.into(),
                    expected: "`folder`, `archive`, `what served` or `git REF`",
                },
            ),
        }
    }
}

impl TryFrom<String> for Source {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}

/// One release in the history; it stays there when the release itself is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The release.
    pub id: ReleaseId,
    /// When it was staged.
    pub staged_at: Timestamp,
    /// The login name of who did it.
    pub by: String,
    /// What it was made of.
    pub source: Source,
    /// The commit it was made of, if that is known.
    pub commit: Option<Commit>,
    /// What came of it.
    pub verdict: Verdict,
    /// Why so, in a sentence.
    pub reason: Option<String>,
    /// How long its deploy took, in milliseconds; none: it is not over.
    pub duration_ms: Option<u64>,
    /// Since when it has served, the last time that it came to; none: it never did, or an older romuo did not
    /// say.
    #[serde(default)]
    pub serving_since: Option<Timestamp>,
}

impl Entry {
    /// Whether it serves, or did until another came after it: what was left by a rollback does not count.
    #[must_use]
    pub fn has_served(&self) -> bool {
        matches!(self.verdict, Verdict::Serving | Verdict::Replaced)
    }

    /// By which those that have served follow each other.
    fn came(&self) -> Timestamp {
        self.serving_since.unwrap_or(self.staged_at)
    }
}

/// How a release comes to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comes {
    /// After all that have served.
    Next,
    /// By a rollback. Where it has served before, all that came after it are left.
    Back,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    version: u32,
    releases: Vec<Entry>,
}

/// What every version of the file says.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// The history of an app's releases: one file, that is replaced as a whole.
#[derive(Debug, Clone)]
pub struct History {
    path: PathBuf,
}

impl History {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The entries, the oldest first.
    ///
    /// # Errors
    /// Where the file cannot be read, cannot be understood, or is of a newer romuo. One that is missing
    /// holds none.
    pub fn entries(&self) -> Result<Vec<Entry>, ReleaseError> {
        let text = match fs::read(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            result => result.map_err(ReleaseError::io("read", &self.path))?,
        };
        let broken = |source| ReleaseError::HistoryBroken { path: self.path.clone(), source };
        let Versioned { version } = serde_json::from_slice(&text).map_err(broken)?;
        if version > VERSION {
            let path = self.path.clone();
            return Err(ReleaseError::HistoryNewer { path, found: version, known: VERSION });
        }
        let document: Document = serde_json::from_slice(&text).map_err(broken)?;
        Ok(document.releases)
    }

    /// A release was staged.
    ///
    /// # Errors
    /// As [`entries`](Self::entries), or where the file cannot be written; it is as it was.
    pub fn add(&self, entry: Entry) -> Result<(), ReleaseError> {
        self.change(|entries| {
            entries.push(entry);
            Ok(())
        })
    }

    /// Says what came of a release that does not serve, and how long its deploy took; none: as was said before.
    ///
    /// # Errors
    /// Where the history does not know it; else as [`add`](Self::add).
    pub fn judge(
        &self,
        id: &ReleaseId,
        verdict: Verdict,
        reason: Option<&str>,
        duration: Option<Duration>,
    ) -> Result<(), ReleaseError> {
        self.change(|entries| {
            let entry = self.entry(entries, id)?;
            entry.verdict = verdict;
            entry.reason = reason.map(str::to_owned);
            entry.duration_ms = milliseconds(duration).or(entry.duration_ms);
            Ok(())
        })
    }

    /// Says that a release serves now, and how long its deploy took; none: as was said before.
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    pub fn serves(
        &self,
        id: &ReleaseId,
        comes: Comes,
        duration: Option<Duration>,
    ) -> Result<(), ReleaseError> {
        self.change(|entries| {
            // Later than all others, also where the clock was set back.
            let last = entries.iter().map(Entry::came).max().unwrap_or(Timestamp::MIN);
            let after = last.checked_add(Duration::from_nanos(1)).unwrap_or(last);
            let entry = self.entry(entries, id)?;
            let since = match comes {
                Comes::Back if entry.has_served() => entry.came(),
                Comes::Back | Comes::Next => Timestamp::now().max(after),
            };
            entry.verdict = Verdict::Serving;
            entry.reason = None;
            entry.duration_ms = milliseconds(duration).or(entry.duration_ms);
            entry.serving_since = Some(since);
            for entry in entries.iter_mut().filter(|it| it.has_served() && it.id != *id) {
                if entry.came() > since {
                    (entry.verdict, entry.reason) = (Verdict::RolledBack, Some(BY_HAND.into()));
                } else {
                    entry.verdict = Verdict::Replaced;
                }
            }
            Ok(())
        })
    }

    /// What served before `current` and is still `there`; none: nothing did.
    ///
    /// # Errors
    /// As [`entries`](Self::entries).
    pub fn before(
        &self,
        current: &ReleaseId,
        there: &[ReleaseId],
    ) -> Result<Option<ReleaseId>, ReleaseError> {
        let is_it = |it: &Entry| it.has_served() && it.id != *current && there.contains(&it.id);
        let served = self.entries()?.into_iter().filter(is_it);
        Ok(served.max_by_key(Entry::came).map(|entry| entry.id))
    }

    /// What is said of a release; none: nothing.
    ///
    /// # Errors
    /// As [`entries`](Self::entries).
    pub fn verdict(&self, id: &ReleaseId) -> Result<Option<Verdict>, ReleaseError> {
        let found = self.entries()?.into_iter().find(|entry| entry.id == *id);
        Ok(found.map(|entry| entry.verdict))
    }

    fn entry<'a>(
        &self,
        entries: &'a mut [Entry],
        id: &ReleaseId,
    ) -> Result<&'a mut Entry, ReleaseError> {
        let missing = || ReleaseError::NotInHistory { id: id.clone(), path: self.path.clone() };
        entries.iter_mut().find(|entry| entry.id == *id).ok_or_else(missing)
    }

    /// Says of whatever else than `current` is still [`Staged`](Verdict::Staged) that its deploy was cut off.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn give_up_staged(
        &self,
        _lock: &DeployLock,
        current: &ReleaseId,
    ) -> Result<(), ReleaseError> {
        let is_left = |entry: &Entry| entry.verdict == Verdict::Staged && entry.id != *current;
        if !self.entries()?.iter().any(is_left) {
            return Ok(());
        }
        self.change(|entries| {
            for entry in entries.iter_mut().filter(|entry| is_left(entry)) {
                entry.verdict = Verdict::Failed;
                entry.reason = Some("its deploy was cut off".into());
            }
            Ok(())
        })
    }

    /// Reads, changes and writes under the lock: two that change it at once both get their say.
    fn change(
        &self,
        how: impl FnOnce(&mut Vec<Entry>) -> Result<(), ReleaseError>,
    ) -> Result<(), ReleaseError> {
        let _locked = self.lock()?;
        let mut releases = self.entries()?;
        how(&mut releases)?;
        releases.drain(..releases.len().saturating_sub(ENTRIES_MAX));
        let document = Document { version: VERSION, releases };
        let write = |error| ReleaseError::io("write", &self.path)(error);
        let mut text = serde_json::to_vec_pretty(&document).map_err(|error| write(error.into()))?;
        text.push(b'\n');
        folders::replace_file(&self.path, &text, MODE).map_err(write)
    }

    fn lock(&self) -> Result<Lock, ReleaseError> {
        let path = self.path.with_extension("json.lock");
        let folder = path.parent().unwrap_or(&path);
        folders::make(folder).map_err(ReleaseError::io("make", folder))?;
        let lock = Lock::wait(&path, A_MOMENT).map_err(ReleaseError::io("lock", &path))?;
        lock.say("writing the history");
        Ok(lock)
    }
}

fn milliseconds(duration: Option<Duration>) -> Option<u64> {
    duration.map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
