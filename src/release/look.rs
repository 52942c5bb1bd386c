//! Looks at a folder without copying it: what it holds that would be staged, and since when.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ignore::{DirEntry, WalkBuilder};

use super::error::ReleaseError;
use super::rules::Rules;

/// Whether anything that would be staged of a folder was written, added, removed or renamed after `since`. The
/// time that tells is the one that no program can set (`st_ctime`, inode(7)): another mode is a change, too, and
/// so is what came or went of what is not staged, in the folder that it lies in.
///
/// # Errors
/// Where something cannot be read.
pub fn touched_since(
    folder: &Path,
    rules: &Rules,
    since: SystemTime,
) -> Result<bool, ReleaseError> {
    for found in entries(folder, rules) {
        match found {
            // It was there a moment ago.
            Err(error) if is_gone(&error) => return Ok(true),
            Ok(found) if changed(&found) <= since => {}
            result => return result.map(|_| true).map_err(read(folder)),
        }
    }
    Ok(false)
}

/// How many bytes the files have that would be staged of a folder.
///
/// # Errors
/// Where something cannot be read.
pub fn size(folder: &Path, rules: &Rules) -> Result<u64, ReleaseError> {
    let mut bytes = 0_u64;
    for found in entries(folder, rules) {
        match found {
            Err(error) if is_gone(&error) => {}
            Ok(found) if !found.is_file() => {}
            result => bytes = bytes.saturating_add(result.map_err(read(folder))?.len()),
        }
    }
    Ok(bytes)
}

fn entries(
    folder: &Path,
    rules: &Rules,
) -> impl Iterator<Item = Result<Metadata, ignore::Error>> + use<> {
    let (top, own) = (folder.to_path_buf(), rules.clone());
    let is_staged = move |entry: &DirEntry| {
        let inside = entry.path().strip_prefix(&top).unwrap_or(entry.path());
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        inside.as_os_str().is_empty() || !own.skip(inside, is_folder)
    };
    // The filters of the crate are about other things than our rules.
    let walk = WalkBuilder::new(folder).standard_filters(false).filter_entry(is_staged).build();
    walk.map(|entry| entry?.metadata())
}

fn read(folder: &Path) -> impl Fn(ignore::Error) -> ReleaseError + use<'_> {
    move |error| {
        let error = error.into_io_error().unwrap_or_else(|| ErrorKind::Other.into());
        ReleaseError::io("read", folder)(error)
    }
}

fn is_gone(error: &ignore::Error) -> bool {
    error.io_error().is_some_and(|error: &io::Error| error.kind() == ErrorKind::NotFound)
}

fn changed(found: &Metadata) -> SystemTime {
    // What claims to be of before 1970 was not changed since.
    let seconds = u64::try_from(found.ctime()).unwrap_or_default();
    let nanoseconds = u32::try_from(found.ctime_nsec()).unwrap_or_default();
    UNIX_EPOCH + Duration::new(seconds, nanoseconds)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            for path in ["a/b/c", "data/old", "d", ".git/HEAD"] {
                fs::create_dir_all(folder.path(path).parent().unwrap()).unwrap();
                fs::write(folder.path(path), path).unwrap();
            }
            folder
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        /// The moment after the last change so far, as the clock of the file system has it.
        fn now(&self) -> SystemTime {
            fs::write(self.path("data/now"), "").unwrap();
            let now = changed(&fs::metadata(self.path("data/now")).unwrap());
            // Another change has a later time.
            while changed(&fs::metadata(self.path("data/now")).unwrap()) == now {
                fs::write(self.path("data/now"), "").unwrap();
            }
            now
        }

        fn is_touched(&self, since: SystemTime) -> bool {
            let rules = Rules::read(self.0.path(), &["data".into()]).unwrap();
            touched_since(self.0.path(), &rules, since).unwrap()
        }
    }

    #[test]
    fn a_folder_that_nobody_touched_is_what_it_was() {
        let folder = Folder::new();
        let now = folder.now();
        assert!(!folder.is_touched(now));
        assert!(folder.is_touched(UNIX_EPOCH));
    }

    #[test]
    fn each_kind_of_change_is_seen() {
        type Change = fn(&Folder);
        let changes: [(&str, Change); 6] = [
            ("written", |it| fs::write(it.path("a/b/c"), "new").unwrap()),
            ("added", |it| fs::write(it.path("a/b/new"), "").unwrap()),
            ("removed", |it| fs::remove_file(it.path("a/b/c")).unwrap()),
            ("renamed", |it| fs::rename(it.path("a/b/c"), it.path("a/b/d")).unwrap()),
            ("linked", |it| std::os::unix::fs::symlink("x", it.path("a/x")).unwrap()),
            ("with its old time", |it| {
                let file = fs::File::options().write(true).open(it.path("d")).unwrap();
                let modified = file.metadata().unwrap().modified().unwrap();
                file.set_len(0).unwrap();
                file.set_modified(modified).unwrap();
            }),
        ];
        for (name, change) in changes {
            let folder = Folder::new();
            let now = folder.now();
            change(&folder);
            assert!(folder.is_touched(now), "{name}");
        }
    }

    #[test]
    fn what_is_staged_has_a_size() {
        let folder = Folder::new();
        fs::write(folder.path("a/new"), [0; 5000]).unwrap();
        let rules = Rules::read(folder.0.path(), &["data".into()]).unwrap();
        let here = "a/b/c".len() + "d".len() + 5000;
        assert_eq!(size(folder.0.path(), &rules).unwrap(), here as u64);
    }

    #[test]
    fn what_is_not_staged_does_not_count() {
        let folder = Folder::new();
        let now = folder.now();
        fs::write(folder.path("data/old"), "new").unwrap();
        fs::write(folder.path("data/new"), "new").unwrap();
        fs::write(folder.path(".git/HEAD"), "new").unwrap();
        assert!(!folder.is_touched(now));
    }
}
