//! The units of a candidate: a release that is rehearsed beside the instances, in the same confinement and
//! with the same limits, and that no client and no instance can find.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::template::{Socket, checked};
use super::text::{BarePath, PathWord, TimeSpan};
use super::{Host, OLDEST_SYSTEMD, RenderError, UnitFile, instance, unit};
use crate::config::{Listen, Settings};
use crate::release::CONFIG_FILE;

/// How long a candidate lives at the most, besides the time for which it is watched: far longer than its
/// health takes to be asked.
const LONGEST: Duration = Duration::from_secs(600);

/// The units of a candidate, for systemd's folder of units that are gone after a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Socket and service.
    pub files: [UnitFile; 2],
    /// The folder of its control socket.
    pub runtime: PathBuf,
}

/// The release that a candidate runs.
pub(super) struct Release {
    /// Its folder.
    pub(super) word: PathWord,
    /// Its configuration.
    pub(super) config: BarePath,
    /// It ends by itself after this.
    pub(super) longest: TimeSpan,
}

/// Renders the units of a candidate that runs the release in a folder. `settings`: those of the release, as
/// they are installed.
///
/// # Errors
/// As [`render`](super::render()).
pub fn candidate(
    settings: &Settings,
    host: &Host,
    folder: &Path,
) -> Result<Candidate, RenderError> {
    if host.systemd < OLDEST_SYSTEMD {
        return Err(RenderError::OldSystemd(host.systemd));
    }
    let app = &settings.name;
    let what = "the folder of the release";
    let release = Release {
        word: checked(what, folder, PathWord::new)?,
        config: checked(what, &folder.join(CONFIG_FILE), BarePath::new)?,
        longest: TimeSpan(settings.deploy.watch.saturating_add(LONGEST)),
    };
    let mut settings = settings.clone();
    // As many as the app expects, each beside the folders of the instances.
    let place = |at| Path::new("/run/romuo").join(format!("{app}.candidate.{at}.sock"));
    let count = settings.listen.len();
    settings.listen = (1..=count).map(|at| Listen::Unix(place(at))).collect();
    Ok(Candidate {
        files: [
            unit(app.candidate_socket(), &Socket::of_candidate(&settings)?)?,
            instance(app.candidate(), &settings, host, Some(&release))?,
        ],
        runtime: Path::new("/run/romuo").join(format!("{app}.candidate")),
    })
}
