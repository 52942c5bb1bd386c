//! `romuoctl import` on the files in `tests/adopt/ecosystems/`: each with what came of it in its
//! folder `expected/`. `UPDATE_GENERATED=1 cargo test --test adopt` makes that anew. And the table in
//! `docs/pm2.md`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test, also outside of #[test]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use romuo::adopt::{self, Fate, Import, Line};

/// Every key of PM2's schema (pm2 7.0.4, `lib/API/schema.json`) and its other names.
const SCHEMA: &str = "script exec name name_prefix filter_env namespace install_url cwd args \
    exec_interpreter interpreter node_args interpreterArgs interpreter_args out_file out output out_log \
    error_file error err err_file err_log log_file log disable_logs log_type log_date_format time env \
    env_production max_memory_restart pid_file pid restart_delay exp_backoff_restart_delay \
    source_map_support disable_source_map_support wait_ready instances kill_timeout \
    shutdown_with_message listen_timeout cron_restart cron merge_logs combine_logs vizion autostart \
    autorestart stop_exit_codes watch_delay watch ignore_watch watch_options min_uptime max_restarts \
    execute_command exec_mode force append_env_to_name post_update trace disable_trace v8 \
    event_loop_inspector deep_monitoring increment_var instance_var pmx automation treekill port \
    username uid user gid windowsHide kill_retry_time write io execMode maxMemoryRestart nodeArgs";

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_updating() -> bool {
    std::env::var_os("UPDATE_GENERATED").is_some()
}

/// The folders with an ecosystem each.
fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(project().join("tests/adopt/ecosystems")).unwrap();
    let mut cases: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 25, "the cases are found");
    cases
}

/// The file of a case that is to be imported.
fn file_of(case: &Path) -> PathBuf {
    let names = ["ecosystem.", "Procfile", "processes.", "app."];
    let files = fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path());
    let is = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        path.is_file() && names.iter().any(|known| name.starts_with(known))
    };
    { files }.find(is).unwrap()
}

fn lines(text: &mut String, lines: &[Line]) {
    for Line { option, value, fate, becomes } in lines {
        let _ = writeln!(text, "{option} = {value}\n  {}: {becomes}", fate.as_str());
    }
}

/// What comes of a case: files by their names.
fn import(case: &Path) -> BTreeMap<String, String> {
    let file = file_of(case);
    let search = std::env::var_os("PATH").unwrap();
    let taken = BTreeMap::new();
    let import = Import { file: &file, output: case, env: None, search: &search, taken: &taken };
    let mut made = BTreeMap::new();
    match adopt::import(&import) {
        Ok(imported) => {
            let mut text = String::new();
            for app in &imported.report.apps {
                let _ =
                    writeln!(text, "{} -> {}\n", app.name, app.file.file_name().unwrap().display());
                lines(&mut text, &app.options);
                for note in &app.notes {
                    let _ = writeln!(text, "- {note}");
                }
                text.push('\n');
            }
            lines(&mut text, &imported.report.others);
            for note in &imported.report.notes {
                let _ = writeln!(text, "- {note}");
            }
            made.insert("report.txt".into(), text.trim_end().to_owned() + "\n");
            for (path, text) in imported.files {
                let parsed = romuo::config::parse(&text, &path);
                parsed.unwrap_or_else(|error| panic!("{}: {error}\n{text}", path.display()));
                made.insert(path.file_name().unwrap().to_str().unwrap().into(), text);
            }
        }
        // What Node says of an error differs between its versions.
        Err(error) => {
            let kind = format!("{error:?}");
            let kind = kind.split([' ', '{', '(']).next().unwrap();
            made.insert("error.txt".into(), format!("{kind}\n"));
        }
    }
    // Where the project lies is nobody's business.
    let ecosystems = case.parent().unwrap().to_str().unwrap();
    made.into_iter().map(|(name, text)| (name, text.replace(ecosystems, "/ECOSYSTEMS"))).collect()
}

fn expected(case: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(case.join("expected")).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
    };
    paths.map(read).collect()
}

#[test]
fn every_ecosystem_becomes_what_is_expected_of_it() {
    // One of them runs into the time limit: nobody has to wait for it.
    let results: Vec<_> = std::thread::scope(|scope| {
        let imports = cases().into_iter().map(|case| {
            let running = scope.spawn({
                let case = case.clone();
                move || import(&case)
            });
            (case, running)
        });
        let running: Vec<_> = imports.collect();
        running.into_iter().map(|(case, running)| (case, running.join().unwrap())).collect()
    });
    for (case, made) in results {
        if is_updating() {
            let folder = case.join("expected");
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            for (name, text) in &made {
                fs::write(folder.join(name), text).unwrap();
            }
        }
        let hint = "drifted: UPDATE_GENERATED=1 cargo test --test adopt";
        let expected = expected(&case);
        assert!(made.keys().eq(expected.keys()), "{}: {:?} {hint}", case.display(), made.keys());
        for (name, text) in &made {
            assert_eq!(text, &expected[name], "{}: {name} {hint}", case.display());
        }
    }
}

#[test]
fn every_option_of_the_schema_is_known_and_every_known_one_has_a_fate() {
    for key in SCHEMA.split_whitespace() {
        assert!(adopt::option(key).is_some(), "{key}");
    }
    let names: Vec<&str> = SCHEMA.split_whitespace().collect();
    for known in adopt::OPTIONS {
        assert!(known.name == "env_*" || names.contains(&known.name), "{}", known.name);
        assert!(known.fate != Fate::Unknown && known.becomes.len() > 5, "{}", known.name);
    }
}

