//! Archives.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use romuo::release::Source;
use romuo::ship::{ShipError, Wanted};

use crate::owned::{Owned, is_the_users, read};

/// Makes an archive of `app/`, which has a program in it that is setuid; `arguments` say how.
fn made(owned: &Owned, name: &str, arguments: &[&str]) -> PathBuf {
    let app = owned.path("app");
    fs::create_dir_all(app.join("bin")).unwrap();
    fs::write(app.join("app.js"), "one").unwrap();
    fs::write(app.join("bin/run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(app.join("bin/run"), fs::Permissions::from_mode(0o4755)).unwrap();
    let file = owned.path(name);
    let mut tar = Command::new("tar");
    tar.args(["--create", "--file"]).arg(&file).args(arguments).current_dir(owned.path(""));
    assert!(tar.status().unwrap().success(), "{arguments:?}");
    // Who extracts it need not be able to read it.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

fn wanted(owned: &Owned, file: &Path) -> Wanted {
    Wanted::Archive { file: file.into(), home: owned.home() }
}

async fn refused(owned: &Owned, file: &Path) -> ShipError {
    let error = owned.check_out(wanted(owned, file), "refused").await.unwrap_err();
    assert!(!owned.work("refused").exists());
    error
}

#[tokio::test]
async fn an_archive_of_any_compression_is_extracted_by_the_owner_of_the_app() {
    let owned = Owned::new();
    for (kind, option) in [
        ("tar", "--sparse"),
        ("gz", "--gzip"),
        ("bz2", "--bzip2"),
        ("xz", "--xz"),
        ("zst", "--zstd"),
    ] {
        // Its name does not matter.
        let file = made(&owned, "sent", &[option, "app"]);
        let (checkout, told) = owned.check_out(wanted(&owned, &file), kind).await.unwrap();
        assert_eq!(told, [format!("extracting {}", file.display())]);
        assert_eq!(
            checkout.folder,
            owned.work(kind).join("tree/app"),
            "the only folder is left out"
        );
        assert_eq!((&checkout.home, &checkout.source), (&owned.home(), &Source::Archive));
        assert_eq!(read(&checkout.folder.join("app.js")), "one");
        let run = checkout.folder.join("bin/run");
        assert_eq!(run.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
        is_the_users(&run);
        checkout.discard(&owned.work(kind)).await.unwrap();
        assert!(!owned.work(kind).exists());
    }
    let file = made(&owned, "sent", &["--directory", "app", "."]);
    let (checkout, _) = owned.check_out(wanted(&owned, &file), "flat").await.unwrap();
    assert_eq!(checkout.folder, owned.work("flat/tree"));
    assert_eq!(read(&checkout.folder.join("app.js")), "one");
}

#[tokio::test]
async fn a_name_that_looks_like_a_compression_is_a_name() {
    let owned = Owned::new();
    fs::write(owned.path("BZh"), "text").unwrap();
    let file = made(&owned, "sent", &["BZh", "app"]);
    let (checkout, _) = owned.check_out(wanted(&owned, &file), "1").await.unwrap();
    assert_eq!(read(&checkout.folder.join("BZh")), "text");
}

#[tokio::test]
async fn an_archive_that_leads_out_is_refused() {
    for transform in ["s,^app/bin,../../bin,", "s,^app/bin,/bin,", "s,^app/bin,app/../../bin,"] {
        let owned = Owned::new();
        let file = made(&owned, "sent", &["--absolute-names", "--transform", transform, "app"]);
        let error = refused(&owned, &file).await;
        assert!(
            error.to_string().ends_with("it has paths that lead out of it"),
            "{transform}: {error}"
        );
    }
    // Through a link that it brings itself.
    let owned = Owned::new();
    let aside = owned.path("aside");
    fs::create_dir(&aside).unwrap();
    owned.give(&aside);
    fs::create_dir(owned.path("app")).unwrap();
    std::os::unix::fs::symlink(&aside, owned.path("app/bin-link")).unwrap();
    let file = made(
        &owned,
        "sent",
        &["app/bin-link", "--transform", "s,app/bin/,app/bin-link/,", "app/bin/run"],
    );
    // Whether tar minds or not, nothing gets there.
    let _ = owned.check_out(wanted(&owned, &file), "linked").await;
    assert_eq!(fs::read_dir(&aside).unwrap().count(), 0);
}

#[tokio::test]
async fn what_is_no_archive_is_told_apart() {
    let owned = Owned::new();
    let file = owned.path("app.zip");
    fs::write(&file, b"PK\x03\x04rest").unwrap();
    assert!(matches!(refused(&owned, &file).await, ShipError::Zip(_)));
    for text in ["", "hello", &"x".repeat(10_000)] {
        fs::write(&file, text).unwrap();
        let owned = Owned::new();
        let error = refused(&owned, &file).await;
        assert!(error.to_string().ends_with("it is no tar archive"), "{error}");
    }
    let cut = made(&owned, "cut", &["--gzip", "app"]);
    let bytes = fs::read(&cut).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let cut_owned = Owned::new();
    let error = refused(&cut_owned, &cut).await;
    assert!(error.to_string().starts_with("cannot extract "), "{error}");
    let error = refused(&Owned::new(), Path::new("/nothing")).await;
    assert!(error.to_string().starts_with("cannot read /nothing"), "{error}");
}
