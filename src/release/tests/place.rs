//! What an instance runs, by its trial, its pin or its configuration.

use std::collections::BTreeMap;
use std::fs;

use crate::config::{Mode, Program, Settings, to_toml};
use crate::release::place::{PINNED, TRIAL};
use crate::release::{CONFIG_FILE, Place, ReleaseId, Store, Trials, of_folder};
use crate::unit::AppName;

/// A machine below a folder with an app `shop`, two releases and its instance 1.
struct Machine {
    root: tempfile::TempDir,
    store: Store,
    trials: Trials,
    ids: [ReleaseId; 2],
}

const ONE: &str = "1";

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let app: AppName = "shop".parse().unwrap();
        let (store, trials) = (Store::new(root.path(), &app), Trials::new(root.path(), &app));
        let ids = ["20261126T001100Z-abc1234", "20261126T002200Z"].map(|id| id.parse().unwrap());
        for folder in [root.path().join("credentials"), root.path().join("run/romuo/shop")] {
            fs::create_dir_all(folder).unwrap();
        }
        let shop = Self { root, store, trials, ids };
        for id in &shop.ids {
            fs::create_dir_all(shop.store.path(id).join("web")).unwrap();
            fs::write(shop.store.path(id).join(CONFIG_FILE), "x").unwrap();
        }
        shop.hand_over("romuo.toml", Some("installed"));
        shop
    }

    /// A configuration of the app as systemd hands it over; none: its default.
    fn hand_over(&self, name: &str, env: Option<&str>) -> &Self {
        let text = env.map_or("\n".into(), |env| to_toml(&self.settings(env)));
        fs::write(self.root.path().join("credentials").join(name), text).unwrap();
        self
    }

    fn settings(&self, env: &str) -> Settings {
        let directory = self.store.current_path().join("web");
        let mut settings = Settings::new("shop".parse().unwrap(), directory.clone());
        settings.env = env.into();
        settings.program = Some(Program {
            command: vec!["node".into(), format!("{}/app.js", directory.display())],
            mode: Mode::Front,
            environment: BTreeMap::new(),
            env_file: None,
            writable: Vec::new(),
            readable: Vec::new(),
        });
        settings
    }

    fn pin(&self, at: usize) {
        self.store.pin(ONE.parse().unwrap(), &self.ids[at]).unwrap();
    }

    fn offer(&self, at: usize) {
        self.trials.offer(&self.store, ONE.parse().unwrap(), &self.ids[at]).unwrap();
    }

    fn start(&self) -> Place {
        let config = self.root.path().join("credentials/romuo.toml");
        let runtime = Some(self.root.path().join("run/romuo/shop"));
        Place::below(self.root.path(), &config, ONE.parse().unwrap(), runtime).unwrap()
    }

    /// Which release that is, by its number, and with which configuration.
    fn seen(&self, settings: &Settings) -> (Option<usize>, String) {
        let id = of_folder(&settings.directory);
        if let Some(id) = &id {
            let folder = self.store.path(id).canonicalize().unwrap().join("web");
            assert_eq!(settings.directory, folder);
            let word = format!("{}/app.js", folder.display());
            assert_eq!(settings.program.as_ref().unwrap().command[1], word);
        }
        (id.map(|id| self.ids.iter().position(|it| *it == id).unwrap()), settings.env.clone())
    }

    fn starts(&self) -> (Option<usize>, String) {
        self.seen(&self.start().settings())
    }
}

#[test]
fn an_instance_runs_its_pin_and_one_without_a_pin_the_current_release() {
    let shop = Machine::new();
    assert_eq!(shop.starts(), (None, "installed".into()), "there is none yet");
    shop.store.set_current(&shop.ids[1]).unwrap();
    assert_eq!(shop.starts(), (Some(1), "installed".into()));
    shop.pin(0);
    assert_eq!(shop.starts(), (Some(0), "installed".into()), "one without a configuration");
    shop.hand_over(PINNED, None).hand_over(TRIAL, None);
    assert_eq!(shop.starts(), (Some(0), "installed".into()));
    shop.hand_over(PINNED, Some("pinned"));
    assert_eq!(shop.starts(), (Some(0), "pinned".into()));
    // Another pin is another folder at the next start, and none for the one that runs.
    let place = shop.start();
    shop.pin(1);
    assert_eq!(shop.seen(&place.settings()), (Some(0), "pinned".into()));
    assert_eq!(shop.seen(&place.again()), (Some(1), "pinned".into()));
}

