//! A folder becomes a release.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use super::tree::inode;
use super::*;

/// A time that package managers give to all files.
fn long_ago() -> std::time::SystemTime {
    UNIX_EPOCH + Duration::from_secs(499_162_500)
}

#[test]
fn a_release_is_the_folder_and_nobody_else_may_write_to_it() {
    let shop = Shop::new();
    shop.write("app.js", "serve()").write("bin/run", "#!/bin/sh\n").write("empty", "");
    fs::create_dir(shop.source("folder")).unwrap();
    symlink("../app.js", shop.source("bin/app")).unwrap();
    let mode = |path, mode| fs::set_permissions(shop.source(path), Permissions::from_mode(mode));
    mode("app.js", 0o666).unwrap();
    // Owned by root it would run as root.
    mode("bin/run", 0o6775).unwrap();
    mode("folder", 0o1777).unwrap();
    mode("bin", 0o555).unwrap();
    File::open(shop.source("app.js")).unwrap().set_modified(long_ago()).unwrap();

    let (id, staged) = shop.stage();
    assert_eq!((staged.linked, staged.shared + staged.copied, staged.bytes), (0, 3, 17));
    assert_eq!(staged.warnings, []);
    assert_eq!(shop.release(&id), shop.expected());
    let of = |path: &str| shop.store.path(&id).join(path).metadata().unwrap().permissions().mode();
    let modes = ["", "app.js", "bin/run", "folder", "bin"].map(|path| of(path) & 0o7777);
    assert_eq!(modes, [0o755, 0o644, 0o755, 0o755, 0o755]);
    mode("bin", 0o755).unwrap();
}

#[test]
fn what_did_not_change_is_linked_to_the_release_before_and_never_to_the_folder() {
    let shop = Shop::new();
    shop.write("same.js", "same").write("lib/same.js", "same").write("other.js", "one");
    let (first, _) = shop.stage();
    shop.write("other.js", "two").write("new.js", "new");
    let before = shop.release(&first);
    let (second, staged) = shop.stage();
    assert_eq!((staged.linked, staged.shared + staged.copied), (2, 2));
    assert_eq!(shop.release(&first), before, "the first one is as it was");
    assert_eq!(shop.release(&second), shop.expected());
    for path in ["same.js", "lib/same.js"] {
        let of = |id| inode(&shop.store.path(id).join(path));
        assert_eq!(of(&first), of(&second));
        assert_ne!(of(&first), inode(&shop.source(path)));
    }
    // Nor does a later change of the folder reach a release.
    shop.write("same.js", "SAME");
    assert_ne!(shop.release(&second), shop.expected());
    assert_eq!(shop.release(&first), before);
}

#[test]
fn a_tree_of_many_folders_is_staged_like_any_other_however_many_threads_do_it() {
    let shop = Shop::new();
    // More than enough for each thread to have some.
    let count = 200;
    for folder in 0..count {
        for file in ["one.js", "deep/two.js", "deep/deeper/three.js"] {
            shop.write(&format!("node_modules/{folder}/{file}"), &folder.to_string());
        }
        symlink("one.js", shop.source(&format!("node_modules/{folder}/link"))).unwrap();
    }
    for secret in ["node_modules/7/one.js", "node_modules/150/one.js"] {
        fs::set_permissions(shop.source(secret), Permissions::from_mode(0o600)).unwrap();
    }
    symlink("/etc/hostname", shop.source("node_modules/199/out")).unwrap();
    let (first, staged) = shop.stage();
    assert_eq!(shop.release(&first), shop.expected());
    assert_eq!((staged.linked, staged.shared + staged.copied), (0, 3 * count));
    let (unreadable, warnings) = (staged.warnings.clone(), staged.warnings.len());
    assert_eq!(
        warnings,
        if rustix::process::geteuid().is_root() { 2 } else { 1 },
        "{unreadable:?}"
    );

    shop.write("node_modules/42/deep/two.js", "changed");
    let (second, staged) = shop.stage();
    assert_eq!(shop.release(&second), shop.expected());
    assert_eq!((staged.linked, staged.shared + staged.copied), (3 * count - 1, 1));
    assert_eq!(staged.warnings, unreadable, "in the same order");
}

#[test]
fn another_file_of_the_same_size_and_time_is_not_taken_for_the_one_before() {
    let shop = Shop::new();
    let write = |path: &str, text| {
        shop.write(path, text);
        File::open(shop.source(path)).unwrap().set_modified(long_ago()).unwrap();
    };
    write("lib/package.json", "1.0.1");
    write("next/package.json", "1.0.2");
    shop.stage();
    // Written anew with the old time; and moved there, which leaves all its times alone.
    write("lib/package.json", "1.0.3");
    let (second, staged) = shop.stage();
    assert_eq!((staged.linked, shop.release(&second)), (1, shop.expected()));
    fs::remove_dir_all(shop.source("lib")).unwrap();
    fs::rename(shop.source("next"), shop.source("lib")).unwrap();
    let (third, staged) = shop.stage();
    assert_eq!((staged.linked, shop.release(&third)), (0, shop.expected()));
}

#[test]
fn packages_that_were_installed_anew_are_those_of_before() {
    let shop = Shop::new();
    let (package, own) = ("node_modules/express/index.js", "shop/views.py");
    shop.write(package, "express").write(own, "views");
    let (first, _) = shop.stage();
    for path in [package, own] {
        File::open(shop.source(path)).unwrap().set_modified(long_ago()).unwrap();
    }
    let (second, staged) = shop.stage();
    let of = |id, path| inode(&shop.store.path(id).join(path));
    assert_eq!(of(&first, package), of(&second, package));
    // What is compiled of it holds its time.
    assert_ne!(of(&first, own), of(&second, own));
    assert_eq!((staged.linked, staged.shared + staged.copied), (1, 1));
    // As many bytes, and others.
    shop.write(package, "EXPRESS");
    let (third, _) = shop.stage();
    assert_eq!(fs::read_to_string(shop.store.path(&third).join(package)).unwrap(), "EXPRESS");
    assert_eq!(fs::read_to_string(shop.store.path(&second).join(package)).unwrap(), "express");
}

