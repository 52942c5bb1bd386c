//! What romuo puts into a release.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::Shop;
use crate::release::{AddedFile, Additions, ReleaseError};

fn file(path: &str, text: &str, mode: u32) -> AddedFile {
    AddedFile { path: path.into(), text: text.into(), mode }
}

#[test]
fn what_is_added_is_there_whatever_was_shipped_in_its_place() {
    let shop = Shop::new();
    let aside = shop.dir.path().join("aside");
    fs::create_dir_all(aside.join("deep")).unwrap();
    shop.write("app.js", "one")
        .write("uploads/a", "test")
        .write("data", "a file")
        .write("keep/x", "x");
    symlink(&aside, shop.source("led")).unwrap();
    symlink(aside.join("file"), shop.source("file")).unwrap();
    let additions = Additions {
        files: vec![
            file(".romuo.toml", "secret", 0o600),
            file("file", "ours", 0o644),
            file("led/deep/file", "ours", 0o644),
        ],
        links: vec![
            ("uploads".into(), "/home/al/shop/uploads".into()),
            ("data/db".into(), "/home/al/shop/data/db".into()),
            ("keep/new/link".into(), "/nowhere".into()),
        ],
    };
    let (id, staged) = shop.try_stage_with(&additions).unwrap();
    assert_eq!(staged.copied, 4);
    let release = shop.store.path(&id);
    let mode = |path: &str| release.join(path).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(".romuo.toml"), mode("file"), mode("led/deep")), (0o600, 0o644, 0o755));
    for (path, text) in [(".romuo.toml", "secret"), ("file", "ours"), ("led/deep/file", "ours")] {
        assert_eq!(fs::read_to_string(release.join(path)).unwrap(), text);
        assert!(release.join(path).symlink_metadata().unwrap().is_file(), "{path}");
    }
    for (path, target) in &additions.links {
        assert_eq!(fs::read_link(release.join(path)).unwrap(), *target);
    }
    assert_eq!(fs::read_to_string(release.join("keep/x")).unwrap(), "x");
    // Nothing was written through a link of what was shipped.
    assert!(!aside.join("file").exists());
    assert_eq!(fs::read_dir(aside.join("deep")).unwrap().count(), 0);
    assert!(!format!("{additions:?}").contains("secret"));
}

#[test]
fn a_release_keeps_what_was_added_to_it_when_the_next_one_gets_another() {
    let shop = Shop::new();
    shop.write("app.js", "one").write("version", "shipped");
    let added = |text: &str| {
        let files = vec![file(".romuo.toml", text, 0o600), file("version", text, 0o644)];
        shop.try_stage_with(&Additions { files, links: Vec::new() }).unwrap().0
    };
    let plain = shop.stage().0;
    let ids = [added("one"), added("two"), added("two")];
    let text = |id, path: &str| fs::read_to_string(shop.store.path(id).join(path)).unwrap();
    let texts = |path: &str| ids.iter().map(|id| text(id, path)).collect::<Vec<_>>();
    assert_eq!(texts(".romuo.toml"), ["one", "two", "two"]);
    assert_eq!(texts("version"), ["one", "two", "two"]);
    assert_eq!(text(&plain, "version"), "shipped");
    let inode = |id| shop.store.path(id).join("app.js").metadata().unwrap().ino();
    assert_eq!(inode(&plain), inode(&ids[2]), "the rest is linked as before");
}

#[test]
fn a_configuration_that_was_shipped_is_none() {
    let shop = Shop::new();
    let rules = "!.romuo.toml\n!/.romuo.toml\n";
    shop.write(".romuo.toml", "command = \"evil\"").write(".romuoignore", rules);
    shop.write("lib/.romuo.toml", "a file as any other");
    let release = shop.store.path(&shop.stage().0);
    assert!(!release.join(".romuo.toml").exists());
    assert!(release.join("lib/.romuo.toml").exists());
}

#[test]
fn nothing_is_added_outside_of_the_release() {
    let shop = Shop::new();
    shop.write("app.js", "one");
    for path in ["", "/etc/x", "../x", "a/../../x", "."] {
        let additions = Additions { files: vec![file(path, "", 0o644)], links: Vec::new() };
        let error = shop.try_stage_with(&additions).unwrap_err();
        assert!(matches!(error, ReleaseError::Io { .. }), "{path}: {error}");
        let additions = Additions { files: Vec::new(), links: vec![(path.into(), "/x".into())] };
        assert!(shop.try_stage_with(&additions).is_err(), "{path}");
    }
    assert!(shop.store.releases().unwrap().is_empty());
    let left = fs::read_dir(shop.store.folder().join("releases")).unwrap().count();
    assert_eq!(left, 0);
    assert!(!Path::new("/etc/x").exists());
}
