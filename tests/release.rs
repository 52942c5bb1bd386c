//! Releases when things go wrong for real: a deployer that is killed, a disk that is full.

// clippy.toml allows these in tests, but takes the helpers beside them for production code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, geteuid, set_parent_process_death_signal};

use romuo::release::{
    AddedFile, Additions, CONFIG_FILE, Comes, Entry, ReleaseError, ReleaseId, Rules, Source,
    Staged, Store, Verdict,
};

/// Set to the folder of the test where this program is started again as a part of it.
const WITHIN: &str = "ROMUO_TEST_RELEASE_WITHIN";

/// How long something that has to come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the name of a release ends that is being staged, and of one that is being removed.
const PARTIAL: &str = ".partial";
const GONE: &str = ".gone";

/// Files in each of the two trees.
const FILES: usize = 400;

/// The settings of each release: a line, and how often.
const SETTINGS: &str = "# a line of settings\n";
const LINES: usize = 1000;

/// Deployers that are killed.
const KILLS: u32 = 30;

fn store(dir: &Path) -> Store {
    Store::new(dir, &"shop".parse().unwrap())
}

fn stage(store: &Store, source: &Path) -> Result<(ReleaseId, Staged), ReleaseError> {
    let lock = store.lock()?;
    let id = store.next_id(None)?;
    let settings =
        AddedFile { path: CONFIG_FILE.into(), text: SETTINGS.repeat(LINES), mode: 0o600 };
    let additions = Additions { files: vec![settings], links: Vec::new() };
    let staged = store.stage(&lock, source, &Rules::read(source, &[])?, &id, &additions)?;
    Ok((id, staged))
}

fn entry(id: &ReleaseId) -> Entry {
    Entry {
        id: id.clone(),
        staged_at: "2026-11-26T00:11:00Z".parse().unwrap(),
        by: romuo::account::login(),
        source: Source::Folder,
        commit: None,
        verdict: Verdict::Staged,
        reason: None,
        duration_ms: None,
        serving_since: None,
    }
}

/// This test program again, for one test of it.
fn again(dir: &Path, test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(WITHIN, dir);
    command
}

fn within() -> Option<PathBuf> {
    std::env::var_os(WITHIN).map(PathBuf::from)
}

/// In memory where there is such a place: each staging waits for its file system.
fn temporary() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
    tempfile::tempdir_in(place).unwrap()
}

