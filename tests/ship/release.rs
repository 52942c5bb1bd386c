//! All of it together: a commit -> built -> a release.

use std::fs;
use std::time::Duration;

use romuo::account::Owner;
use romuo::config::{self, detect_version, to_toml};
use romuo::release::{AddedFile, Additions, CONFIG_FILE, Rules, Source, Store};
use romuo::ship::{Facts, Wanted, for_release, run};

use crate::owned::{Owned, read};

/// What lies in the repository.
const SETTINGS: &str = r#"
name = "shop"
command = ["node", "app.js"]
env_file = ".env"
writable = ["uploads"]
[deploy]
build = ["mkdir dist; cp app.js dist/", "echo built by $ROMUO_APP"]
"#;

#[tokio::test]
async fn a_commit_becomes_a_release_whose_data_stays_at_home() {
    let owned = Owned::new();
    owned.write("home/romuo.toml", SETTINGS);
    owned.write("home/app.js", "one");
    owned.write("home/package.json", "{\"version\": \"1.0.0\"}");
    owned
        .sh("home", "git init --quiet --initial-branch=main; git add .; git commit --quiet -m one");
    owned.write("home/.env", "SECRET=1");
    owned.write("home/uploads/photo", "data");
    owned.sh("home", "git tag v1");
    owned.write("home/app.js", "not committed");

    let wanted = Wanted::Git { folder: owned.home(), reference: "v1".into() };
    let (checkout, told) = owned.check_out(wanted, "1").await.unwrap();
    let short = checkout.commit.as_ref().unwrap().short().to_owned();
    assert_eq!(told, [format!("checking out {short} (v1)")], "there is nothing to fetch");
    let settings = config::load(&checkout.folder.join("romuo.toml")).unwrap();
    let lines = settings.deploy.build.clone();
    let facts = Facts {
        app: settings.name.clone(),
        release: None,
        previous: None,
        commit: checkout.commit.clone(),
        source: Source::Git("v1".into()),
        home: checkout.home.clone(),
        outcome: None,
    };
    let user = Owner::of(&checkout.folder).unwrap();
    let (log, limit) = (owned.path("log"), Duration::from_secs(60));
    run(&lines, "build", &checkout.folder, &user, &facts, &log, limit, |_| ()).await.unwrap();
    assert!(read(&log).ends_with("built by shop\n"));

    let store = Store::new(&owned.path("root"), &settings.name);
    let current = store.folder().join("current");
    let shipped = for_release(settings, &checkout, &current).unwrap();
    let text = to_toml(&shipped.settings);
    let settings = AddedFile { path: CONFIG_FILE.into(), text: text.clone(), mode: 0o600 };
    let paths: Vec<_> = shipped.links.iter().map(|(path, _)| path.clone()).collect();
    let rules = Rules::read(&checkout.folder, &paths).unwrap();
    let additions = Additions { files: vec![settings], links: shipped.links };
    let (lock, id) = (store.lock().unwrap(), store.next_id(checkout.commit.as_ref()).unwrap());
    let staged = store.stage(&lock, &checkout.folder, &rules, &id, &additions).unwrap();
    assert!(staged.warnings.is_empty(), "{:?}", staged.warnings);
    checkout.discard(&owned.work("1")).await.unwrap();

    let release = store.path(&id);
    assert_eq!(read(&release.join("dist/app.js")), "one");
    assert_eq!(read(&release.join(CONFIG_FILE)), text);
    assert_eq!(detect_version(&release).as_deref(), Some("1.0.0"));
    assert!(!text.contains("version ="), "it is that of whichever release runs");
    assert!(!release.join(".git").exists());
    let secrets = fs::read_link(release.join(".env")).unwrap();
    assert_eq!(secrets, owned.path("home/.env"), "they are not copied");
    // What a release writes lies at home, and the next one finds it there.
    fs::write(release.join("uploads/new"), "data").unwrap();
    assert_eq!(read(&owned.path("home/uploads/new")), "data");
    let settings = config::parse(&text, &release.join(CONFIG_FILE)).unwrap();
    assert_eq!(settings.directory, current);
    let program = settings.program.unwrap();
    assert_eq!(program.env_file.unwrap(), owned.path("home/.env"));
    assert_eq!(program.writable, [owned.path("home/uploads")]);
}
