use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU16;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::config::Settings;
use crate::render::{Host, Units, render};
use crate::unit::{AppName, InstanceId};

/// A root of its own, and what is to be installed there.
struct Lab {
    root: TempDir,
    units: Units,
    host: Host,
}

impl Lab {
    fn new() -> Self {
        let settings = Settings::new(AppName::default(), "/srv".into());
        // Programs that are there wherever the tests run.
        let host = Host { server: "/bin/sh".into(), ctl: "/bin/true".into(), systemd: 252 };
        let units = render(&settings, &host).unwrap();
        Self { root: tempfile::tempdir().unwrap(), units, host }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    fn unit(&self, name: &str) -> PathBuf {
        self.at("etc/systemd/system").join(name)
    }

    fn app(&self) -> &AppName {
        &self.units.app
    }

    fn wish(&self) -> Install<'_> {
        Install {
            units: &self.units,
            config: "name = \"romuo\"\n",
            source: Path::new("/srv/romuo.toml"),
            written: None,
            directory: Path::new("/srv"),
            instances: count(2),
            earlier_instances: None,
            enable: true,
            force: false,
        }
    }

    /// A wish for the same once more.
    fn again(&self) -> Install<'_> {
        Install { earlier_instances: Some(count(2)), ..self.wish() }
    }

    fn install(&self, wish: &Install<'_>) -> Plan {
        let lock = lock(self.path()).unwrap();
        let plan = plan(self.path(), wish).unwrap();
        apply(&lock, &plan).unwrap();
        plan
    }

    fn refusals(&self, wish: &Install<'_>) -> Vec<Refusal> {
        match plan(self.path(), wish).unwrap_err() {
            PlanError::Refused(refusals) => refusals,
            PlanError::Read(error) => panic!("{error}"),
        }
    }

    /// Everything below the root: permissions, and the text or the target.
    fn tree(&self) -> BTreeMap<PathBuf, (u32, String)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let meta = fs::symlink_metadata(&path).unwrap();
                let text = if meta.is_symlink() {
                    fs::read_link(&path).unwrap().display().to_string()
                } else if meta.is_dir() {
                    folders.push(path.clone());
                    String::new()
                } else {
                    fs::read_to_string(&path).unwrap()
                };
                found.insert(path, (meta.permissions().mode(), text));
            }
        }
        found
    }

    fn instances(&self) -> Vec<String> {
        let found = installed_instances(self.path(), self.app()).unwrap();
        found.iter().map(ToString::to_string).collect()
    }
}

fn count(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

#[test]
fn an_installation_writes_units_links_and_a_private_configuration() {
    let lab = Lab::new();
    let plan = lab.install(&lab.wish());
    assert!(plan.needs_reload());
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(lab.at("etc/romuo/romuo.toml")), 0o600);
    assert_eq!(mode(lab.at("etc/romuo")), 0o755);
    for unit in &lab.units.files {
        let path = lab.unit(unit.name.as_str());
        assert!(fs::read_to_string(&path).unwrap().ends_with(&unit.text));
        assert_eq!(mode(path), 0o644);
    }
    let link = |name: &str| fs::read_link(lab.unit(name)).unwrap();
    assert_eq!(
        link("multi-user.target.wants/romuo.target"),
        Path::new("/etc/systemd/system/romuo.target")
    );
    assert_eq!(
        link("romuo.target.wants/romuo@2.service"),
        Path::new("/etc/systemd/system/romuo@.service")
    );
    assert_eq!(lab.instances(), ["1", "2"]);
    assert_eq!(
        installed_apps(lab.path()).unwrap().into_iter().collect::<Vec<_>>(),
        [lab.app().clone()]
    );
    assert!(lab.tree().keys().all(|path| !path.to_string_lossy().contains(".romuo-")));
}

