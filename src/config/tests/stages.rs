//! What the file says, merged with the defaults, and validated.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use snapbox::{assert_data_eq, str};

use crate::config::{
    Deploy, Instances, Method, Mode, Network, Retry, Settings, StaticSite, Threshold,
    detect_version, load, parse, to_toml,
};

/// The settings of a file in /srv/shop that says `text`.
fn settings(text: &str) -> Settings {
    parse(text, Path::new("/srv/shop/romuo.toml")).unwrap()
}

#[test]
fn an_empty_file_brings_every_default() {
    assert_eq!(settings(""), Settings::new("romuo".parse().unwrap(), "/srv/shop".into()));
}

#[test]
fn what_the_file_says_takes_the_place_of_the_default() {
    let text = r#"
        name = "shop"
        directory = "/var/www/shop"
        user = "www-data"
        listen = ["127.0.0.1:8080", "/run/shop.sock"]
        instances = "max"
        env = "staging"
        network = "host"
        version = "1.2.3"
        [limits]
        memory = "1G"
        recycle = "75%"
        max_age = "1d"
        max_restarts = 3
        min_uptime = "20s"
        restart_delay = "1s"
        retry_errored = "5min"
        start_timeout = "1min"
        stop_timeout = "30s"
        [health]
        path = "/up"
        interval = "10s"
        timeout = "1s"
        failures = 5
        [reload]
        linger = "5s"
        [deploy]
        build = ["npm ci", "npm run build"]
        keep = 3
        before = "npm run migrate"
        after = """
            echo shipped
            echo done
        """
        on_failure = ["mail -s failed root"]
        timeout = "10min"
        [static]
        root = "/var/www/shop/dist"
        fallback = "index.html"
    "#;
    let shop = settings(text);
    let seconds = Duration::from_secs;
    assert_eq!(shop.name.as_str(), "shop");
    assert_eq!(shop.directory, Path::new("/var/www/shop"));
    assert_eq!(shop.user.as_ref().unwrap().as_str(), "www-data");
    assert_eq!(shop.listen, ["127.0.0.1:8080", "/run/shop.sock"].map(|a| a.parse().unwrap()));
    assert_eq!(shop.instances, Instances::Max);
    assert_eq!((shop.env.as_str(), shop.network), ("staging", Network::Host));
    assert_eq!(shop.version.as_deref(), Some("1.2.3"));
    assert_eq!((shop.limits.memory.bytes(), shop.limits.max_restarts), (1 << 30, 3));
    assert_eq!(shop.limits.recycle, "75%".parse().unwrap());
    assert_eq!(shop.limits.max_age, Some(seconds(86_400)));
    assert_eq!((shop.limits.min_uptime, shop.limits.restart_delay), (seconds(20), seconds(1)));
    assert_eq!(shop.limits.retry_errored, Retry::After(seconds(300)));
    assert_eq!((shop.limits.start_timeout, shop.limits.stop_timeout), (seconds(60), seconds(30)));
    assert_eq!((shop.health.path.as_str(), shop.health.failures), ("/up", 5));
    assert_eq!((shop.health.interval, shop.health.timeout), (seconds(10), seconds(1)));
    assert_eq!(shop.reload.linger, seconds(5));
    let deploy = Deploy {
        build: vec!["npm ci".into(), "npm run build".into()],
        keep: 3.try_into().unwrap(),
        before: vec!["npm run migrate".into()],
        after: vec!["            echo shipped\n            echo done\n        ".into()],
        on_failure: vec!["mail -s failed root".into()],
        timeout: seconds(600),
        watch: seconds(10),
    };
    assert_eq!(shop.deploy, deploy);
    let root = PathBuf::from("/var/www/shop/dist");
    assert_eq!(shop.site, Some(StaticSite { root, fallback: Some("index.html".into()) }));
    // Every value above differs from its default, so nothing is left out of the written file.
    assert_eq!(settings(&to_toml(&shop)), shop);
}

