use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::text::{BarePath, PathWord, TimeSpan};
use super::*;
use crate::config::{Listen, Mode, Network, Program, Retry, StaticSite};

fn host() -> Host {
    Host { server: "/usr/bin/romuo-server".into(), ctl: "/usr/bin/romuoctl".into(), systemd: 252 }
}

fn settings() -> Settings {
    Settings::new(AppName::default(), "/var/www/romuo".into())
}

/// The directives of a unit's text as systemd reads them: lines, continued by a backslash, without
/// comments and white space at the ends (systemd.syntax(7)).
fn directives(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut line = String::new();
    for part in text.split(['\n', '\r', '\0']) {
        if line.is_empty() && part.trim_start().starts_with(['#', ';']) {
            continue;
        }
        line.push_str(part);
        if line.ends_with('\\') {
            line.pop();
            line.push(' ');
            continue;
        }
        let whole = std::mem::take(&mut line);
        let (key, value) = whole.split_once('=').unwrap_or((&whole, ""));
        if !key.trim().is_empty() {
            found.push((key.trim().into(), value.trim_matches([' ', '\t']).into()));
        }
    }
    found
}

fn keys(units: &Units) -> Vec<Vec<String>> {
    let keys = |unit: &UnitFile| directives(&unit.text).into_iter().map(|(key, _)| key).collect();
    units.files.iter().map(keys).collect()
}

fn values<'a>(found: &'a [(String, String)], key: &str) -> Vec<&'a str> {
    found.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect()
}

/// Expands `%%`; any other specifier would be one that a value brought in.
fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '%' {
            assert_eq!(chars.next(), Some('%'), "a specifier in {text:?}");
        }
    }
    out
}

/// The first word of `text` with its quotes removed and its escapes read, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('\\', _) => word.extend(chars.next().map(|(_, c)| c)),
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            (' ' | ':', None) => return (word, &text[at..]),
            (c, _) => word.push(c),
        }
    }
    assert_eq!(quote, None, "an open quote in {text:?}");
    (word, "")
}

#[test]
fn how_a_deploy_goes_does_not_matter_to_the_units() {
    let mut other = settings();
    other.deploy.build = vec!["npm ci".into()];
    other.deploy.keep = 9.try_into().unwrap();
    other.deploy.timeout = Duration::from_secs(1);
    let text = |settings: &Settings| {
        let files = render(settings, &host()).unwrap().files;
        files.into_iter().map(|file| file.text).collect::<Vec<_>>()
    };
    assert_eq!(text(&other), text(&settings()));
}

#[test]
fn a_value_with_a_line_end_is_refused_by_name() {
    let mut settings = settings();
    settings.directory = "/srv\nExecStartPre=/bin/evil".into();
    let error = render(&settings, &host()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`directory` \"/srv\\nExecStartPre=/bin/evil\" cannot be written to a unit file: \
         it holds a control character"
    );
}

#[test]
fn what_a_bare_value_cannot_express_is_refused() {
    let refused = |path: &str| BarePath::new(Path::new(path)).unwrap_err();
    assert_eq!(refused("/a "), TextError::TrailingSpace);
    assert_eq!(refused("/a\\"), TextError::TrailingBackslash);
    assert_eq!(refused("a"), TextError::NotAbsolute);
    assert_eq!(refused("/a\0"), TextError::Control);
    assert_eq!(refused("/a\u{ffff}"), TextError::Noncharacter);
    assert_eq!(PathWord::new(Path::new("/\u{fdd0}")).unwrap_err(), TextError::Noncharacter);
    // As a word it can be quoted.
    assert!(PathWord::new(Path::new("/a ")).is_ok());
    assert!(PathWord::new(Path::new("/a\\")).is_ok());
}

#[test]
fn a_path_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(b"/a\xff"));
    assert_eq!(PathWord::new(path).unwrap_err(), TextError::NotUtf8);
}

#[test]
fn an_old_systemd_is_refused() {
    let error = render(&settings(), &Host { systemd: 249, ..host() }).unwrap_err();
    assert!(matches!(error, RenderError::OldSystemd(249)));
}

#[test]
fn a_newer_systemd_gets_the_same_directives_with_stricter_values() {
    let old = render(&settings(), &host()).unwrap();
    let new = render(&settings(), &Host { systemd: 257, ..host() }).unwrap();
    assert_eq!(keys(&old), keys(&new));
    assert_ne!(old, new);
}

#[test]
fn time_spans_are_exact_or_longer() {
    let text = |duration| TimeSpan(duration).to_string();
    assert_eq!(text(Duration::from_secs(90)), "90s");
    assert_eq!(text(Duration::from_millis(1500)), "1500ms");
    assert_eq!(text(Duration::from_micros(7)), "7us");
    assert_eq!(text(Duration::from_nanos(1)), "1us");
    assert_eq!(text(Duration::ZERO), "0s");
    assert_eq!(text(Duration::MAX), "infinity");
}

