//! What is kept: leftovers, pins, pruning, the history.

use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::thread;
use std::time::Duration;

use super::*;
use crate::unit::InstanceId;

fn instance(id: &str) -> InstanceId {
    id.parse().unwrap()
}

fn keep(count: u32) -> NonZeroU32 {
    count.try_into().unwrap()
}

impl Shop {
    fn prune(&self, count: u32) -> Result<Vec<ReleaseId>, ReleaseError> {
        self.store.prune(&self.store.lock().unwrap(), keep(count))
    }
}

#[test]
fn what_a_killed_deploy_leaves_is_no_release_and_the_next_run_removes_it() {
    let shop = Shop::new();
    shop.write("app.js", "x");
    let (id, _) = shop.stage();
    let before = shop.release(&id);
    let releases = shop.store.path(&id).parent().unwrap().to_owned();
    for left in [".20261126T001100Z.partial", ".20261126T001100Z-abc1234.2.gone"] {
        fs::create_dir_all(releases.join(left).join("deep/er")).unwrap();
        fs::write(releases.join(left).join("deep/app.js"), "half").unwrap();
    }
    // Of someone else.
    fs::create_dir(releases.join(".other.partial")).unwrap();
    assert_eq!(shop.store.releases().unwrap(), std::slice::from_ref(&id));
    let lock = shop.store.lock().unwrap();
    assert_eq!(shop.store.clean(&lock).unwrap(), 2);
    assert_eq!(shop.store.clean(&lock).unwrap(), 0);
    assert!(releases.join(".other.partial").is_dir());
    assert_eq!(shop.release(&id), before);
}

#[test]
fn releases_of_the_same_second_are_told_apart() {
    let shop = Shop::new();
    let ids: Vec<_> = (0..4).map(|_| shop.stage().0).collect();
    assert_eq!(shop.store.releases().unwrap(), ids);
}

#[test]
fn an_instance_runs_what_it_is_pinned_to() {
    let shop = Shop::new();
    assert_eq!((shop.store.pinned().unwrap().len(), shop.store.current().unwrap()), (0, None));
    shop.write("app.js", "one");
    let (first, _) = shop.stage();
    shop.write("app.js", "two");
    let (second, _) = shop.stage();
    for (id, release) in [("1", &first), ("2", &first), ("2", &second)] {
        shop.store.pin(instance(id), release).unwrap();
    }
    shop.store.set_current(&first).unwrap();
    let pinned = shop.store.pinned().unwrap();
    let expected = [(instance("1"), first.clone()), (instance("2"), second.clone())];
    assert_eq!(pinned, BTreeMap::from(expected));
    let read = |path: PathBuf| fs::read_to_string(path.join("app.js")).unwrap();
    assert_eq!(read(shop.store.pin_path(instance("2"))), "two");
    assert_eq!(read(shop.store.current_path()), "one");
    let link = fs::read_link(shop.store.pin_path(instance("1"))).unwrap();
    assert_eq!(link, PathBuf::from(format!("../releases/{first}")));

    assert!(shop.store.unpin(instance("1")).unwrap());
    assert!(!shop.store.unpin(instance("1")).unwrap());
    assert_eq!(shop.store.pinned().unwrap().into_values().collect::<Vec<_>>(), [second]);
}

#[test]
fn an_instance_may_be_pinned_to_what_was_there_before_the_first_release() {
    let shop = Shop::new();
    let (id, _) = shop.stage();
    shop.store.set_base("name = \"shop\"\n").unwrap();
    shop.store.pin(instance("1"), Pin::Base).unwrap();
    shop.store.pin(instance("2"), &id).unwrap();
    let pinned = shop.store.pinned().unwrap();
    assert_eq!(pinned.into_values().collect::<Vec<_>>(), [id], "it is no release");
    let config = shop.store.config_path(&Pin::Base);
    let behind = shop.store.pin_path(instance("1")).join(CONFIG_FILE);
    assert_eq!(fs::read(&behind).unwrap(), b"name = \"shop\"\n");
    assert_eq!(fs::canonicalize(behind).unwrap(), fs::canonicalize(&config).unwrap());
    assert_eq!(config.metadata().unwrap().permissions().mode() & 0o777, CONFIG_MODE);
}

#[test]
fn nothing_is_pinned_to_what_is_not_there() {
    let shop = Shop::new();
    let none: ReleaseId = "20261126T001100Z".parse().unwrap();
    let unknown = |result| matches!(result, Err(ReleaseError::Unknown { .. }));
    assert!(unknown(shop.store.pin(instance("1"), &none)));
    assert!(unknown(shop.store.set_current(&none)));
}

