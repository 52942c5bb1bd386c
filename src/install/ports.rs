//! Which addresses open and which close, where an app that runs is to listen on others.
//!
//! An address that comes is opened before the roll and one that goes is closed after it. What cannot be done
//! that way is refused beforehand. Which addresses are open stands in the socket units that are installed:
//! those of `NAME.socket`, and those of `NAME.moreN.socket`, whose files go when they close.

use std::collections::BTreeMap;
use std::path::Path;

use super::found::{Found, ReadError, names};
use super::layout::unit_path;
use crate::config::{Listen, Mode, Settings};
use crate::render::{RUNTIME_UNITS, ipv6_only};
use crate::unit::AppName;

/// The addresses of an app's socket units.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ports {
    /// Those of `NAME.socket`: all that the app has at its next start.
    pub main: Vec<Listen>,
    /// Those that came while it ran, by the number of their unit.
    pub more: BTreeMap<u16, Vec<Listen>>,
}

impl Ports {
    /// Reads the files of the units below a root. What romuo has not written, a drop-in, is not among them.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub fn read(root: &Path, app: &AppName) -> Result<Self, ReadError> {
        let folder = Path::new(RUNTIME_UNITS);
        let main = listed(root, &unit_path(&app.socket()))?;
        let mut more = BTreeMap::new();
        for number in names(root, folder)?.iter().filter_map(|name| app.more_of(name)) {
            let path = folder.join(app.more_socket(number).as_str());
            more.insert(number, listed(root, &path)?);
        }
        Ok(Self { main, more })
    }

    /// All of them, each once.
    #[must_use]
    pub fn all(&self) -> Vec<Listen> {
        let mut all = self.main.clone();
        let more = self.more.values().flatten();
        all.extend(more.filter(|address| !self.main.contains(address)).cloned());
        all
    }

    /// A number that no unit has.
    #[must_use]
    pub fn free(&self) -> u16 {
        (1..=u16::MAX).find(|number| !self.more.contains_key(number)).unwrap_or(u16::MAX)
    }

    /// What is to open and to close for the app to listen on these.
    #[must_use]
    pub fn change(&self, wanted: &[Listen]) -> PortChange {
        let open = self.all();
        let opens = wanted.iter().filter(|address| !open.contains(address)).cloned().collect();
        let closes = open.into_iter().filter(|address| !wanted.contains(address)).collect();
        PortChange { opens, closes }
    }

    /// The same, of an app that runs and of which nothing is under way.
    ///
    /// # Errors
    /// Where only a new start of the app can do it.
    pub fn change_of(&self, settings: &Settings) -> Result<PortChange, PortsRefusal> {
        let (open, wanted) = (self.all(), &settings.listen);
        let change = self.change(wanted);
        if change.is_nothing() {
            return Ok(change);
        }
        if settings.program_in(Mode::Inherit).is_some() {
            return Err(PortsRefusal::ByOrder);
        }
        let mut stays = open.iter().filter(|address| wanted.contains(address));
        let (before, after) = (ipv6_only(&open), ipv6_only(wanted));
        if let Some(address) = stays.find(|it| is_any_v6(it) && before != after) {
            return Err(PortsRefusal::Wildcard { address: address.clone() });
        }
        for new in &change.opens {
            let taken = |old: &&Listen| {
                new.collides(old) || takes(new, after, old) || takes(old, before, new)
            };
            if let Some(old) = open.iter().find(taken) {
                return Err(PortsRefusal::Overlap { new: new.clone(), old: old.clone() });
            }
        }
        Ok(change)
    }
}

/// What becomes of the addresses of an app that runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortChange {
    /// Those that open before the roll.
    pub opens: Vec<Listen>,
    /// Those that close after it.
    pub closes: Vec<Listen>,
}

impl PortChange {
    /// All stay as they are.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.opens.is_empty() && self.closes.is_empty()
    }
}

/// Why the addresses of an app cannot change while it runs. Completes the sentence "x cannot change its
/// addresses while it runs: ...".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortsRefusal {
    /// The app would be handed the old and the new ones in no certain order.
    #[error("it takes the sockets itself, by their order")]
    ByOrder,
    /// A new one cannot be opened beside an old one.
    #[error("{new} cannot open while {old} is open")]
    Overlap {
        /// The new one.
        new: Listen,
        /// The old one.
        old: Listen,
    },
    /// Whether it takes IPv4 too is settled when it opens.
    #[error("{address} would take IPv4 differently, which is settled when it opens")]
    Wildcard {
        /// The address.
        address: Listen,
    },
}

/// All addresses of IPv6.
fn is_any_v6(address: &Listen) -> bool {
    matches!(address, Listen::Tcp(it) if it.is_ipv6() && it.ip().is_unspecified())
}