#[test]
fn a_trial_is_good_for_one_start_with_its_own_configuration() {
    let shop = Machine::new();
    shop.pin(0);
    shop.offer(1);
    shop.hand_over(PINNED, Some("pinned")).hand_over(TRIAL, Some("tried"));
    let place = shop.start();
    assert_eq!(shop.seen(&place.settings()), (Some(1), "tried".into()));
    // The app ends: its pin is run, with the configuration of that.
    assert_eq!(shop.seen(&place.again()), (Some(0), "pinned".into()));
    assert_eq!(shop.seen(&place.anew()), (Some(0), "pinned".into()));
    assert_eq!(shop.starts(), (Some(0), "pinned".into()), "it was used up");
    // The pin is moved to it: its own configuration goes with it.
    shop.pin(1);
    assert_eq!(shop.seen(&place.again()), (Some(1), "tried".into()));
    shop.pin(0);
    shop.offer(1);
    assert_eq!(shop.starts(), (Some(1), "tried".into()), "it is offered again");
    shop.offer(1);
    shop.trials.withdraw(ONE.parse().unwrap()).unwrap();
    assert_eq!(shop.starts(), (Some(0), "pinned".into()));
}

#[test]
fn a_trial_that_cannot_be_read_is_used_up_too() {
    let shop = Machine::new();
    shop.pin(0);
    shop.offer(1);
    shop.hand_over(PINNED, Some("pinned"));
    fs::write(shop.root.path().join("credentials").join(TRIAL), "name = 7").unwrap();
    let config = shop.root.path().join("credentials/romuo.toml");
    let runtime = Some(shop.root.path().join("run/romuo/shop"));
    let failed = Place::below(shop.root.path(), &config, ONE.parse().unwrap(), runtime);
    assert!(failed.unwrap_err().to_string().contains(TRIAL));
    assert_eq!(shop.starts(), (Some(0), "pinned".into()));
}

#[test]
fn a_new_app_beside_the_one_that_runs_uses_a_trial_and_one_that_is_started_again_does_not() {
    let shop = Machine::new();
    shop.pin(0);
    shop.hand_over(PINNED, Some("pinned")).hand_over(TRIAL, None);
    let place = shop.start();
    shop.offer(1);
    assert_eq!(shop.seen(&place.again()), (Some(0), "pinned".into()));
    assert_eq!(shop.seen(&place.anew()), (Some(1), "pinned".into()));
    assert_eq!(shop.seen(&place.again()), (Some(0), "pinned".into()));
}

#[test]
fn a_trial_whose_configuration_was_not_handed_over_waits_for_the_next_start() {
    let shop = Machine::new();
    shop.pin(0);
    shop.offer(1);
    shop.hand_over(TRIAL, None);
    assert_eq!(shop.starts(), (Some(0), "installed".into()));
    shop.hand_over(TRIAL, Some("tried"));
    assert_eq!(shop.starts(), (Some(1), "tried".into()));
    // A release without one has that of the app.
    fs::remove_file(shop.store.path(&shop.ids[1]).join(CONFIG_FILE)).unwrap();
    shop.hand_over(TRIAL, None).offer(1);
    assert_eq!(shop.starts(), (Some(1), "installed".into()));
}

#[test]
fn a_pin_to_what_was_there_before_leaves_its_folder_to_its_configuration() {
    let shop = Machine::new();
    fs::create_dir_all(shop.store.folder().join("base")).unwrap();
    fs::create_dir_all(shop.store.folder().join("instances")).unwrap();
    let link = shop.store.pin_path(ONE.parse().unwrap());
    std::os::unix::fs::symlink("../base", link).unwrap();
    let mut base = shop.settings("base");
    base.directory = "/srv/shop".into();
    fs::write(shop.root.path().join("credentials").join(PINNED), to_toml(&base)).unwrap();
    let place = shop.start();
    assert_eq!(*place.settings(), base);
    shop.offer(1);
    shop.hand_over(TRIAL, Some("tried"));
    let place = shop.start();
    assert_eq!(shop.seen(&place.settings()), (Some(1), "tried".into()));
    assert_eq!(*place.again(), base);
}

#[test]
fn an_app_that_lies_elsewhere_has_no_releases() {
    let shop = Machine::new();
    shop.pin(0);
    shop.offer(1);
    shop.hand_over(PINNED, Some("pinned")).hand_over(TRIAL, Some("tried"));
    let mut settings = shop.settings("own");
    settings.directory = "/srv/shop".into();
    let config = shop.root.path().join("credentials/romuo.toml");
    fs::write(config, to_toml(&settings)).unwrap();
    let place = shop.start();
    assert_eq!((&*place.settings(), &*place.again()), (&settings, &settings));
    assert_eq!(*place.anew(), settings);
    assert_eq!(of_folder(shop.root.path()), None);
}