#[test]
fn a_pin_that_is_not_of_romuo_is_neither_replaced_nor_guessed_at() {
    let shop = Shop::new();
    let (id, _) = shop.stage();
    shop.stage();
    shop.store.pin(instance("1"), &id).unwrap();
    let path = shop.store.pin_path(instance("2"));
    for target in ["/srv/app", "../releases/x", &format!("/srv/{id}")] {
        symlink(target, &path).unwrap();
        let odd = |result: Result<(), _>| matches!(result, Err(ReleaseError::NotALink { .. }));
        assert!(odd(shop.store.pinned().map(|_| ())), "{target}");
        assert!(odd(shop.store.pin(instance("2"), &id)));
        assert!(odd(shop.store.unpin(instance("2")).map(|_| ())));
        assert!(odd(shop.prune(1).map(|_| ())), "what is in use is not known");
        assert_eq!(fs::read_link(&path).unwrap(), PathBuf::from(target));
        fs::remove_file(&path).unwrap();
    }
    fs::create_dir(&path).unwrap();
    let error = shop.store.pinned().unwrap_err().to_string();
    assert!(error.ends_with("should be a link to a release, and is a file or folder"), "{error}");
    assert_eq!(shop.store.releases().unwrap().len(), 2);
}

#[test]
fn two_that_pin_at_once_leave_one_of_both() {
    let shop = Shop::new();
    let ids = [shop.stage().0, shop.stage().0];
    thread::scope(|scope| {
        for id in &ids {
            let shop = &shop;
            let pin = move || (0..50).for_each(|_| shop.store.pin(instance("1"), id).unwrap());
            scope.spawn(pin);
        }
    });
    assert!(ids.contains(&shop.store.pinned().unwrap()[&instance("1")]));
    let folder = shop.store.pin_path(instance("1")).parent().unwrap().to_owned();
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
}

#[test]
fn pruning_keeps_what_is_new_and_what_is_in_use() {
    let shop = Shop::new();
    shop.write("app.js", "x");
    let ids: Vec<_> = (0..6).map(|_| shop.stage().0).collect();
    shop.store.pin(instance("1"), &ids[0]).unwrap();
    shop.store.set_current(&ids[2]).unwrap();
    assert_eq!(shop.prune(9).unwrap(), []);
    assert_eq!(shop.prune(2).unwrap(), [ids[1].clone(), ids[3].clone()]);
    let left = [0, 2, 4, 5].map(|at: usize| ids[at].clone());
    assert_eq!(shop.store.releases().unwrap(), left);
    assert_eq!(shop.release(&ids[5]), shop.expected());
    assert_eq!(shop.prune(2).unwrap(), []);
    shop.store.unpin(instance("1")).unwrap();
    assert_eq!(shop.prune(1).unwrap(), [ids[0].clone(), ids[4].clone()]);
}

#[test]
fn however_many_fail_in_a_row_there_is_one_to_go_back_to() {
    let shop = Shop::new();
    let ids: Vec<_> = (0..6).map(|_| shop.stage().0).collect();
    let history = shop.store.history();
    for (id, verdict) in ids.iter().zip([
        Verdict::Replaced,
        Verdict::Replaced,
        Verdict::Failed,
        Verdict::RolledBack,
        Verdict::Failed,
        Verdict::Serving,
    ]) {
        history.add(Entry { id: id.clone(), verdict, ..entry("20261126T001100Z") }).unwrap();
    }
    assert_eq!(shop.prune(2).unwrap(), [0, 2, 3].map(|at: usize| ids[at].clone()));
    assert_eq!(shop.store.releases().unwrap(), [1, 4, 5].map(|at: usize| ids[at].clone()));
}

