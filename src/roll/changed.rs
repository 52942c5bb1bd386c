//! What of an instance's files is newer than the instance: a swap would not bring it in.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::plan::Reason;
use crate::clock;
use crate::install::{below, unit_folder};
use crate::manager::{UnitFiles, UnitStatus};
use crate::unit::{AppName, InstanceId, drop_in_folders};

/// The kernel stamps files with the time of its last tick (`current_time()`), which is up to 10 ms
/// ago at 100 ticks a second: a file that was changed right after the start may look older than it.
const TICK: Duration = Duration::from_millis(10);

/// How far the clock may drift against the one that nobody sets, while it is disciplined (NTP slews by
/// 0.5 ms a second at the most); an instance may run for weeks.
const DRIFT: Duration = Duration::from_secs(5);

/// What the clocks say now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The clock that files are stamped by, and that somebody may set.
    pub wall: SystemTime,
    /// `CLOCK_MONOTONIC`, on which systemd tells when a unit was started.
    pub since_boot: Duration,
}

impl Now {
    /// Asks both.
    #[must_use]
    pub fn ask() -> Self {
        Self { wall: SystemTime::now(), since_boot: clock::monotonic() }
    }

    /// Whether the clock was set since the unit began to start: both clocks do not agree on how long ago
    /// that was.
    fn is_set_since(self, files: &UnitFiles) -> bool {
        let (Some(wall), Some(since_boot)) = (files.read, files.read_since_boot) else {
            return false;
        };
        let ago = self.since_boot.saturating_sub(since_boot);
        let (then, slack) = (wall + ago, DRIFT);
        self.wall > then + slack || then > self.wall + slack
    }
}

/// Why a restart and no swap brings in what is new for the instance; none: a swap does.
///
/// Times are those of `ctime`, which neither `cp -p` nor `tar` can set back. A file that cannot be
/// looked at counts as old: a running instance does not need it. A folder of drop-ins that was removed
/// leaves no time behind; `had` are those that the instance saw when it began.
#[must_use]
pub fn changed(
    root: &Path,
    app: &AppName,
    id: InstanceId,
    unit: &UnitStatus,
    configuration: &Path,
    had: &[PathBuf],
    now: Now,
) -> Option<Reason> {
    let files = &unit.files;
    if now.is_set_since(files) {
        return Some(Reason::Clock);
    }
    let newer = |path: &Path| is_newer(root, path, files.read);
    let folders = drop_in_folders(app, id);
    let is_gone = |folder: &PathBuf| had.contains(folder) && !below(root, folder).exists();
    // In a folder that is new to it, systemd itself does not see that there is something to be read.
    let is_unread = |folder: &PathBuf| has_unread(root, folder, &files.drop_ins);
    if files.stale || folders.iter().any(is_unread) {
        Some(Reason::StaleUnit)
    } else if files.fragment.iter().chain(&files.drop_ins).any(|path| newer(path))
        // A drop-in that was taken away leaves its trace in the folder only.
        || folders.iter().any(|path| newer(path) || is_gone(path))
        // What it was handed at its start may be other sockets.
        || newer(&unit_folder().join(app.socket().as_str()))
    {
        Some(Reason::Unit)
    } else if newer(configuration) {
        Some(Reason::Configuration)
    } else if unit.program.as_deref().is_some_and(newer) {
        Some(Reason::Server)
    } else {
        None
    }
}

/// Whether a drop-in lies in a folder that systemd has not read. One of the same name in another folder
/// may stand in its place; an empty one, or a link to `/dev/null`, is none (systemd.unit(5)).
fn has_unread(root: &Path, folder: &Path, read: &[PathBuf]) -> bool {
    fs::read_dir(below(root, folder)).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        path.extension().is_some_and(|end| end == "conf")
            && !read.iter().any(|known| known.file_name() == path.file_name())
            && fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() > 0)
    })
}