#[test]
fn another_mode_makes_another_file() {
    let shop = Shop::new();
    shop.write("run", "#!/bin/sh\n");
    let (first, _) = shop.stage();
    let before = shop.release(&first);
    fs::set_permissions(shop.source("run"), Permissions::from_mode(0o755)).unwrap();
    let (second, staged) = shop.stage();
    assert_eq!((staged.linked, shop.release(&second)), (0, shop.expected()));
    assert_eq!(shop.release(&first), before);
}

#[test]
fn what_is_not_part_of_it_is_left_out_and_what_is_odd_is_told() {
    let shop = Shop::new();
    shop.write(".git/HEAD", "x").write("a.log", "x").write(".romuoignore", "*.log\n");
    shop.write("app.js", "x").write("sub/b", "x").write("deep/file", "x");
    symlink("/etc/passwd", shop.source("sub/absolute")).unwrap();
    symlink("../../x", shop.source("sub/up")).unwrap();
    symlink("../app.js", shop.source("sub/inside")).unwrap();
    symlink("nowhere", shop.source("broken")).unwrap();
    let _socket = UnixListener::bind(shop.source("app.sock")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        shop.source("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let (id, staged) = shop.stage();
    let names: Vec<_> = shop.release(&id).into_keys().collect();
    let expected = [
        ".romuoignore",
        "app.js",
        "broken",
        "deep",
        "deep/file",
        "sub",
        "sub/absolute",
        "sub/b",
        "sub/inside",
        "sub/up",
    ];
    assert_eq!(names, expected.map(PathBuf::from));
    let path = |path: &str| PathBuf::from(path);
    assert_eq!(
        staged.warnings,
        [
            Warning::LeadsOut { path: path("sub/absolute"), target: path("/etc/passwd") },
            Warning::LeadsOut { path: path("sub/up"), target: path("../../x") },
            Warning::Special { path: path("app.sock"), kind: "a socket" },
            Warning::Special { path: path("pipe"), kind: "a named pipe" },
        ],
    );
}

#[test]
fn files_that_an_instance_could_not_read_are_told() {
    let shop = Shop::new();
    shop.write(".env", "x").write("a", "x").write("b", "x");
    for path in [".env", "b"] {
        fs::set_permissions(shop.source(path), Permissions::from_mode(0o600)).unwrap();
    }
    let (_, staged) = shop.stage();
    let told = [Warning::Unreadable { path: ".env".into(), more: 1 }];
    // One's own releases one reads oneself.
    let root = rustix::process::geteuid().is_root();
    assert_eq!(staged.warnings, told[..usize::from(root)]);
}

#[test]
fn what_cannot_be_staged_is_said_and_leaves_no_trace() {
    let shop = Shop::new();
    shop.write("app.js", "x");
    let (id, _) = shop.stage();
    let lock = shop.store.lock().unwrap();
    let rules = Rules::read(&shop.source(""), &[]).unwrap();
    let stage = |folder: PathBuf, id| {
        shop.store.stage(&lock, &folder, &rules, id, &Additions::default()).unwrap_err()
    };
    let next = shop.store.next_id(None).unwrap();
    assert!(matches!(stage(shop.source(""), &id), ReleaseError::Exists { .. }));
    assert!(matches!(stage(shop.source("app.js"), &next), ReleaseError::NoFolder(_)));
    assert!(matches!(stage(shop.source("none"), &next), ReleaseError::NoFolder(_)));
    assert!(matches!(stage(shop.dir.path().into(), &next), ReleaseError::Inside { .. }));
    let names = fs::read_dir(shop.store.path(&id).parent().unwrap()).unwrap();
    assert_eq!(names.count(), 1);
}

#[test]
fn what_is_another_users_than_the_apps_is_not_staged_whatever_link_leads_to_it() {
    let shop = Shop::new();
    shop.write("app.js", "x");
    let own = fs::metadata(shop.source("")).unwrap().uid();
    let link = shop.dir.path().join("link");
    symlink(shop.source(""), &link).unwrap();
    let lock = shop.store.lock().unwrap();
    let id = shop.store.next_id(None).unwrap();
    let stage = |uid: u32| {
        let rules = Rules::read(&link, &[]).unwrap().of_user(uid);
        shop.store.stage(&lock, &link, &rules, &id, &Additions::default())
    };
    let error = stage(own + 1).unwrap_err();
    assert!(matches!(error, ReleaseError::NotTheirs { .. }), "{error}");
    assert!(!shop.store.path(&id).exists());
    stage(own).unwrap();
}

#[test]
fn a_release_can_be_made_of_a_release() {
    let shop = Shop::new();
    shop.write("app.js", "x").write("lib/a", "x");
    let (first, _) = shop.stage();
    let lock = shop.store.lock().unwrap();
    let id = shop.store.next_id(None).unwrap();
    let source = shop.store.path(&first);
    let rules = Rules::read(&source, &[]).unwrap();
    let staged = shop.store.stage(&lock, &source, &rules, &id, &Additions::default()).unwrap();
    assert_eq!(staged.linked, 2);
    assert_eq!(shop.release(&id), shop.release(&first));
}
