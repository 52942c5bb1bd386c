//! The rendered units as files: `units/` holds those of the default app, `tests/golden/` whole trees
//! of other configurations. `UPDATE_GENERATED=1 cargo test --test units` rewrites both.

#![allow(clippy::unwrap_used, clippy::panic)] // a test, also outside of #[test]

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU16;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use romuo::config::{Method, Mode, Network, Program, Settings, StaticSite};
use romuo::install::{Install, apply, lock, plan};
use romuo::render::{Host, OLDEST_SYSTEMD, Units, candidate, more, render};
use romuo::unit::{AppName, InstanceId};

/// The newest systemd whose directives were looked at.
const NEWEST_SYSTEMD: u32 = 262;

fn host(systemd: u32) -> Host {
    Host { server: "/usr/bin/romuo-server".into(), ctl: "/usr/bin/romuoctl".into(), systemd }
}

/// The default app.
fn default_app() -> Settings {
    Settings::new(AppName::default(), "/var/www/romuo".into())
}

/// An app that uses what the default one does not: the host's network, a user, IPv6 and a unix
/// socket, a site below /home with characters that mean something in unit files.
fn shop() -> Settings {
    let mut settings = Settings::new("shop".parse().unwrap(), "/home/anna/100% shop".into());
    settings.user = Some("www-data".parse().unwrap());
    settings.network = Network::Host;
    settings.listen = ["0.0.0.0:8080", "[::]:8080", "/run/shop/http.sock"]
        .map(|address| address.parse().unwrap())
        .into();
    settings.site = Some(StaticSite { root: "/home/anna/100% shop/dist".into(), fallback: None });
    settings
}

/// An app with a program of its own, below a home as its runtime is, that writes in two places.
fn node(mode: Mode) -> Settings {
    let mut settings = Settings::new("node".parse().unwrap(), "/home/anna/app".into());
    settings.user = Some("anna".parse().unwrap());
    settings.network = Network::Host;
    settings.program = Some(Program {
        command: ["/root/.nvm/versions/node/v20/bin/node", "server.js", "100% $HOME"]
            .map(String::from)
            .into(),
        mode,
        environment: [("TOKEN".into(), "secret $x \"y\"".into())].into(),
        env_file: Some("/home/anna/app/.env".into()),
        writable: vec!["/home/anna/app/uploads".into(), "/srv/data".into()],
        readable: vec!["/root/.nvm/versions/node/v20".into()],
    });
    if mode == Mode::Front {
        settings.reload.method = Method::Swap;
    }
    settings
}

/// The same app, run from its releases.
fn released(mode: Mode) -> Settings {
    let current = "/var/lib/romuo/node/current";
    let mut settings = node(mode).moved(Path::new("/home/anna/app"), Path::new(current));
    if let Some(program) = &mut settings.program {
        // Data stays where it is.
        program.env_file = Some("/home/anna/app/.env".into());
        program.writable = vec!["/home/anna/app/uploads".into(), "/srv/data".into()];
    }
    settings
}

#[derive(Debug, PartialEq, Eq)]
enum Entry {
    Text(String),
    Link(PathBuf),
}

/// What an installation puts below /etc/systemd/system.
fn installed(settings: &Settings, units: &Units) -> BTreeMap<PathBuf, Entry> {
    let root = tempfile::tempdir().unwrap();
    let install = Install {
        units,
        config: "",
        source: Path::new("/romuo.toml"),
        written: None,
        directory: &settings.directory,
        instances: settings.instances.count(NonZeroU16::MIN),
        earlier_instances: None,
        enable: true,
        force: false,
    };
    let lock = lock(root.path()).unwrap();
    apply(&lock, &plan(root.path(), &install).unwrap()).unwrap();
    tree(&root.path().join("etc/systemd/system"))
}