#[test]
fn recycling_is_on_unless_it_is_said_to_be_off() {
    assert_eq!(settings("").limits.recycle, "90%".parse().unwrap());
    assert_eq!(settings("").limits.max_age, None);
    for off in ["\"off\"", "false"] {
        assert_eq!(settings(&format!("limits.recycle = {off}")).limits.recycle, Threshold::Off);
        assert_eq!(
            settings(&format!("limits.retry_errored = {off}")).limits.retry_errored,
            Retry::Off
        );
    }
}

#[test]
fn one_address_need_not_be_a_list() {
    let one = settings("listen = \"[::1]:80\"");
    assert_eq!(one, settings("listen = [\"[::1]:80\"]"));
}

#[test]
fn sizes_may_be_bare_bytes() {
    assert_eq!(settings("limits.memory = 16_777_216").limits.memory.bytes(), 16 << 20);
    assert_eq!(settings("limits.memory = 0x1000000").limits.memory.bytes(), 16 << 20);
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    for (directory, root, expected) in [
        (".", "dist", "/srv/shop/dist"),
        ("app", "./dist/", "/srv/shop/app/dist"),
        ("..", "dist", "/srv/dist"),
        ("/opt", "../dist", "/dist"),
        ("../../../..", "dist", "/dist"),
        ("app", "/dist", "/dist"),
    ] {
        let text = format!("directory = \"{directory}\"\nstatic.root = \"{root}\"");
        assert_eq!(settings(&text).site.unwrap().root, Path::new(expected), "{directory} {root}");
    }
}

#[test]
fn a_relative_file_starts_at_the_working_directory() {
    let here = std::env::current_dir().unwrap();
    assert_eq!(parse("", Path::new("romuo.toml")).unwrap().directory, here);
    assert_eq!(parse("", Path::new("./a/../romuo.toml")).unwrap().directory, here);
}

#[test]
fn a_folder_that_cannot_be_written_in_toml_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    for name in [&b"/srv/\xff/romuo.toml"[..], b"/srv/a\nb/romuo.toml"] {
        let path = Path::new(std::ffi::OsStr::from_bytes(name));
        assert_eq!(parse("", path).unwrap_err().key(), Some("directory"));
        assert!(parse("directory = \"/srv\"", path).is_ok());
    }
}

#[test]
fn a_shorter_span_shortens_the_default_of_what_must_fit_into_it() {
    let short = settings("limits.stop_timeout = \"1s\"\nhealth.interval = \"500ms\"");
    assert_eq!(short.reload.linger, Duration::from_secs(1));
    assert_eq!(short.health.timeout, Duration::from_millis(500));
    let long = settings("limits.stop_timeout = \"1min\"\nhealth.interval = \"1min\"");
    assert_eq!(long.reload.linger, Duration::from_secs(2));
    assert_eq!(long.health.timeout, Duration::from_secs(2));
}

#[test]
fn the_version_comes_from_the_first_manifest_that_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let version = || detect_version(folder.path());
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    assert_eq!(version(), None);

    write("pyproject.toml", "[tool.poetry]\nversion = \"0.1\"\n");
    assert_eq!(version().as_deref(), Some("0.1"));
    write("pyproject.toml", "[project]\nversion = \"0.2\"\n[tool.poetry]\nversion = \"0.1\"\n");
    assert_eq!(version().as_deref(), Some("0.2"));
    write(
        "Cargo.toml",
        "[package]\nversion.workspace = true\n[workspace.package]\nversion = \"0.3\"\n",
    );
    assert_eq!(version().as_deref(), Some("0.3"));
    write("Cargo.toml", "[package]\nversion = \"0.4\"\n");
    assert_eq!(version().as_deref(), Some("0.4"));
    write("package.json", "{\"version\": \"0.5\"}");
    assert_eq!(version().as_deref(), Some("0.5"));
}

