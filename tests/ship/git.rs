//! Commits and folders.

use std::fs;
use std::path::Path;

use romuo::release::Source;
use romuo::ship::{Checkout, ShipError, Wanted, prepare};

use crate::owned::{Owned, is_the_users, read};

/// A repository at `remote.git`, a clone of it at `home`, and one of a colleague at `colleague`, each with one
/// commit on `main`.
fn cloned() -> Owned {
    let owned = Owned::new();
    owned.write("colleague/app.js", "one");
    owned.write("colleague/api/api.js", "api");
    for folder in ["colleague", "remote.git"] {
        fs::create_dir_all(owned.path(folder)).unwrap();
        owned.give(&owned.path(folder));
    }
    owned.sh("remote.git", "git init --quiet --bare --initial-branch=main");
    let begin = "git init --quiet --initial-branch=main; git add .; git commit --quiet -m one; \
                 git remote add origin ../remote.git; git push --quiet origin main";
    owned.sh("colleague", begin);
    owned.sh("home", "git clone --quiet ../remote.git .");
    owned
}

fn git(owned: &Owned, reference: &str) -> Wanted {
    Wanted::Git { folder: owned.home(), reference: reference.into() }
}

fn worktrees(owned: &Owned) -> usize {
    owned.sh("home", "git worktree list").lines().count()
}

fn push(owned: &Owned, text: &str) -> String {
    owned.write("colleague/app.js", text);
    owned.sh("colleague", "git commit --quiet -am next; git push --quiet origin main");
    owned.sh("colleague", "git rev-parse HEAD")
}

#[tokio::test]
async fn a_branch_is_fetched_and_checked_out_by_the_user_who_owns_it() {
    let owned = cloned();
    let newest = push(&owned, "two");
    // What a repository makes git run, it runs as its owner; its hooks not at all.
    let hook = "#!/bin/sh\nid -u > \"$HOME/hooked\"; touch ../../hooked\n";
    owned.write("home/.git/hooks/post-checkout", hook);
    owned.sh("home", "chmod +x .git/hooks/post-checkout");
    let ran = owned.path("home/ran");
    owned.write("home/monitor", &format!("#!/bin/sh\nid -u >> {}\n", ran.display()));
    owned.sh("home", "chmod +x monitor; git config core.fsmonitor \"$PWD/monitor\"");

    let (checkout, told) = owned.check_out(git(&owned, "main"), "1").await.unwrap();
    assert_eq!(checkout.commit.as_ref().unwrap().as_str(), newest);
    assert_eq!(checkout.source, Source::Git("main".into()));
    assert_eq!((&checkout.home, checkout.warnings.len()), (&owned.home(), 0));
    assert_eq!(read(&checkout.folder.join("app.js")), "two");
    is_the_users(&checkout.folder.join("app.js"));
    assert_eq!(read(&owned.path("home/app.js")), "one", "the clone itself stays as it is");
    let short = &newest[..7];
    assert_eq!(told, ["fetching from origin", &format!("checking out {short} (main)")]);
    // For builds that ask git.
    assert_eq!(owned.sh("works/1/tree", "git rev-parse HEAD"), newest);

    assert!(!owned.path("home/hooked").exists() && !owned.path("works/hooked").exists());
    let as_whom = owned.sh("home", "id -u");
    assert!(read(&ran).lines().all(|line| line == as_whom), "{}", read(&ran));

    assert_eq!(worktrees(&owned), 2);
    fs::write(checkout.folder.join("built"), "").unwrap();
    checkout.discard(&owned.work("1")).await.unwrap();
    assert_eq!(worktrees(&owned), 1);
    assert!(!owned.work("1").exists());
}

#[tokio::test]
async fn a_commit_a_tag_and_a_branch_of_the_clone_alone_are_known() {
    let owned = cloned();
    owned.sh("home", "git tag v1; git switch --quiet -c local");
    let first = owned.sh("home", "git rev-parse HEAD");
    push(&owned, "two");
    for (work, reference) in
        ["v1", &first[..9], "local", "HEAD", "origin/main~1"].iter().enumerate()
    {
        let (checkout, _) =
            owned.check_out(git(&owned, reference), &work.to_string()).await.unwrap();
        assert_eq!(read(&checkout.folder.join("app.js")), "one", "{reference}");
        assert!(checkout.warnings.is_empty(), "{:?}", checkout.warnings);
    }
}

#[tokio::test]
async fn a_branch_of_another_remote_is_fetched_from_there() {
    let owned = cloned();
    owned.sh("home", "git remote rename origin spare; git remote add origin ../nowhere");
    push(&owned, "two");
    let (checkout, told) = owned.check_out(git(&owned, "spare/main"), "1").await.unwrap();
    assert_eq!(read(&checkout.folder.join("app.js")), "two");
    assert_eq!(told[0], "fetching from spare");
    assert!(checkout.warnings.is_empty());
}

#[tokio::test]
async fn a_branch_that_is_ahead_of_its_remote_is_told() {
    let owned = cloned();
    owned.write("home/app.js", "mine");
    owned.sh("home", "git commit --quiet -am mine");
    let (checkout, _) = owned.check_out(git(&owned, "main"), "1").await.unwrap();
    assert_eq!(read(&checkout.folder.join("app.js")), "one");
    let warning = "the branch main has a commit here that origin does not have, and that of origin is shipped: \
                   push it, or name the commit";
    assert_eq!(checkout.warnings, [warning]);
}