/// The names in the folder of releases, hidden ones too.
fn names(store: &Store) -> Vec<String> {
    let Ok(entries) = fs::read_dir(store.folder().join("releases")) else { return Vec::new() };
    entries.map_while(Result::ok).map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn same(one: &Path, other: &Path) -> bool {
    let mut diff = Command::new("diff");
    diff.args(["-rq", "--no-dereference", "--exclude", CONFIG_FILE]).args([one, other]);
    diff.output().unwrap().status.success()
}

/// Deploys one tree after the other until it is killed.
fn deploy_on_and_on(dir: &Path) {
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let store = store(dir);
    for tree in ["a", "b"].into_iter().cycle() {
        let (id, _) = stage(&store, &dir.join(tree)).unwrap();
        store.history().add(entry(&id)).unwrap();
        store.pin("1".parse().unwrap(), &id).unwrap();
        store.set_current(&id).unwrap();
        store.history().serves(&id, Comes::Next, None).unwrap();
        store.prune(&store.lock().unwrap(), 2.try_into().unwrap()).unwrap();
    }
}

struct Deployer(Child);

impl Deployer {
    fn kill(&mut self) {
        // It ends only by this.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Deployer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_deployer_may_be_killed_at_any_moment() {
    const THIS: &str = "a_deployer_may_be_killed_at_any_moment";
    if let Some(dir) = within() {
        return deploy_on_and_on(&dir);
    }
    let dir = temporary();
    let store = store(dir.path());
    for tree in ["a", "b"] {
        fs::create_dir_all(dir.path().join(tree).join("lib")).unwrap();
        for file in 0..FILES {
            fs::write(dir.path().join(format!("{tree}/lib/{file}")), tree.repeat(file)).unwrap();
        }
    }
    let (mut partial, mut gone) = (0, 0);
    for kill in 0..KILLS {
        let before = names(&store);
        let mut deployer = Deployer(again(dir.path(), THIS).stdout(Stdio::null()).spawn().unwrap());
        // In the middle of staging, of removing, or of anything that follows on a release.
        let deadline = Instant::now() + PATIENCE;
        let due = |name: &String| match kill % 3 {
            0 => name.ends_with(PARTIAL) && !before.contains(name),
            1 => name.ends_with(GONE) && !before.contains(name),
            _ => !name.starts_with('.') && !before.contains(name),
        };
        while !names(&store).iter().any(due) {
            assert!(Instant::now() < deadline, "the deployer does nothing");
            thread::yield_now();
        }
        // Each time a little later.
        (0..kill).for_each(|_| drop(names(&store)));
        deployer.kill();

        let left = names(&store);
        partial += usize::from(left.iter().any(|name| name.ends_with(PARTIAL)));
        gone += usize::from(left.iter().any(|name| name.ends_with(GONE)));
        let releases = store.releases().unwrap();
        let whole = |id: &ReleaseId| {
            let path = store.path(id);
            let settings = fs::read_to_string(path.join(CONFIG_FILE)).unwrap_or_default();
            settings == SETTINGS.repeat(LINES)
                && (same(&path, &dir.path().join("a")) || same(&path, &dir.path().join("b")))
        };
        assert!(releases.iter().all(whole), "{left:?}");
        let used = store.pinned().unwrap().into_values().chain(store.current().unwrap());
        for id in used {
            assert!(releases.contains(&id), "{id} is in use; there are {releases:?}");
        }
        store.history().entries().unwrap();
        if kill % 2 == 0 {
            store.clean(&store.lock().unwrap()).unwrap();
            assert!(names(&store).iter().all(|name| !name.starts_with('.')));
        }
    }
    // Else the test would show nothing.
    assert!(partial > 0 && gone > 0, "{partial} were killed while staging, {gone} while removing");
    let (id, _) = stage(&store, &dir.path().join("a")).unwrap();
    assert!(same(&store.path(&id), &dir.path().join("a")));
}

/// With a disk of 4 MiB at the folder `disk`, that nobody else sees.
fn fill_the_disk(dir: &Path) {
    let disk = dir.join("disk");
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&disk);
    assert!(mount.status().unwrap().success(), "no disk");
    let (source, store) = (dir.join("source"), store(&disk));
    fs::create_dir_all(source.join("lib")).unwrap();
    fs::write(source.join("app.js"), "one").unwrap();
    let (first, _) = stage(&store, &source).unwrap();
    store.history().add(entry(&first)).unwrap();
    let history = store.history().entries().unwrap();
    fs::create_dir(dir.join("kept")).unwrap();
    let kept = dir.join("kept/first");
    assert!(
        Command::new("cp").arg("-a").args([&store.path(&first), &kept]).status().unwrap().success()
    );
    let full = |error: &ReleaseError| match error {
        ReleaseError::Io { source, .. } => source.kind() == ErrorKind::StorageFull,
        _ => false,
    };

    fs::write(source.join("app.js"), "two").unwrap();
    fs::write(source.join("lib/large"), vec![b'x'; 5 << 20]).unwrap();
    let error = stage(&store, &source).unwrap_err();
    assert!(full(&error), "{error}");
    assert!(error.to_string().contains("lib/large"), "{error}");
    assert_eq!(names(&store), [first.to_string()]);
    assert!(same(&store.path(&first), &kept));

    // Not a byte is left.
    let filler = disk.join("filler");
    assert_eq!(fs::write(&filler, vec![0; 5 << 20]).unwrap_err().kind(), ErrorKind::StorageFull);
    let error = store.history().add(entry(&first)).unwrap_err();
    assert!(full(&error), "{error}");
    assert_eq!(store.history().entries().unwrap(), history);
    // To make space the lock is needed.
    store.prune(&store.lock().unwrap(), 1.try_into().unwrap()).unwrap();

    fs::remove_file(&filler).unwrap();
    fs::remove_file(source.join("lib/large")).unwrap();
    let (second, staged) = stage(&store, &source).unwrap();
    assert_eq!((staged.linked, staged.copied), (0, 1));
    assert!(same(&store.path(&second), &source) && same(&store.path(&first), &kept));
    println!("filled");
}

#[test]
fn a_full_disk_leaves_every_release_as_it_was() {
    const THIS: &str = "a_full_disk_leaves_every_release_as_it_was";
    if let Some(dir) = within() {
        return fill_the_disk(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("disk")).unwrap();
    let test = again(dir.path(), THIS);
    // A user who is not root is one in a namespace of their own.
    let namespaces: &[&str] =
        if geteuid().is_root() { &["--mount"] } else { &["--mount", "--user", "--map-root-user"] };
    let mut unshare = Command::new("unshare");
    unshare.args(namespaces).arg(test.get_program()).args(test.get_args());
    let output = unshare.env(WITHIN, dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("filled"), "{output:?}");
}