#[test]
fn with_little_memory_none_is_kept_at_hand() {
    for (memory, is_little) in [("8M", true), ("32M", true), ("33M", false), ("300M", false)] {
        let mut settings = settings();
        settings.limits.memory = memory.parse().unwrap();
        let units = render(&settings, &host()).unwrap();
        let instance = units.files.iter().find(|unit| unit.name == settings.name.template());
        let has_it = instance.unwrap().text.contains("\nEnvironment=_RJEM_MALLOC_CONF=");
        assert_eq!(has_it, is_little, "{memory}");
    }
}

#[test]
fn systemd_waits_longer_for_the_end_than_the_server_does() {
    let mut settings = settings();
    settings.limits.stop_timeout = Duration::from_secs(60);
    let units = render(&settings, &host()).unwrap();
    let instance = directives(&units.files[2].text);
    assert_eq!(values(&instance, "TimeoutStopSec"), ["65s"]);
}

#[test]
fn of_all_homes_an_instance_sees_only_what_it_serves() {
    let home = |directory: &str, root: &str| {
        let mut settings = settings();
        settings.directory = directory.into();
        settings.site = Some(StaticSite { root: root.into(), fallback: None });
        let units = render(&settings, &host()).unwrap();
        let found = directives(&units.files[2].text);
        let texts = |key| values(&found, key).into_iter().map(str::to_owned).collect::<Vec<_>>();
        (texts("ProtectHome").remove(0), texts("BindReadOnlyPaths"))
    };
    assert_eq!(home("/srv/a", "/srv/a/dist"), ("yes".into(), vec![]));
    assert_eq!(home("/home/a/b", "/home/a/b/dist"), ("tmpfs".into(), vec!["/home/a/b".into()]));
    assert_eq!(home("/home/a", "/home/a"), ("tmpfs".into(), vec!["/home/a".into()]));
    assert_eq!(
        home("/home/a", "/root/my site"),
        ("tmpfs".into(), vec!["/home/a".into(), "\"/root/my site\"".into()])
    );
    assert_eq!(home("/srv", "/run/user/1000/x"), ("tmpfs".into(), vec!["/run/user/1000/x".into()]));
    assert_eq!(home("/root", "/home/a"), ("read-only".into(), vec![]));
    assert_eq!(home("/homes/a", "/rooted"), ("yes".into(), vec![]));
}

#[test]
fn programs_below_a_home_can_be_run() {
    let host = Host { server: "/root/bin/s".into(), ctl: "/root/bin/c".into(), systemd: 252 };
    let units = render(&settings(), &host).unwrap();
    let binds = |unit: &UnitFile| values(&directives(&unit.text), "BindReadOnlyPaths").concat();
    assert_eq!(binds(&units.files[2]), "/root/bin/s");
    // The roll runs the one, and looks whether the other is new.
    assert_eq!(binds(&units.files[3]), "/root/bin/c/root/bin/s");
}

#[test]
fn ipv6_takes_ipv4_too_unless_that_has_a_listener_of_its_own() {
    let only = |listen: &[&str]| {
        let mut settings = settings();
        settings.listen = listen.iter().map(|text| text.parse().unwrap()).collect();
        let units = render(&settings, &host()).unwrap();
        let found = directives(&units.files[0].text);
        values(&found, "BindIPv6Only").first().map(|&value| value.to_owned())
    };
    assert_eq!(only(&["127.0.0.1:80", "[::1]:80"]), None);
    assert_eq!(only(&["[::]:80"]).as_deref(), Some("both"));
    assert_eq!(only(&["[::]:80", "0.0.0.0:80"]).as_deref(), Some("ipv6-only"));
}

#[test]
fn an_instance_is_stood_in_for_only_where_it_is_tried_again() {
    let of = |mode: Option<Mode>, retry| {
        let mut settings = settings();
        settings.limits.retry_errored = retry;
        settings.program = mode.map(|mode| Program {
            command: vec!["/usr/bin/node".into(), "server.js".into()],
            mode,
            environment: BTreeMap::new(),
            env_file: None,
            writable: Vec::new(),
            readable: Vec::new(),
        });
        let units = render(&settings, &host()).unwrap();
        let found = directives(&units.files[2].text);
        let one = |key| values(&found, key).first().map(|&value| value.to_owned());
        [one("ExecCondition"), one("ExecStart"), one("NotifyAccess")].map(Option::unwrap_or_default)
    };
    let server = "/usr/bin/romuo-server";
    let before = format!("{server} guard before %i --max-restarts 10");
    let serve = format!("{server} --config %d/romuo.toml --instance %i");
    let (after, off) = (Retry::After(Duration::from_secs(90)), Retry::Off);
    for mode in [None, Some(Mode::Front)] {
        let retried = [format!("{before} --retry-errored 90s"), serve.clone(), "main".into()];
        assert_eq!(of(mode, after), retried);
        assert_eq!(of(mode, off), [before.clone(), serve.clone(), "main".into()]);
    }
    let exec = format!(":{server} guard exec %i -- /usr/bin/node server.js");
    let retried = [format!("{before} --retry-errored 90s"), exec, "main".into()];
    assert_eq!(of(Some(Mode::Inherit), after), retried);
    let down = [before, ":/usr/bin/node server.js".into(), String::new()];
    assert_eq!(of(Some(Mode::Inherit), off), down);
}