#[test]
fn the_table_of_options_in_the_documents_is_that_of_today() {
    let path = project().join("docs/pm2.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- options -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of options -->").unwrap();
    let table = adopt::table();
    let today = format!("{before}<!-- options -->\n\n{table}\n<!-- end of options -->{after}");
    if is_updating() {
        fs::write(&path, &today).unwrap();
    } else {
        assert!(text == today, "docs/pm2.md drifted: UPDATE_GENERATED=1 cargo test --test adopt");
    }
}

fn romuoctl(folder: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut romuoctl = Command::cargo_bin("romuoctl").unwrap();
    romuoctl.args(arguments).current_dir(folder);
    romuoctl.assert()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

#[test]
fn import_writes_beside_the_file_and_never_over_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = r#"{ apps: [{ name: "a", script: "a.js", watch: true, port: 3100 }] }"#;
    fs::write(folder.path().join("ecosystem.json"), file).unwrap();
    let shown = romuoctl(folder.path(), &["import", "ecosystem.json", "--dry-run"]).success();
    assert!(text(&shown.get_output().stdout).contains("listen = \"127.0.0.1:3100\""));
    assert!(!folder.path().join("romuo.toml").exists());

    let said = romuoctl(folder.path(), &["import", "ecosystem.json"]).success();
    let said = text(&said.get_output().stderr);
    assert!(said.contains("watch") && said.contains("not supported"), "{said}");
    let settings = romuo::config::load(&folder.path().join("romuo.toml")).unwrap();
    assert_eq!(settings.program.unwrap().command, ["node", "a.js"]);

    let refused = romuoctl(folder.path(), &["import", "ecosystem.json"]).code(1);
    assert!(text(&refused.get_output().stderr).contains("--force"));
    romuoctl(folder.path(), &["import", "ecosystem.json", "--force"]).success();

    let json = romuoctl(folder.path(), &["import", "ecosystem.json", "-n", "-o", "json"]).success();
    let report: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    let options = report["apps"][0]["options"].as_array().unwrap();
    let watch = options.iter().find(|line| line["option"] == "watch").unwrap();
    assert_eq!(watch["fate"], "unsupported");

    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2, "nothing else is left there");
}

#[test]
fn several_apps_become_several_files_in_the_folder_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(folder.path().join("Procfile"), "web: node a.js\napi: node b.js --port $PORT\n")
        .unwrap();
    romuoctl(folder.path(), &["import", "Procfile", "--output-dir", "out"]).success();
    let mut names: Vec<_> = fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 2);
    let settings = romuo::config::load(&out.join(&names[0])).unwrap();
    assert_eq!(settings.directory, folder.path());
}

#[test]
fn without_node_javascript_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ecosystem.config.js"), "module.exports = {}").unwrap();
    let mut romuoctl = Command::cargo_bin("romuoctl").unwrap();
    romuoctl.args(["import", "ecosystem.config.js"]).current_dir(folder.path());
    let refused = romuoctl.env("PATH", folder.path()).assert().code(1);
    let said = text(&refused.get_output().stderr);
    assert!(said.contains("there is no node") && said.contains("JSON.stringify"), "{said}");
}

#[test]
fn what_a_file_spreads_of_the_shell_is_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = "module.exports = { script: 'a.js', env: { ...process.env, A: '1', B: process.env.NOT_SET } }";
    fs::write(folder.path().join("ecosystem.config.js"), file).unwrap();
    fs::write(folder.path().join(".env"), "PORT=4100\n").unwrap();
    let said = romuoctl(folder.path(), &["import", "ecosystem.config.js"]).success();
    let said = text(&said.get_output().stderr);
    assert!(said.contains("spreads the environment") && said.contains("PATH"), "{said}");
    assert!(said.contains("asks for NOT_SET, which this shell does not set"), "{said}");
    assert!(!said.contains("the file took"), "{said}");
    assert!(said.contains(".env says PORT = 4100"), "{said}");
    let made = fs::read_to_string(folder.path().join("romuo.toml")).unwrap();
    assert!(
        made.contains("127.0.0.1:4100") && made.contains("[environment]\nA = \"1\"\n\n"),
        "{made}"
    );
}

#[test]
fn init_writes_a_file_that_is_read_and_never_over_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let package = r#"{ "name": "@acme/shop", "scripts": { "start": "node server.js" } }"#;
    fs::write(folder.path().join("package.json"), package).unwrap();
    let server = "app.get('/healthz', ok); app.listen(process.env.PORT || 8080)";
    fs::write(folder.path().join("server.js"), server).unwrap();
    let said = romuoctl(folder.path(), &["init"]).success();
    let said = text(&said.get_output().stderr);
    assert!(said.contains("found") && said.contains("install-units"), "{said}");
    let settings = romuo::config::load(&folder.path().join("romuo.toml")).unwrap();
    assert_eq!(settings.name.as_str(), "shop");
    assert_eq!(settings.health.path, "/healthz");
    assert_eq!(settings.listen[0].to_string(), "127.0.0.1:8080");
    assert_eq!(settings.program.unwrap().command, ["node", "server.js"]);
    let refused = romuoctl(folder.path(), &["init"]).code(1);
    assert!(text(&refused.get_output().stderr).contains("--force"));
    romuoctl(folder.path(), &["init", "--force", "."]).success();
    let empty = tempfile::tempdir().unwrap();
    romuoctl(empty.path(), &["init"]).code(1);
}