#[test]
fn a_second_installation_changes_nothing() {
    let lab = Lab::new();
    lab.install(&lab.wish());
    let before = lab.tree();
    let plan = lab.install(&lab.again());
    assert!(plan.is_empty() && !plan.needs_reload(), "{plan}");
    assert_eq!(lab.tree(), before);
}

#[test]
fn without_enable_the_boot_is_left_as_it_is() {
    let lab = Lab::new();
    lab.install(&Install { enable: false, ..lab.wish() });
    assert!(!lab.unit("multi-user.target.wants").exists());
    assert_eq!(lab.instances(), ["1", "2"]);
    lab.install(&lab.again());
    let plan = lab.install(&Install { enable: false, ..lab.again() });
    assert!(plan.is_empty());
    assert!(lab.unit("multi-user.target.wants/romuo.target").is_symlink());
}

#[test]
fn another_configuration_alone_needs_no_daemon_reload() {
    let lab = Lab::new();
    lab.install(&lab.wish());
    let plan =
        lab.install(&Install { config: "name = \"romuo\"\nenv = \"test\"\n", ..lab.again() });
    assert_eq!(plan.to_string(), "update /etc/romuo/romuo.toml\n");
    assert!(!plan.needs_reload());
    let diff = plan.diff();
    assert!(diff.contains("--- /etc/romuo/romuo.toml\n") && diff.contains("\n+env = \"test\"\n"));
}

#[test]
fn a_file_of_someone_else_is_refused_and_overwritten_by_force() {
    let lab = Lab::new();
    let path = lab.unit("romuo.socket");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "[Socket]\n").unwrap();
    let before = lab.tree();
    let foreign = Refusal::Foreign("/etc/systemd/system/romuo.socket".into());
    assert_eq!(lab.refusals(&lab.wish()), [foreign]);
    assert_eq!(lab.tree(), before);
    lab.install(&Install { force: true, ..lab.wish() });
    assert!(fs::read_to_string(path).unwrap().ends_with(&lab.units.files[0].text));
}

#[test]
fn an_edited_file_is_refused_by_an_installation_and_by_a_removal() {
    let lab = Lab::new();
    lab.install(&lab.wish());
    let path = lab.unit("romuo@.service");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("WatchdogSec=17s", "WatchdogSec=18s")).unwrap();
    let edited = Refusal::HandEdited("/etc/systemd/system/romuo@.service".into());
    assert_eq!(lab.refusals(&lab.again()), [edited]);
    assert!(matches!(plan_removal(lab.path(), lab.app(), false), Err(PlanError::Refused(_))));
    assert!(plan_removal(lab.path(), lab.app(), true).is_ok());
    let plan = lab.install(&Install { force: true, ..lab.again() });
    assert_eq!(plan.to_string(), "update /etc/systemd/system/romuo@.service\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn what_a_configuration_was_made_of_is_kept_with_it() {
    let lab = Lab::new();
    let app = lab.app().clone();
    lab.install(&lab.wish());
    assert_eq!(written(lab.path(), &app), None);
    let made_of = Written::of(Path::new("/srv/a shop/romuo.toml"), "env = \"test\"\n");
    assert_eq!(made_of.as_ref().unwrap().digest, digest("env = \"test\"\n"));
    let again = Install { written: made_of.clone(), ..lab.again() };
    assert_eq!(lab.install(&again).to_string(), "update /etc/romuo/romuo.toml\n");
    assert_eq!(written(lab.path(), &app), made_of);
    assert!(lab.install(&again).is_empty());
    // The installed one, read and written again, was made of the same.
    let path = lab.at("etc/romuo/romuo.toml");
    lab.install(&Install { source: &path, config: "name = \"romuo\"\n\n", ..lab.again() });
    assert_eq!(written(lab.path(), &app), made_of);
    assert_eq!(Written::of(Path::new("/srv/a\nshop/romuo.toml"), ""), None);
}

