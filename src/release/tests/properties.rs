//! Whatever was staged before: a release is the folder.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;

/// What a test puts in a folder. Few values each, so that two trees have much in common: also files that
/// differ in nothing but their bytes.
#[derive(Debug, Clone)]
enum Planned {
    Folder(BTreeMap<&'static str, Planned>),
    File { text: &'static str, mode: u32, second: u64 },
    Link(&'static str),
}

type Tree = BTreeMap<&'static str, Planned>;

fn trees() -> impl Strategy<Value = Tree> {
    let file = (
        prop::sample::select(vec!["", "1.0.1", "1.0.2", "1.0.3"]),
        prop::sample::select(vec![0o644, 0o664, 0o755]),
        0_u64..2,
    )
        .prop_map(|(text, mode, second)| Planned::File { text, mode, second });
    let link = prop::sample::select(vec!["a", "../b", "/etc"]).prop_map(Planned::Link);
    let leaf = prop_oneof![6 => file, 1 => link].boxed();
    let folder = |inner| prop::collection::btree_map(names(), inner, 0..4);
    let shallow =
        prop_oneof![3 => leaf.clone(), 1 => folder(leaf.clone()).prop_map(Planned::Folder)];
    let node = prop_oneof![3 => leaf, 1 => folder(shallow.boxed()).prop_map(Planned::Folder)];
    prop::collection::btree_map(names(), node, 2..4)
}

fn names() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "ü x"])
}

fn plant(at: &std::path::Path, tree: &Tree) {
    for (name, node) in tree {
        let path = at.join(name);
        match node {
            Planned::Folder(inner) => {
                fs::create_dir(&path).unwrap();
                plant(&path, inner);
            }
            Planned::File { text, mode, second } => {
                fs::write(&path, text).unwrap();
                let modified = UNIX_EPOCH + Duration::from_secs(*second);
                File::open(&path).unwrap().set_modified(modified).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
            }
            Planned::Link(target) => symlink(target, &path).unwrap(),
        }
    }
}

/// The number of files in a tree.
fn files(tree: &BTreeMap<PathBuf, Node>) -> usize {
    tree.values().filter(|node| matches!(node, Node::File { .. })).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_release_is_the_folder_whatever_was_staged_before(trees in prop::collection::vec(trees(), 2..4)) {
        let shop = Shop::new();
        let mut before = Vec::new();
        for tree in &trees {
            fs::remove_dir_all(shop.source("")).unwrap();
            fs::create_dir(shop.source("")).unwrap();
            plant(&shop.source(""), tree);
            let (id, staged) = shop.stage();
            let release = shop.release(&id);
            prop_assert_eq!(&release, &shop.expected());
            prop_assert_eq!(staged.linked + staged.shared + staged.copied, files(&release));
            // Once more, it is all there already.
            let (again, staged) = shop.stage();
            prop_assert_eq!((staged.linked, staged.bytes), (files(&release), 0));
            prop_assert_eq!(shop.release(&again), release.clone());
            before.extend([(id, release.clone()), (again, release)]);
            for (id, release) in &before {
                prop_assert_eq!(&shop.release(id), release, "no release changes another");
            }
        }
        // What one release shares with others outlives it.
        let lock = shop.store.lock().unwrap();
        let gone = shop.store.prune(&lock, 1.try_into().unwrap()).unwrap();
        prop_assert_eq!(gone.len(), before.len() - 1);
        let (id, release) = before.pop().unwrap();
        prop_assert_eq!(shop.release(&id), release);
    }
}