/// Paths with all that means something in a unit file, more often than by chance.
fn any_path() -> impl Strategy<Value = PathBuf> {
    let part = prop_oneof![
        20 => any::<String>(),
        40 => "[ \\\\\"'%$:;#=~@!+a-z-]{0,12}",
        10 => Just("%i".to_owned()),
        10 => Just("${HOME}".to_owned()),
        10 => Just("\\".to_owned()),
        1 => Just("\n[Service]\nExecStart=/bin/sh".to_owned()),
        1 => Just("\r\0\u{85}\u{2028}".to_owned()),
    ];
    let lead = prop_oneof![30 => Just("/"), 10 => Just("/home/"), 1 => Just("")];
    (lead, proptest::collection::vec(part, 0..4))
        .prop_map(|(lead, parts)| PathBuf::from(format!("{lead}{}", parts.concat())))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_value_adds_a_directive_or_changes_another_one(
        server in any_path(), ctl in any_path(), directory in any_path(), root in any_path(),
        unix in any_path(), host_network in any::<bool>(), systemd in 252u32..270,
    ) {
        let mut given = settings();
        given.directory = directory.clone();
        given.site = Some(StaticSite { root: root.clone(), fallback: None });
        given.listen = vec![Listen::Unix(unix.clone())];
        given.network = if host_network { Network::Host } else { Network::None };
        let host = Host { server: server.clone(), ctl: ctl.clone(), systemd };
        let Ok(units) = render(&given, &host) else { return Ok(()) };

        // The same settings with harmless values below the same folders: the same directives.
        let plain = |path: &Path| -> PathBuf {
            if path.starts_with("/home") && path != Path::new("/home") { "/home/x" } else { "/x" }.into()
        };
        let [socket, _, instance, roll, _] = &units.files;
        let found = directives(&instance.text);
        let binds = values(&found, "BindReadOnlyPaths");
        let mut harmless = given.clone();
        harmless.listen = vec![Listen::Unix("/x".into())];
        harmless.directory = plain(&directory);
        harmless.site = None;
        let calm = render(&harmless, &Host { server: "/s".into(), ctl: "/c".into(), systemd }).unwrap();
        let without_binds = |units: &Units| {
            let keys = keys(units).concat().into_iter();
            keys.filter(|key| key != "BindReadOnlyPaths").collect::<Vec<_>>()
        };
        prop_assert_eq!(without_binds(&units), without_binds(&calm));

        // And systemd reads back each value as it was given.
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        prop_assert_eq!(expand(values(&found, "WorkingDirectory")[0]), text(&directory));
        prop_assert_eq!(expand(values(&directives(&socket.text), "ListenStream")[0]), text(&unix));
        for (key, rest) in [
            ("ExecCondition", " guard before %i --max-restarts 10 --retry-errored 60s"),
            ("ExecStart", " --config %d/romuo.toml --instance %i"),
            ("ExecStopPost", " guard after %i --min-uptime 10s"),
        ] {
            let (word, after) = unquote(values(&found, key)[0]);
            prop_assert_eq!(expand(&word), text(&server));
            prop_assert_eq!(after, rest);
        }
        let roll = directives(&roll.text);
        let (word, after) = unquote(values(&roll, "ExecReload")[0]);
        prop_assert_eq!(expand(&word), text(&ctl));
        prop_assert_eq!(after, " roll --app romuo");
        for bind in binds {
            let (word, after) = unquote(bind);
            prop_assert_eq!(after, "", "one path and no more");
            let word = PathBuf::from(expand(&word));
            prop_assert!([&directory, &root, &server].contains(&&word), "{:?}", word);
        }
        // What is not a path is what the template says.
        let calm = directives(&calm.files[2].text);
        for (key, value) in found.iter().filter(|(key, _)| {
            !key.starts_with("Exec") && key != "WorkingDirectory" && key != "BindReadOnlyPaths"
        }) {
            prop_assert!(key == "ProtectHome" || values(&calm, key).contains(&value.as_str()));
        }
    }

    #[test]
    fn the_escaper_lets_no_control_character_through(text in any::<String>()) {
        use askama::filters::Escaper;
        let mut out = String::new();
        match escape::UnitFile.write_escaped_str(&mut out, &text) {
            Ok(()) => prop_assert_eq!(expand(&out), text),
            Err(_) => prop_assert!(text.contains(char::is_control)),
        }
    }
}