#[test]
fn an_edited_configuration_is_refused_unless_it_is_what_gets_installed() {
    let lab = Lab::new();
    lab.install(&lab.wish());
    let path = lab.at("etc/romuo/romuo.toml");
    fs::write(&path, fs::read_to_string(&path).unwrap() + "env = \"test\"\n").unwrap();
    assert_eq!(lab.refusals(&lab.again()), [Refusal::HandEdited("/etc/romuo/romuo.toml".into())]);
    let config = "name = \"romuo\"\nenv = \"test\"\n";
    let plan = lab.install(&Install { source: &path, config, ..lab.again() });
    assert_eq!(plan.to_string(), "update /etc/romuo/romuo.toml\n");
    assert!(lab.install(&Install { config, ..lab.again() }).is_empty());
}

#[test]
fn masked_units_and_links_are_refused_even_by_force() {
    let lab = Lab::new();
    fs::create_dir_all(lab.unit("romuo.target")).unwrap();
    symlink("/dev/null", lab.unit("romuo.socket")).unwrap();
    symlink("/opt/romuo.service", lab.unit("romuo.service")).unwrap();
    let at = |name: &str| Path::new("/etc/systemd/system").join(name);
    assert_eq!(
        lab.refusals(&Install { force: true, ..lab.wish() }),
        [
            Refusal::Masked(at("romuo.socket")),
            Refusal::Symlink { path: at("romuo.service"), target: "/opt/romuo.service".into() },
            Refusal::InTheWay(at("romuo.target")),
        ]
    );
}

#[test]
fn instances_enabled_by_hand_stay_until_the_configuration_says_another_number() {
    let lab = Lab::new();
    lab.install(&lab.wish());
    // As an administrator may write it, relative.
    symlink("../romuo@.service", lab.unit("romuo.target.wants/romuo@7.service")).unwrap();
    fs::remove_file(lab.unit("romuo.target.wants/romuo@1.service")).unwrap();
    assert!(lab.install(&lab.again()).is_empty());
    assert_eq!(lab.instances(), ["2", "7"]);
    let plan = lab.install(&Install { instances: count(3), ..lab.again() });
    assert_eq!(lab.instances(), ["1", "2", "3"]);
    assert!(plan.needs_reload());
}

#[test]
fn scaling_moves_the_links_and_nothing_else_and_outlasts_an_install() {
    let lab = Lab::new();
    lab.install(&lab.wish());
    let before = lab.tree();
    let scale = |wish: &str| {
        let there = installed_instances(lab.path(), lab.app()).unwrap();
        let scale = Scale::of(&there, wish.parse().unwrap()).unwrap();
        let plan = plan_scale(lab.path(), lab.app(), &scale).unwrap();
        apply(&lock(lab.path()).unwrap(), &plan).unwrap();
        (scale, plan)
    };
    let (up, plan) = scale("4");
    assert!(plan.needs_reload());
    assert_eq!(lab.instances(), ["1", "2", "3", "4"]);
    assert!(lab.install(&lab.again()).is_empty());
    let back = plan_scale(lab.path(), lab.app(), &up.undone()).unwrap();
    apply(&lock(lab.path()).unwrap(), &back).unwrap();
    assert_eq!(lab.tree(), before);
    scale("-1");
    assert_eq!(lab.instances(), ["1"]);
    assert!(lab.install(&lab.again()).is_empty());
}

#[test]
fn a_link_that_leads_elsewhere_is_not_scaled_away() {
    let lab = Lab::new();
    lab.install(&lab.wish());
    let path = lab.unit("romuo.target.wants/romuo@7.service");
    symlink("/opt/romuo@7.service", &path).unwrap();
    let there = installed_instances(lab.path(), lab.app()).unwrap();
    let scale = Scale::of(&there, "1".parse().unwrap()).unwrap();
    let error = plan_scale(lab.path(), lab.app(), &scale).unwrap_err();
    let PlanError::Refused(refusals) = error else { panic!("{error}") };
    let at = "/etc/systemd/system/romuo.target.wants/romuo@7.service";
    let target = "/opt/romuo@7.service".into();
    assert_eq!(refusals, [Refusal::Symlink { path: at.into(), target }]);
}

