//! The environment of the app. Pure.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use crate::config::Program;
use crate::unit::InstanceId;
use crate::upstream::Address;

/// Variables that speak to `romuo-server` and would mean something else to the app, by how they begin
/// (sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3), systemd.exec(5)).
const OURS: [&str; 9] = [
    "LISTEN_",
    "NOTIFY_SOCKET",
    "WATCHDOG_",
    "CREDENTIALS_DIRECTORY",
    "MEMORY_PRESSURE_",
    "JOURNAL_STREAM",
    "SYSTEMD_EXEC_PID",
    "MANAGERPID",
    "_RJEM_MALLOC_CONF",
];

/// The variable by which the processes of one life of the app are found, also those that have left its
/// process group.
pub(super) const MARK: &str = "ROMUO_LIFE";

/// What the environment depends on besides the configuration.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// Where the app is to listen.
    pub(super) address: &'a Address,
    /// Name of the environment, such as `production`.
    pub(super) env: &'a str,
    pub(super) instance: Option<InstanceId>,
    /// The value of [`MARK`].
    pub(super) mark: &'a str,
}

/// All variables: those of the unit, of the file, of the configuration, and where to listen, each over
/// the ones before.
pub(super) fn environment(
    inherited: impl Iterator<Item = (OsString, OsString)>,
    file: Vec<(String, String)>,
    program: &Program,
    place: &Place<'_>,
) -> BTreeMap<OsString, OsString> {
    let mut all: BTreeMap<OsString, OsString> =
        inherited.filter(|(name, _)| !is_ours(name)).collect();
    let mut set = |name: &str, value: String| all.insert(name.into(), value.into());
    set("NODE_ENV", place.env.to_owned());
    if let Some(id) = place.instance {
        set("ROMUO_INSTANCE", id.to_string());
        // Counted from 0, as PM2 does.
        let number = id.to_string().parse::<u32>().map_or(0, |id| id.saturating_sub(1));
        set("NODE_APP_INSTANCE", number.to_string());
    }
    if let Address::Tcp(address) = place.address {
        set("HOST", address.ip().to_string());
    }
    for (name, value) in file {
        set(&name, value);
    }
    for (name, value) in &program.environment {
        set(name, fill(value, place.address));
    }
    if let Address::Tcp(address) = place.address {
        set("PORT", address.port().to_string());
    }
    set(MARK, place.mark.to_owned());
    all
}

fn is_ours(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| OURS.iter().any(|ours| name.starts_with(ours)))
}

/// Whether the app wants to listen on a unix socket: its configuration names one.
pub(super) fn wants_unix(program: &Program) -> bool {
    program.command.iter().chain(program.environment.values()).any(|text| text.contains("{socket}"))
}

/// A text with `{port}`, `{host}` and `{socket}` filled in, as far as the address has them.
pub(super) fn fill(text: &str, address: &Address) -> String {
    match address {
        Address::Tcp(address) => text
            .replace("{port}", &address.port().to_string())
            .replace("{host}", &address.ip().to_string()),
        Address::Unix(path) => text.replace("{socket}", &path.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mode;

    fn program(environment: &[(&str, &str)]) -> Program {
        Program {
            command: vec!["app".into()],
            mode: Mode::Front,
            environment: environment.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            env_file: None,
            writable: vec![],
            readable: vec![],
        }
    }

    fn made(program: &Program, address: &Address, inherited: &[(&str, &str)]) -> String {
        let inherited = inherited.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let id = "2".parse().unwrap();
        let place = Place { address, env: "production", instance: Some(id), mark: "7-1" };
        let file = ["A", "B"].map(|name| (name.to_owned(), "file".to_owned())).to_vec();
        let all = environment(inherited, file, program, &place);
        let lines = all.iter().map(|(k, v)| format!("{}={}", k.display(), v.display()));
        lines.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_app_learns_where_to_listen_and_nothing_of_the_sockets() {
        let address = Address::Tcp("127.0.0.1:4000".parse().unwrap());
        let program = program(&[("A", "own"), ("URL", "http://{host}:{port}/{x}")]);
        let inherited = [
            ("LISTEN_FDS", "1"),
            ("LISTEN_PID", "1"),
            ("NOTIFY_SOCKET", "/x"),
            ("WATCHDOG_USEC", "1"),
            ("CREDENTIALS_DIRECTORY", "/x"),
            ("A", "unit"),
            ("C", "unit"),
            ("PORT", "1"),
        ];
        assert_eq!(
            made(&program, &address, &inherited),
            "A=own B=file C=unit HOST=127.0.0.1 NODE_APP_INSTANCE=1 NODE_ENV=production PORT=4000 \
             ROMUO_INSTANCE=2 ROMUO_LIFE=7-1 URL=http://127.0.0.1:4000/{x}"
        );
    }

    #[test]
    fn an_app_on_a_unix_socket_gets_no_port() {
        let address = Address::Unix("/run/x.sock".into());
        let program = program(&[("BIND", "unix:{socket}"), ("NODE_ENV", "test")]);
        assert!(wants_unix(&program));
        assert_eq!(
            made(&program, &address, &[]),
            "A=file B=file BIND=unix:/run/x.sock NODE_APP_INSTANCE=1 NODE_ENV=test ROMUO_INSTANCE=2 \
             ROMUO_LIFE=7-1"
        );
    }
}