#[test]
fn the_history_says_who_shipped_what_and_what_came_of_it() {
    let shop = Shop::new();
    let history = shop.store.history();
    assert_eq!(history.entries().unwrap(), []);
    let (old, new) = (entry("20261126T001100Z-abc1234"), entry("20261126T001200Z"));
    history.add(old.clone()).unwrap();
    history.add(new.clone()).unwrap();
    let took = Some(Duration::from_millis(1500));
    history.serves(&old.id, Comes::Next, took).unwrap();
    history.serves(&new.id, Comes::Next, took).unwrap();
    let verdicts = || history.entries().unwrap().into_iter().map(|entry| entry.verdict);
    assert_eq!(verdicts().collect::<Vec<_>>(), [Verdict::Replaced, Verdict::Serving]);
    let reason = Some("instance 1 is not healthy");
    history.judge(&new.id, Verdict::RolledBack, reason, None).unwrap();
    history.serves(&old.id, Comes::Back, None).unwrap();

    let text = fs::read_to_string(shop.store.folder().join("releases.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    for at in [0, 1] {
        let since = json["releases"][at].as_object_mut().unwrap().remove("serving_since");
        assert!(since.unwrap().is_string());
    }
    let commit = "abc1234def5678abc1234def5678abc1234def56";
    assert_eq!(
        json,
        serde_json::json!({"version": 1, "releases": [
            {
                "id": "20261126T001100Z-abc1234", "staged_at": "2026-11-26T00:11:00Z",
                "by": "alice", "source": "git v1.2", "commit": commit,
                "verdict": "serving", "reason": null, "duration_ms": 1500,
            },
            {
                "id": "20261126T001200Z", "staged_at": "2026-11-26T00:11:00Z",
                "by": "alice", "source": "git v1.2", "commit": commit,
                "verdict": "rolled back", "reason": "instance 1 is not healthy",
                "duration_ms": 1500,
            },
        ]}),
    );
    let unknown = "20261126T001300Z".parse().unwrap();
    let error = history.judge(&unknown, Verdict::Failed, None, None).unwrap_err();
    assert!(matches!(error, ReleaseError::NotInHistory { .. }));
}

#[test]
fn a_history_of_before_is_read_and_its_order_is_that_of_staging() {
    let shop = Shop::new();
    let history = shop.store.history();
    let ids = ["20261126T001100Z", "20261126T001101Z"].map(|id| entry(id).id);
    let entries = ids.clone().map(|id| {
        serde_json::json!({
            "id": id, "staged_at": format!("2026-11-26T00:11:0{}Z", u8::from(id == ids[1])), "by": "alice",
            "source": "folder", "commit": null, "reason": null, "duration_ms": null,
            "verdict": if id == ids[0] { "replaced" } else { "serving" },
        })
    });
    let text = serde_json::json!({"version": 1, "releases": entries}).to_string();
    fs::create_dir_all(shop.store.folder()).unwrap();
    fs::write(shop.store.folder().join("releases.json"), text).unwrap();
    assert_eq!(history.before(&ids[1], &ids).unwrap(), Some(ids[0].clone()));
    history.serves(&ids[0], Comes::Back, None).unwrap();
    assert_eq!(history.verdict(&ids[1]).unwrap(), Some(Verdict::RolledBack));
    assert_eq!(history.before(&ids[0], &ids).unwrap(), None);
}

#[test]
fn what_a_killed_deploy_had_staged_is_given_up() {
    let shop = Shop::new();
    let history = shop.store.history();
    let lock = shop.store.lock().unwrap();
    let ids = ["20261126T001100Z", "20261126T001101Z", "20261126T001102Z"].map(|id| entry(id).id);
    history.give_up_staged(&lock, &ids[2]).unwrap();
    for id in &ids {
        history.add(entry(&id.to_string())).unwrap();
    }
    history.serves(&ids[0], Comes::Next, None).unwrap();
    history.give_up_staged(&lock, &ids[2]).unwrap();
    let entries = history.entries().unwrap();
    let verdicts: Vec<_> = entries.iter().map(|entry| entry.verdict).collect();
    assert_eq!(verdicts, [Verdict::Serving, Verdict::Failed, Verdict::Staged]);
    assert_eq!(entries[1].reason.as_deref(), Some("its deploy was cut off"));
}

#[test]
fn a_history_that_cannot_be_understood_is_left_alone() {
    let shop = Shop::new();
    let history = shop.store.history();
    let shipped = entry("20261126T001100Z");
    history.add(shipped.clone()).unwrap();
    let path = shop.store.folder().join("releases.json");
    let newer = "{\"version\": 2, \"shipped\": []}";
    for text in [newer, "", "{\"version\": 1}", "{\"version\": 1, \"releases\": [{\"id\": \"x\"}]}"]
    {
        fs::write(&path, text).unwrap();
        let error = history.add(shipped.clone()).unwrap_err();
        let expected = match &error {
            ReleaseError::HistoryNewer { found: 2, known: 1, .. } => text == newer,
            ReleaseError::HistoryBroken { .. } => text != newer,
            _ => false,
        };
        assert!(expected, "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::rename(&path, path.with_extension("broken")).unwrap();
    history.add(shipped.clone()).unwrap();
    assert_eq!(history.entries().unwrap(), [shipped]);
}

#[test]
fn two_that_write_the_history_at_once_both_get_their_say() {
    let shop = Shop::new();
    let each = 20;
    thread::scope(|scope| {
        for minute in ["01", "02"] {
            let shop = &shop;
            scope.spawn(move || {
                for second in 10..10 + each {
                    let shipped = entry(&format!("20261126T00{minute}{second}Z"));
                    shop.store.history().add(shipped).unwrap();
                }
            });
        }
    });
    assert_eq!(shop.store.history().entries().unwrap().len(), 2 * each);
}

#[test]
fn one_deploys_at_a_time() {
    let shop = Shop::new();
    let _lock = shop.store.lock().unwrap();
    let taken = shop.try_stage().unwrap_err();
    assert!(matches!(taken, ReleaseError::Taken { holder: Some(_) }), "{taken}");
}