#[test]
fn permissions_that_drifted_are_put_right() {
    let lab = Lab::new();
    lab.install(&lab.wish());
    let path = lab.at("etc/romuo/romuo.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let plan = lab.install(&lab.again());
    assert_eq!(plan.to_string(), "change mode of /etc/romuo/romuo.toml: 0644 -> 0600\n");
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn a_removal_leaves_what_was_there_before_and_names_the_drop_ins() {
    let lab = Lab::new();
    let other = lab.unit("other.service");
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    fs::write(&other, "[Service]\n").unwrap();
    let drop_in = lab.unit("romuo@.service.d");
    fs::create_dir(&drop_in).unwrap();
    fs::write(drop_in.join("override.conf"), "[Service]\nNice=5\n").unwrap();
    fs::create_dir(lab.unit("multi-user.target.wants")).unwrap();
    let before = lab.tree();

    lab.install(&lab.wish());
    symlink("/etc/systemd/system/romuo@.service", lab.unit("romuo.target.wants/romuo@3.service"))
        .unwrap();
    let lock = lock(lab.path()).unwrap();
    let plan = plan_removal(lab.path(), lab.app(), false).unwrap();
    assert_eq!(plan.left, [Path::new("/etc/systemd/system/romuo@.service.d")]);
    apply(&lock, &plan).unwrap();
    assert_eq!(lab.tree(), before);
    drop(lock);
    assert!(plan_removal(lab.path(), lab.app(), false).unwrap().is_empty());
}

#[test]
fn a_link_of_the_same_name_to_something_else_is_not_removed() {
    let lab = Lab::new();
    lab.install(&lab.wish());
    let link = lab.unit("romuo.target.wants/romuo@9.service");
    symlink("/opt/other@.service", &link).unwrap();
    let lock = lock(lab.path()).unwrap();
    let plan = plan_removal(lab.path(), lab.app(), false).unwrap();
    apply(&lock, &plan).unwrap();
    assert_eq!(plan.left, [Path::new("/etc/systemd/system/romuo.target.wants/romuo@9.service")]);
    assert!(link.is_symlink());
}

/// Makes the change at `obstacle` fail between plan and apply, and says that nothing changed.
fn fails_whole(lab: &Lab, plan: &Plan, obstacle: &Path) -> ApplyError {
    let lock = lock(lab.path()).unwrap();
    fs::create_dir_all(obstacle.join("full")).unwrap();
    let before = lab.tree();
    let error = apply(&lock, plan).unwrap_err();
    assert!(error.rollback.is_none(), "{error}");
    assert_eq!(lab.tree(), before);
    error
}

#[test]
fn an_installation_that_fails_half_way_leaves_no_trace() {
    let lab = Lab::new();
    let plan = plan(lab.path(), &lab.wish()).unwrap();
    let last = lab.unit("romuo.target.wants/romuo@2.service");
    let error = fails_whole(&lab, &plan, &last);
    assert!(
        error
            .to_string()
            .starts_with("cannot link /etc/systemd/system/romuo.target.wants/romuo@2.service -> ")
    );
    assert!(error.to_string().ends_with("nothing was changed"));
}

#[test]
fn an_update_or_a_removal_that_fails_half_way_leaves_the_old_files() {
    let lab = Lab::new();
    lab.install(&lab.wish());
    let config = "name = \"romuo\"\nenv = \"test\"\n";
    let wish = Install { config, instances: count(3), ..lab.again() };
    let update = plan(lab.path(), &wish).unwrap();
    assert!(update.to_string().starts_with("update /etc/romuo/romuo.toml\nlink "));
    fails_whole(&lab, &update, &lab.unit("romuo.target.wants/romuo@3.service"));

    // A folder cannot be moved over by what is to be removed.
    let removal = plan_removal(lab.path(), lab.app(), false).unwrap();
    fails_whole(&lab, &removal, &lab.at("etc/romuo/.romuo.toml.romuo-old"));
}

#[test]
fn a_file_that_came_after_the_plan_is_not_overwritten() {
    let lab = Lab::new();
    let plan = plan(lab.path(), &lab.wish()).unwrap();
    let lock = lock(lab.path()).unwrap();
    let path = lab.unit("romuo.socket");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "mine").unwrap();
    let before = lab.tree();
    apply(&lock, &plan).unwrap_err();
    assert_eq!(lab.tree(), before);
}

#[test]
fn what_a_power_cut_left_behind_is_no_obstacle() {
    let lab = Lab::new();
    fs::create_dir_all(lab.unit("")).unwrap();
    fs::write(lab.unit(".romuo.socket.romuo-new"), "half").unwrap();
    lab.install(&lab.wish());
    assert!(!lab.unit(".romuo.socket.romuo-new").exists());
}

#[test]
fn two_installations_at_once_are_one_too_many() {
    let lab = Lab::new();
    let first = lock(lab.path()).unwrap();
    assert!(matches!(lock(lab.path()), Err(LockError::Taken { holder: Some(_), .. })));
    drop(first);
    lock(lab.path()).unwrap();
}

#[test]
fn a_stamp_stays_in_its_lines_whatever_the_directory_is() {
    let lab = Lab::new();
    let directory = Path::new("/srv/a\nname = \"evil\"");
    lab.install(&Install { directory, ..lab.wish() });
    let text = fs::read_to_string(lab.at("etc/romuo/romuo.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    assert_eq!(table["name"].as_str(), Some("romuo"));
}

#[test]
fn systemd_accepts_the_units_without_a_word() {
    let lab = Lab::new();
    verify(&lab.units, &lab.host, Path::new("/")).unwrap();
}

#[test]
fn what_systemd_merely_ignores_is_a_fault() {
    let mut lab = Lab::new();
    let template = &mut lab.units.files[2];
    template.text = template.text.replace("Type=notify\n", "Type=notify-sometimes\n");
    let error = verify(&lab.units, &lab.host, Path::new("/")).unwrap_err();
    let VerifyError::Refused(text) = error else { panic!("{error}") };
    assert!(
        text.contains("romuo@.service:") && text.contains("Failed to parse service type"),
        "{text}"
    );
}

#[test]
fn a_program_is_looked_for_below_the_root() {
    let lab = Lab::new();
    let error = verify(&lab.units, &lab.host, lab.path()).unwrap_err();
    assert!(matches!(error, VerifyError::NoProgram(path) if path == lab.at("bin/sh")));

    // In an image that has programs which this machine has not.
    let settings = Settings::new(AppName::default(), "/srv".into());
    let host = Host { server: "/opt/x y/s".into(), ctl: "/opt/x y/c".into(), systemd: 252 };
    let units = render(&settings, &host).unwrap();
    fs::create_dir_all(lab.at("opt/x y")).unwrap();
    for name in ["s", "c"] {
        fs::copy("/bin/true", lab.at("opt/x y").join(name)).unwrap();
    }
    verify(&units, &host, lab.path()).unwrap();
}

#[test]
fn versions_of_systemd_are_read() {
    assert_eq!(parse_version("252.38-1~deb12u1"), Some(252));
    assert_eq!(parse_version("v257~rc1"), Some(257));
    assert_eq!(parse_version("unknown"), None);
    assert!(systemd_version().unwrap() >= 200);
}

#[test]
fn instance_ids_that_are_none_are_no_instances() {
    let lab = Lab::new();
    lab.install(&lab.wish());
    symlink("x", lab.unit("romuo.target.wants/romuo@x.service")).unwrap();
    symlink("x", lab.unit("romuo.target.wants/other@1.service")).unwrap();
    let expected: Vec<InstanceId> = InstanceId::first(count(2)).collect();
    let found = installed_instances(lab.path(), lab.app()).unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
}
