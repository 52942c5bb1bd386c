//! What holds for every input.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::config::duration::MAX_MICROS;
use crate::config::{
    Deploy, Front, Health, Instances, Limits, Listen, Method, Mode, Network, OnFailure, Program,
    Reload, Retry, Settings, Share, Size, StaticSite, Threshold, format_duration, parse,
    parse_duration, to_toml,
};

/// Durations that the file can say, from `least` microseconds.
fn durations(least: u64) -> impl Strategy<Value = Duration> {
    prop_oneof![least..5_000_000, least..=MAX_MICROS].prop_map(Duration::from_micros)
}

fn sizes() -> impl Strategy<Value = Size> {
    (1..=u64::MAX, 0_u32..40)
        .prop_map(|(bytes, shift)| (bytes >> shift << shift).max(1))
        .prop_map(|bytes| bytes.to_string().parse().unwrap())
}

fn addresses() -> impl Strategy<Value = Listen> {
    prop_oneof![
        (any::<std::net::Ipv4Addr>(), 1..=u16::MAX).prop_map(|addr| Listen::Tcp(addr.into())),
        (any::<std::net::Ipv6Addr>(), 1..=u16::MAX).prop_map(|addr| Listen::Tcp(addr.into())),
        paths().prop_map(Listen::Unix),
    ]
}

/// Absolute paths, with whatever a path may hold on one line.
fn paths() -> impl Strategy<Value = PathBuf> {
    vec("[a-z ä%$'\"\\\\{}#]{1,8}", 1..4).prop_map(|parts| Path::new("/").join(parts.join("/")))
}

fn instances() -> impl Strategy<Value = Instances> {
    option::of(1..=u16::MAX).prop_map(|count| match count.and_then(NonZeroU16::new) {
        Some(count) => Instances::Count(count),
        None => Instances::Max,
    })
}

prop_compose! {
    fn limits()(
        memory in sizes(),
        recycle in option::of(1..=99_u8),
        max_age in option::of(durations(1)),
        max_restarts in 1..=u32::MAX,
        min_uptime in durations(0),
        restart_delay in durations(0),
        retry_errored in option::of(1_000..=3_600_000_u64),
        start_timeout in durations(1),
        stop_timeout in durations(1),
        hold in durations(0),
        body in sizes(),
    ) -> Limits {
        let memory = memory.max(Size::mib(8));
        Limits {
            memory,
            recycle: recycle.map_or(Threshold::Off, |percent| format!("{percent}%").parse().unwrap()),
            max_age: max_age.map(|age| age.max(min_uptime)),
            max_restarts,
            min_uptime,
            restart_delay,
            retry_errored: retry_errored
                .map_or(Retry::Off, |millis| Retry::After(Duration::from_millis(millis))),
            start_timeout,
            stop_timeout,
            hold,
            body,
        }
    }
}

prop_compose! {
    fn healths()(
        path in "/[a-zA-Z0-9_~-]{0,9}",
        interval in durations(1),
        timeout in durations(1),
        failures in 1..=u32::MAX,
    ) -> Health {
        Health { path, interval, timeout: timeout.min(interval), failures }
    }
}

prop_compose! {
    fn sites()(root in paths(), fallback in option::of("[a-z]{1,8}(/[a-z\"']{1,8}){0,2}")) -> StaticSite {
        StaticSite { root, fallback }
    }
}

prop_compose! {
    fn programs()(
        command in vec("\\PC{1,9}", 1..4),
        inherits in any::<bool>(),
        environment in proptest::collection::btree_map("[A-OQ-Za-z_][A-Z0-9_]{0,9}", "[^\0]{0,12}", 0..4),
        env_file in option::of(paths()),
        (writable, readable) in (vec(paths(), 0..3), vec(paths(), 0..3)),
    ) -> Program {
        let mode = if inherits { Mode::Inherit } else { Mode::Front };
        Program { command, mode, environment, env_file, writable, readable }
    }
}

/// What a shell may be told, on one line or several.
fn lines() -> impl Strategy<Value = Vec<String>> {
    vec("[a-z'\"\\\\$\n #]{0,9}[a-z]", 0..3)
}

prop_compose! {
    fn deploys()(
        build in lines(),
        keep in 2..=u32::MAX,
        (before, after, on_failure) in (lines(), lines(), lines()),
        (timeout, watch) in (durations(1), durations(0)),
    ) -> Deploy {
        let keep = keep.try_into().unwrap();
        Deploy { build, keep, before, after, on_failure, timeout, watch }
    }
}