#[test]
fn only_a_version_that_the_file_says_is_a_setting() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("package.json"), "{\"version\": \"0.5\"}").unwrap();
    let file = folder.path().join("romuo.toml");
    fs::write(&file, "").unwrap();
    let detected = load(&file).unwrap();
    assert_eq!(detected.version, None);
    assert!(!to_toml(&detected).contains("version"));
    fs::write(&file, "version = \"1.0\"").unwrap();
    assert_eq!(load(&file).unwrap().version.as_deref(), Some("1.0"));
}

#[test]
fn a_manifest_that_cannot_be_used_counts_as_absent() {
    let folder = tempfile::tempdir().unwrap();
    let version = || detect_version(folder.path());
    let package = folder.path().join("package.json");
    fs::write(folder.path().join("Cargo.toml"), "[package]\nversion = \"1\"\n").unwrap();
    let too_long = format!("{{\"version\": \"{}\"}}", "1".repeat(129));
    let too_large = format!("{{\"version\": \"2\"}}{}", " ".repeat(1 << 20));
    for text in [
        "",
        "{",
        "[]",
        "{\"version\": 2}",
        "{\"version\": \"\"}",
        "{\"version\": \"2\\n\"}",
        &"[".repeat(10_000),
        &too_long,
        &too_large,
    ] {
        fs::write(&package, text).unwrap();
        assert_eq!(version().as_deref(), Some("1"), "{text:.40}");
    }
    fs::remove_file(&package).unwrap();
    fs::create_dir(&package).unwrap();
    assert_eq!(version().as_deref(), Some("1"));
    fs::remove_dir(&package).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &package, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    assert_eq!(version().as_deref(), Some("1"));
}

#[test]
fn the_installed_file_is_complete() {
    let mut shop =
        settings("name = \"shop\"\nstatic = { root = \"dist\", fallback = \"index.html\" }");
    shop.version = Some("1.0 \"x\" '".into());
    assert_data_eq!(
        to_toml(&shop),
        str![[r#"
name = "shop"
directory = "/srv/shop"
listen = ["127.0.0.1:3000"]
instances = 2
env = "production"
network = "none"
version = """1.0 "x" '"""

[limits]
memory = "300M"
recycle = "90%"
max_restarts = 10
min_uptime = "10s"
restart_delay = "100ms"
retry_errored = "1min"
start_timeout = "30s"
stop_timeout = "10s"
hold = "5s"
body = "1G"

[health]
path = "/health"
interval = "5s"
timeout = "2s"
failures = 3

[reload]
method = "restart"
max_unavailable = 1
surge = 0
on_failure = "halt"
probes = 2
watch = "0s"
linger = "2s"

[deploy]
build = []
keep = 5
before = []
after = []
on_failure = []
timeout = "30min"
watch = "10s"

[front]
trusted_proxies = ["127.0.0.0/8", "::1"]
tunnel_idle = "1h"

[static]
root = "/srv/shop/dist"
fallback = "index.html"

"#]]
    );
}

#[test]
fn an_app_with_a_program_is_fronted_sees_the_host_and_is_swapped() {
    let app = settings(
        "command = [\"node\", \"app.js\", 8]\nwritable = [\"uploads\", \"/var/x\"]\nenv_file = \".env\"\n\
         [environment]\nA = 1\nB = true\n\"C\" = \"x \\\"y\"",
    );
    assert_eq!(app.network, Network::Host);
    assert_eq!(app.reload.method, Method::Swap);
    let program = app.program.as_ref().unwrap();
    assert_eq!(program.command, ["node", "app.js", "8"]);
    assert_eq!(program.mode, Mode::Front);
    assert_eq!(program.writable, [Path::new("/srv/shop/uploads"), Path::new("/var/x")]);
    assert_eq!(program.env_file.as_deref(), Some(Path::new("/srv/shop/.env")));
    assert_eq!(program.environment["B"], "true");
    assert_eq!(settings(&to_toml(&app)), app);

    let inherits = settings("command = \"app\"\nmode = \"inherit\"\nnetwork = \"none\"");
    assert_eq!(inherits.network, Network::None);
    assert_eq!(inherits.reload.method, Method::Restart);
    assert_eq!(inherits.program.unwrap().command, ["app"]);
}