/// Whether the file at `path`, or a link that leads to it, was changed after `read`.
fn is_newer(root: &Path, path: &Path, read: Option<SystemTime>) -> bool {
    let Some(read) = read else { return true };
    let path = below(root, path);
    let both = [fs::symlink_metadata(&path), fs::metadata(&path)];
    both.iter().flatten().any(|meta| {
        let since = |seconds: i64, nanos: i64| {
            let seconds = Duration::from_secs(seconds.try_into().ok()?);
            Some(SystemTime::UNIX_EPOCH + seconds + Duration::from_nanos(nanos.try_into().ok()?))
        };
        since(meta.ctime(), meta.ctime_nsec()).is_some_and(|changed| changed + TICK >= read)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with everything an instance was made of, and its unit, which was read now.
    fn machine() -> (tempfile::TempDir, UnitStatus) {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "etc/systemd/system/shop@.service",
            "etc/systemd/system/shop@.service.d/more.conf",
            "etc/romuo/shop.toml",
            "usr/bin/romuo-server",
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let app: AppName = "shop".parse().unwrap();
        let files = UnitFiles {
            // Later than the files were made, and earlier than whatever a test changes.
            read: Some(later(root.path())),
            fragment: Some("/etc/systemd/system/shop@.service".into()),
            drop_ins: vec!["/etc/systemd/system/shop@.service.d/more.conf".into()],
            read_since_boot: None,
            stale: false,
            can_reload: true,
        };
        let unknown = UnitStatus::unknown(app.instance("1".parse().unwrap()));
        let program = Some("/usr/bin/romuo-server".into());
        (root, UnitStatus { program, files, ..unknown })
    }

    /// A moment that lies well after the making of the machine, and before the next change of it.
    fn later(root: &Path) -> SystemTime {
        let made = fs::metadata(root.join("usr/bin/romuo-server")).unwrap().modified().unwrap();
        loop {
            let now = SystemTime::now();
            if now > made + 2 * TICK {
                return now;
            }
        }
    }

    fn of(root: &Path, unit: &UnitStatus) -> Option<Reason> {
        of_one_that_had(root, unit, &[])
    }

    fn of_one_that_had(root: &Path, unit: &UnitStatus, had: &[PathBuf]) -> Option<Reason> {
        let (app, id) = ("shop".parse().unwrap(), "1".parse().unwrap());
        changed(root, &app, id, unit, Path::new("/etc/romuo/shop.toml"), had, Now::ask())
    }

    #[test]
    fn what_is_older_than_the_instance_takes_no_restart() {
        let (root, unit) = machine();
        assert_eq!(of(root.path(), &unit), None);
    }

    #[test]
    fn each_file_that_is_newer_takes_one_and_is_named() {
        for (path, reason) in [
            ("etc/systemd/system/shop@.service", Reason::Unit),
            ("etc/systemd/system/shop@.service.d/more.conf", Reason::Unit),
            ("etc/systemd/system/shop@.service.d/new.conf", Reason::StaleUnit),
            ("etc/systemd/system/shop.socket", Reason::Unit),
            ("etc/romuo/shop.toml", Reason::Configuration),
            ("usr/bin/romuo-server", Reason::Server),
        ] {
            let (root, unit) = machine();
            fs::write(root.path().join(path), "new").unwrap();
            assert_eq!(of(root.path(), &unit), Some(reason), "{path}");
        }
    }

    #[test]
    fn a_drop_in_that_was_taken_away_is_noticed_and_so_is_one_of_the_instance_alone() {
        let (root, mut unit) = machine();
        fs::remove_file(root.path().join("etc/systemd/system/shop@.service.d/more.conf")).unwrap();
        unit.files.drop_ins.clear();
        assert_eq!(of(root.path(), &unit), Some(Reason::Unit));

        let (root, unit) = machine();
        fs::create_dir_all(root.path().join("run/systemd/system/shop@1.service.d")).unwrap();
        assert_eq!(of(root.path(), &unit), Some(Reason::Unit));
        let (root, unit) = machine();
        fs::create_dir_all(root.path().join("run/systemd/system/shop@2.service.d")).unwrap();
        assert_eq!(of(root.path(), &unit), None, "the sibling's");
    }

    #[test]
    fn a_folder_of_drop_ins_that_was_removed_is_noticed_by_what_the_instance_saw() {
        let (root, mut unit) = machine();
        let folder = "etc/systemd/system/shop@.service.d";
        let had = [Path::new("/").join(folder), "/etc/systemd/system/shop@2.service.d".into()];
        assert_eq!(of_one_that_had(root.path(), &unit, &had), None, "it is there");
        // systemd was told of it, and so knows of no drop-in either.
        fs::remove_dir_all(root.path().join(folder)).unwrap();
        unit.files.drop_ins.clear();
        assert_eq!(of_one_that_had(root.path(), &unit, &had), Some(Reason::Unit));
        assert_eq!(of_one_that_had(root.path(), &unit, &had[1..]), None, "it is a sibling's");
    }

    #[test]
    fn after_a_jump_of_the_clock_the_times_of_files_are_not_trusted() {
        let hour = Duration::from_secs(3_600);
        let begun = SystemTime::UNIX_EPOCH + 1_000 * hour;
        let files =
            UnitFiles { read: Some(begun), read_since_boot: Some(hour), ..UnitFiles::default() };
        let at = |wall, since_boot| Now { wall, since_boot }.is_set_since(&files);
        assert!(!at(begun + hour, 2 * hour));
        assert!(!at(begun + hour + Duration::from_secs(4), 2 * hour), "it drifts");
        assert!(at(begun + 2 * hour, 2 * hour), "forward");
        assert!(at(begun - hour, 2 * hour), "back");
        assert!(!Now { wall: begun, since_boot: hour }.is_set_since(&UnitFiles::default()));
    }

    #[test]
    fn a_drop_in_that_systemd_has_not_read_is_told_from_one_that_it_has() {
        let (root, mut unit) = machine();
        let folder = root.path().join("etc/systemd/system/shop@1.service.d");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("new.conf"), "[Service]\nNice=1\n").unwrap();
        assert_eq!(of(root.path(), &unit), Some(Reason::StaleUnit));
        // Read, or hidden behind one of the same name, which the administrator may have emptied.
        unit.files.drop_ins.push("/run/systemd/system/shop@.service.d/new.conf".into());
        assert_eq!(of(root.path(), &unit), Some(Reason::Unit));
        let (root, unit) = machine();
        fs::write(root.path().join("etc/systemd/system/shop@.service.d/none.conf"), "").unwrap();
        assert_eq!(of(root.path(), &unit), Some(Reason::Unit));
    }

    #[test]
    fn what_cannot_be_looked_at_is_old_and_an_instance_of_unknown_age_is_not_trusted() {
        let (root, mut unit) = machine();
        fs::remove_file(root.path().join("usr/bin/romuo-server")).unwrap();
        assert_eq!(of(root.path(), &unit), None);
        unit.files.stale = true;
        assert_eq!(of(root.path(), &unit), Some(Reason::StaleUnit));
        (unit.files.stale, unit.files.read) = (false, None);
        assert_eq!(of(root.path(), &unit), Some(Reason::Unit));
    }
}