prop_compose! {
    fn settings()(
        (name, user) in ("[a-z][a-z0-9_-]{0,30}", option::of("[a-zA-Z_][a-zA-Z0-9_-]{0,30}")),
        directory in paths(),
        listen in vec(addresses(), 1..4),
        instances in instances(),
        (env, version) in ("\\PC{1,9}", option::of("\\PC{1,9}")),
        host in any::<bool>(),
        limits in limits(),
        health in healths(),
        (linger, watch) in (durations(0), durations(0)),
        (count, percent, surge) in (1..=u16::MAX, option::of(1..=100_u8), any::<u16>()),
        (continues, probes) in (any::<bool>(), 1..=u32::MAX),
        (site, program) in (option::of(sites()), option::of(programs())),
        swaps in any::<bool>(),
        (proxies, tunnel_idle, deploy) in (vec(any::<(IpAddr, u8)>(), 0..3), durations(1), deploys()),
    ) -> Settings {
        let mut distinct: Vec<Listen> = Vec::new();
        for address in listen {
            if !distinct.iter().any(|other| other.collides(&address)) {
                distinct.push(address);
            }
        }
        let is_front = program.as_ref().is_some_and(|program| program.mode == Mode::Front);
        let method = if swaps && is_front { Method::Swap } else { Method::Restart };
        let reload = Reload {
            method,
            max_unavailable: percent.map_or(Share::Count(count), Share::Percent),
            surge,
            on_failure: if continues { OnFailure::Continue } else { OnFailure::Halt },
            probes,
            watch,
            linger: linger.min(limits.stop_timeout),
        };
        let proxies = proxies.into_iter().map(|(address, prefix)| {
            let most = if address.is_ipv4() { 32 } else { 128 };
            format!("{address}/{}", prefix.min(most)).parse().unwrap()
        });
        Settings {
            name: name.parse().unwrap(),
            directory,
            user: user.map(|user| user.parse().unwrap()),
            listen: distinct,
            instances,
            env,
            network: if host { Network::Host } else { Network::None },
            version,
            limits,
            health,
            reload,
            deploy,
            site: site.filter(|_| program.is_none()),
            front: Front { trusted_proxies: proxies.collect(), tunnel_idle },
            program,
        }
    }
}

/// Text that is nearly a configuration: lines of it, mixed and cut.
fn nearly() -> impl Strategy<Value = String> {
    let key = prop_oneof!["[a-z_.]{0,12}", proptest::sample::select(KEYS).prop_map(String::from)];
    let value = prop_oneof![
        "\"[ -~]{0,12}\"",
        "\"[0-9]{0,22} ?[a-zA-Zµ]{0,4}\"",
        "\"[0-9a-f.:/%@\\[\\]]{0,20}\"",
        "-?[0-9_.xe]{1,22}",
        "\\[(\"[0-9.:]{0,9}\", ?){0,3}\\]",
        "\\{[a-z]{0,6} = [0-9]{0,3}\\}",
        "\\PC{0,9}",
    ];
    let line = prop_oneof![
        9 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        1 => "\\[{1,2}[a-z.]{0,9}\\]{1,2}",
        1 => proptest::sample::select(TABLES).prop_map(String::from),
    ];
    vec(line, 0..6).prop_map(|lines| lines.join("\n"))
}

const KEYS: &[&str] = &[
    "name",
    "listen",
    "instances",
    "env",
    "directory",
    "memory",
    "limits.memory",
    "path",
    "health.interval",
    "limits.stop_timeout",
    "reload.linger",
    "reload.max_unavailable",
    "reload.surge",
    "static.root",
    "static.fallback",
];
const TABLES: &[&str] = &["[limits]", "[health]", "[reload]", "[static]"];

proptest! {
    #[test]
    fn the_installed_file_brings_the_same_settings(settings in settings()) {
        let text = to_toml(&settings);
        let read = parse(&text, Path::new("/etc/romuo/shop.toml"));
        prop_assert_eq!(read.map_err(|error| format!("{error}\n{text}")), Ok(settings));
    }

    #[test]
    fn a_written_duration_is_read_as_itself(duration in durations(0)) {
        prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }

    #[test]
    fn a_written_size_is_read_as_itself(size in sizes()) {
        prop_assert_eq!(size.to_string().parse(), Ok(size));
    }

    #[test]
    fn a_written_address_is_read_as_itself(address in addresses()) {
        prop_assert_eq!(address.to_string().parse(), Ok(address));
    }

    #[test]
    fn no_value_makes_a_reader_panic(text in "\\PC{0,40}|[0-9]{1,30} ?[a-zA-Zµ.]{0,9}|[0-9a-f.:/%@]{0,40}") {
        let _ = parse_duration(&text);
        let _ = text.parse::<Size>();
        let _ = text.parse::<Listen>();
        let _ = text.parse::<Instances>();
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in prop_oneof![any::<String>(), nearly()]) {
        if let Err(error) = parse(&text, Path::new("/romuo.toml")) {
            for problem in error.problems() {
                prop_assert!(problem.line() >= 1 && problem.column() >= 1);
                prop_assert!(problem.line() <= text.lines().count().max(1) + 1);
            }
            // The renderer walks the source by the places of the labels.
            let rendered = format!("{:?}", miette::Report::new(error));
            prop_assert!(!rendered.is_empty());
        }
    }
}