/// All files and links below a folder; none where it is not there.
fn tree(top: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut found = BTreeMap::new();
    let mut folders = vec![top.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().to_path_buf();
            if path.is_symlink() {
                found.insert(name, Entry::Link(fs::read_link(&path).unwrap()));
            } else if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(name, Entry::Text(fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Compares what is checked in with what would be made today, or rewrites it.
fn compare(folder: &str, today: &BTreeMap<PathBuf, Entry>) {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        let _ = fs::remove_dir_all(&top);
        for (name, entry) in today {
            let path = top.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match entry {
                Entry::Text(text) => fs::write(path, text).unwrap(),
                Entry::Link(target) => symlink(target, path).unwrap(),
            }
        }
    }
    let checked_in = tree(&top);
    let names = |tree: &BTreeMap<PathBuf, Entry>| tree.keys().cloned().collect::<Vec<_>>();
    let hint = format!("{folder} drifted: UPDATE_GENERATED=1 cargo test --test units");
    assert_eq!(names(&checked_in), names(today), "{hint}");
    for (name, entry) in today {
        match (&checked_in[name], entry) {
            (Entry::Text(old), Entry::Text(new)) if old != new => {
                let diff = similar::TextDiff::from_lines(old, new);
                panic!("{hint}\n{}: {}", name.display(), diff.unified_diff());
            }
            (old, new) => assert_eq!(old, new, "{hint}"),
        }
    }
}

#[test]
fn the_checked_in_units_are_those_of_the_default_app() {
    let settings = default_app();
    let units = render(&settings, &host(OLDEST_SYSTEMD)).unwrap();
    let mut files = installed(&settings, &units);
    // Links are made by `systemctl enable`, where the files are used by themselves.
    files.retain(|_, entry| matches!(entry, Entry::Text(_)));
    compare("units", &files);
}

#[test]
fn the_golden_trees_are_what_gets_installed_today() {
    for (case, settings, systemd) in [
        ("default-newest-systemd", default_app(), NEWEST_SYSTEMD),
        ("shop", shop(), OLDEST_SYSTEMD),
        ("front", node(Mode::Front), OLDEST_SYSTEMD),
        ("inherit", node(Mode::Inherit), OLDEST_SYSTEMD),
        ("front-released", released(Mode::Front), OLDEST_SYSTEMD),
        ("inherit-released", released(Mode::Inherit), OLDEST_SYSTEMD),
    ] {
        let units = render(&settings, &host(systemd)).unwrap();
        compare(&format!("tests/golden/{case}"), &installed(&settings, &units));
    }
}

/// systemd has no word to say about a candidate. Its program is one that is there.
fn verify_candidate(settings: &Settings, release: &Path) {
    let host = Host { server: "/bin/sh".into(), ..host(OLDEST_SYSTEMD) };
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for unit in candidate(settings, &host, release).unwrap().files {
        paths.push(folder.path().join(unit.name.as_str()));
        fs::write(&paths[paths.len() - 1], unit.text).unwrap();
    }
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(&paths)
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let ours: Vec<_> = said.lines().filter(|line| line.contains("candidate")).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

#[test]
fn the_golden_candidates_are_what_is_rehearsed_today() {
    let folder = Path::new("/var/lib/romuo/node/releases/20261126T001100Z-abc1234");
    let mut site =
        shop().moved(Path::new("/home/anna/100% shop"), Path::new("/var/lib/romuo/shop/current"));
    site.user = None;
    for (case, settings) in [
        ("front-candidate", released(Mode::Front)),
        ("inherit-candidate", released(Mode::Inherit)),
        ("site-candidate", site),
    ] {
        verify_candidate(&settings, folder);
        let units = candidate(&settings, &host(OLDEST_SYSTEMD), folder).unwrap();
        let files = units.files.into_iter();
        let files = files.map(|unit| (unit.name.as_str().into(), Entry::Text(unit.text))).collect();
        compare(&format!("tests/golden/{case}"), &files);
    }
}

#[test]
fn the_golden_units_of_addresses_that_come_are_those_of_today() {
    let settings = shop();
    let came = &settings.listen[1..];
    let more = more(&settings, 1, came).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for unit in more.units.iter().chain(&render(&settings, &host(OLDEST_SYSTEMD)).unwrap().files) {
        paths.push(folder.path().join(unit.name.as_str()));
        fs::write(&paths[paths.len() - 1], &unit.text).unwrap();
    }
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(&paths[..2])
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let ours: Vec<_> = said.lines().filter(|line| line.contains("more1")).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
    let files = more.files.into_iter().map(|(path, text)| {
        (path.strip_prefix("/run/systemd/system").unwrap().to_path_buf(), Entry::Text(text))
    });
    compare("tests/golden/site-more", &files.collect());
}

/// The overall exposure of a unit in this folder, by `systemd-analyze security`: 0 is the least.
fn exposure(folder: &Path, unit: &str) -> f64 {
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(folder.join(unit))
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let overall = text.lines().find(|line| line.contains("Overall exposure level"));
    overall
        .and_then(|line| line.rsplit_once(": ")?.1.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no overall line: {text}{output:?}"))
}

/// The exposure of an instance of an app.
fn exposure_of(settings: &Settings) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let id = InstanceId::first(NonZeroU16::MIN).next().unwrap();
    for unit in render(settings, &host(OLDEST_SYSTEMD)).unwrap().files {
        fs::write(folder.path().join(unit.name.as_str()), unit.text).unwrap();
    }
    let instance = settings.name.instance(id);
    symlink(settings.name.template().as_str(), folder.path().join(instance.as_str())).unwrap();
    exposure(folder.path(), instance.as_str())
}

#[test]
fn secrets_of_an_app_stand_in_no_unit() {
    for mode in [Mode::Front, Mode::Inherit] {
        let units = render(&node(mode), &host(OLDEST_SYSTEMD)).unwrap();
        assert!(units.files.iter().all(|unit| !unit.text.contains("secret")));
    }
}

#[test]
fn an_app_behind_a_front_is_exposed_little_more_than_a_site() {
    let mut settings = node(Mode::Front);
    settings.network = Network::None;
    let level = exposure_of(&settings);
    assert!(level <= 0.8, "{level}");
    let level = exposure_of(&node(Mode::Front));
    assert!(level <= 1.5, "{level}");
}

#[test]
fn the_default_instance_is_exposed_as_little_as_the_best_of_systemds_own() {
    let level = exposure_of(&default_app());
    assert!(level <= 0.5, "{level}");
}