/// Whether `wildcard` takes the port of `other` in IPv4 too. `only`: its `BindIPv6Only=`.
fn takes(wildcard: &Listen, only: Option<&str>, other: &Listen) -> bool {
    let (Listen::Tcp(any), Listen::Tcp(four)) = (wildcard, other) else { return false };
    is_any_v6(wildcard) && only == Some("both") && four.is_ipv4() && any.port() == four.port()
}

/// The addresses in the file of a socket unit; none where there is no such file.
fn listed(root: &Path, path: &Path) -> Result<Vec<Listen>, ReadError> {
    let Found::File { bytes, .. } = Found::at(root, path)? else { return Ok(Vec::new()) };
    let text = String::from_utf8_lossy(&bytes);
    let values = text.lines().filter_map(|line| line.strip_prefix("ListenStream="));
    Ok(values.filter_map(|value| value.replace("%%", "%").parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Program;

    fn addresses(list: &[&str]) -> Vec<Listen> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    fn settings(listen: &[&str]) -> Settings {
        let mut settings = Settings::new(AppName::default(), "/srv".into());
        settings.listen = addresses(listen);
        settings
    }

    fn change(open: &[&str], wanted: &[&str]) -> Result<PortChange, PortsRefusal> {
        let ports = Ports { main: addresses(open), more: BTreeMap::new() };
        ports.change_of(&settings(wanted))
    }

    #[test]
    fn what_comes_opens_and_what_goes_closes() {
        for (open, wanted, opens, closes) in [
            (&["127.0.0.1:1"][..], &["127.0.0.1:1"][..], &[][..], &[][..]),
            (&["127.0.0.1:1"], &["127.0.0.1:1", "/run/x"], &["/run/x"], &[]),
            (&["127.0.0.1:1", "/run/x"], &["/run/x"], &[], &["127.0.0.1:1"]),
            (&["127.0.0.1:1"], &["127.0.0.1:2"], &["127.0.0.1:2"], &["127.0.0.1:1"]),
            (&["0.0.0.0:1"], &["0.0.0.0:1", "[::]:1"], &["[::]:1"], &[]),
            (&["[::]:1"], &["[::]:1", "[::]:2"], &["[::]:2"], &[]),
            (&["127.0.0.1:1"], &["[::1]:1"], &["[::1]:1"], &["127.0.0.1:1"]),
        ] {
            let (opens, closes) = (addresses(opens), addresses(closes));
            let wished = Ok(PortChange { opens, closes });
            assert_eq!(change(open, wanted), wished, "{open:?} {wanted:?}");
        }
    }

    #[test]
    fn what_cannot_be_open_side_by_side_is_refused() {
        for (open, wanted) in [
            ("127.0.0.1:1", "0.0.0.0:1"),
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::1]:1", "[::]:1"),
            // It takes IPv4 too.
            ("127.0.0.1:1", "[::]:1"),
            ("[::]:1", "127.0.0.1:1"),
        ] {
            let refusal = change(&[open], &[wanted]).unwrap_err();
            assert_eq!(refusal.to_string(), format!("{wanted} cannot open while {open} is open"));
        }
        let refusal = change(&["[::]:1"], &["[::]:1", "127.0.0.1:2"]).unwrap_err();
        assert_eq!(refusal, PortsRefusal::Wildcard { address: "[::]:1".parse().unwrap() });
    }

    #[test]
    fn an_app_that_takes_the_sockets_itself_keeps_its_addresses() {
        let mut settings = settings(&["127.0.0.1:2"]);
        settings.program = Some(Program {
            command: vec!["node".into()],
            mode: Mode::Inherit,
            environment: BTreeMap::new(),
            env_file: None,
            writable: Vec::new(),
            readable: Vec::new(),
        });
        let open = |open| Ports { main: addresses(open), more: BTreeMap::new() };
        assert_eq!(open(&["127.0.0.1:1"]).change_of(&settings), Err(PortsRefusal::ByOrder));
        assert!(open(&["127.0.0.1:2"]).change_of(&settings).unwrap().is_nothing());
    }

    #[test]
    fn the_units_say_which_are_open() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let app = AppName::default();
        assert_eq!(Ports::read(root.path(), &app).unwrap(), Ports::default());
        let text =
            "[Socket]\nListenStream=127.0.0.1:1\nListenStream=/run/100%% x\n# ListenStream=5\n";
        write("etc/systemd/system/romuo.socket", text);
        write("run/systemd/system/romuo.more2.socket", "ListenStream=/run/100%% x\n");
        write("run/systemd/system/romuo.more2.service", "");
        write("run/systemd/system/shop.more1.socket", "ListenStream=127.0.0.1:9\n");
        let ports = Ports::read(root.path(), &app).unwrap();
        assert_eq!(ports.main, addresses(&["127.0.0.1:1", "/run/100% x"]));
        assert_eq!(ports.more, [(2, addresses(&["/run/100% x"]))].into());
        assert_eq!((ports.all(), ports.free()), (ports.main.clone(), 1));
    }
}