#[tokio::test]
async fn where_the_remote_is_away_a_commit_that_is_here_is_shipped_and_told() {
    let owned = cloned();
    fs::rename(owned.path("remote.git"), owned.path("away")).unwrap();
    let (checkout, _) = owned.check_out(git(&owned, "main"), "1").await.unwrap();
    let [warning] = checkout.warnings.as_slice() else { panic!("{:?}", checkout.warnings) };
    assert!(warning.starts_with("git cannot fetch in "), "{warning}");
    assert!(warning.ends_with("as of the last fetch"), "{warning}");
    let error = owned.check_out(git(&owned, "next"), "2").await.unwrap_err();
    assert!(matches!(&error, ShipError::Git { doing: "fetch", .. }), "{error}");
    assert!(!owned.work("2").exists());
}

#[tokio::test]
async fn what_is_no_commit_and_no_repository_is_told() {
    let owned = cloned();
    for reference in ["next", "-n", "--upload-pack=touch x", "", "main:app.js"] {
        let error = owned.check_out(git(&owned, reference), "1").await.unwrap_err();
        assert!(matches!(&error, ShipError::Reference { .. }), "{reference}: {error}");
    }
    let plain = Owned::new();
    let error = plain.check_out(git(&plain, "main"), "1").await.unwrap_err();
    assert!(error.to_string().starts_with("git cannot find a repository in "), "{error}");
    assert!(error.to_string().contains("not a git repository"), "{error}");
}

#[tokio::test]
async fn an_app_in_a_folder_of_its_repository_is_found_there() {
    let owned = cloned();
    let folder = owned.path("home/api");
    let wanted = |reference: &str| {
        let (folder, reference) = (folder.clone(), reference.into());
        Wanted::Git { folder, reference }
    };
    let (checkout, _) = owned.check_out(wanted("main"), "1").await.unwrap();
    assert_eq!((checkout.folder.as_path(), &checkout.home), (&*owned.work("1/tree/api"), &folder));
    assert_eq!(read(&checkout.folder.join("api.js")), "api");
    // A commit that did not have it yet.
    owned.sh(
        "home",
        "git switch --quiet --orphan bare; git commit --quiet --allow-empty -m bare; mkdir -p api",
    );
    let error = owned.check_out(wanted("bare"), "2").await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no commit `bare:api` in {}", folder.display()));
    assert!(!owned.work("2").exists());
}

#[tokio::test]
async fn what_a_deploy_that_was_killed_left_goes_with_the_next_one() {
    let owned = cloned();
    let (checkout, _) = owned.check_out(git(&owned, "main"), "1").await.unwrap();
    // As git leaves it in the middle of making it.
    let administration = read(&checkout.folder.join(".git")).trim().replace("gitdir: ", "");
    owned.write(Path::new(&administration).join("locked").to_str().unwrap(), "initializing");
    drop::<Checkout>(checkout);
    prepare(&owned.path("works"), &owned.path("logs")).unwrap();
    assert_eq!(worktrees(&owned), 2);
    let (checkout, _) = owned.check_out(git(&owned, "main"), "2").await.unwrap();
    assert_eq!(worktrees(&owned), 2);
    checkout.discard(&owned.work("2")).await.unwrap();
    assert_eq!(worktrees(&owned), 1);
    // There is nothing yet.
    prepare(&owned.path("new/works"), &owned.path("new/logs")).unwrap();
    assert!(owned.path("new/works").is_dir() && owned.path("new/logs").is_dir());
}

#[tokio::test]
async fn a_submodule_that_cannot_be_had_is_told_and_nothing_is_left_out_in_silence() {
    let owned = cloned();
    // git takes no submodule from a folder of the machine, unless its user says so.
    owned.sh(
        "colleague",
        "git -c protocol.file.allow=always submodule --quiet add ../remote.git lib",
    );
    push(&owned, "two");
    let error = owned.check_out(git(&owned, "main"), "1").await.unwrap_err();
    assert!(error.to_string().starts_with("git cannot get the submodules in "), "{error}");
    assert!(error.to_string().contains("transport 'file' not allowed"), "{error}");
    assert!(!owned.work("1").exists());
    assert_eq!(worktrees(&owned), 1);
}

#[tokio::test]
async fn a_folder_is_shipped_as_it_is_with_its_commit_and_what_differs_from_it() {
    let owned = cloned();
    let head = owned.sh("home", "git rev-parse HEAD");
    let folder = || Wanted::Folder(owned.home());
    let roundabout = Wanted::Folder(owned.path("works/.././home/"));
    let (checkout, _) = owned.check_out(roundabout, "1").await.unwrap();
    assert_eq!(checkout.folder.as_os_str(), owned.home().as_os_str());
    assert_eq!(checkout.home.as_os_str(), owned.home().as_os_str());
    assert_eq!(checkout.commit.as_ref().unwrap().as_str(), head);
    assert!(checkout.warnings.is_empty());

    owned.write("home/app.js", "changed");
    owned.write("home/new.js", "new");
    let (checkout, _) = owned.check_out(folder(), "1").await.unwrap();
    let warning = format!("2 files differ from commit {}, and are shipped as they are", &head[..7]);
    assert_eq!(checkout.warnings, [warning]);
    assert!(!owned.work("1").exists());
    checkout.discard(&owned.work("1")).await.unwrap();
    assert!(owned.home().join("app.js").exists());

    let plain = Owned::new();
    let (checkout, _) = plain.check_out(Wanted::Folder(plain.home()), "1").await.unwrap();
    assert_eq!((checkout.commit, checkout.warnings.len()), (None, 0));
}
