//! Asks systemd itself what it thinks of rendered units (systemd-analyze(1), `verify`).

use std::fs;
use std::io::{self, ErrorKind};
use std::num::NonZeroU16;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::layout::below;
use crate::account::tool;
use crate::render::{Host, Units};
use crate::unit::InstanceId;

/// Where the units are found that ours refer to (`multi-user.target`...): what the distribution
/// brings, not what an administrator made of it. The colon-less list replaces the default one
/// (systemd.unit(5), `$SYSTEMD_UNIT_PATH`).
const VENDOR_UNITS: &str =
    "/usr/local/lib/systemd/system:/usr/lib/systemd/system:/lib/systemd/system";

/// Why units are not fit to be installed.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum VerifyError {
    /// A program that the units run is not there.
    #[error("{path} is not there, or no program", path = .0.display())]
    #[diagnostic(help(
        "the units name the running romuoctl and the romuo-server beside it: both have to be there, \
         with --root below it (run the romuoctl that lies there)"
    ))]
    NoProgram(PathBuf),
    /// systemd-analyze is not there.
    #[error("cannot check the units: systemd-analyze is not there")]
    #[diagnostic(help("on Debian and Ubuntu: apt install systemd"))]
    NoAnalyze,
    /// The check could not be made.
    #[error("cannot check the units: {0}")]
    Run(#[from] io::Error),
    /// systemd finds fault with them.
    #[error("systemd does not accept the units:\n{0}")]
    #[diagnostic(help(
        "is systemd older than romuo thinks? please report this with your romuo.toml"
    ))]
    Refused(String),
}

/// Checks rendered units with `systemd-analyze verify`. Any word about them is a fault, whatever
/// its exit code: it says "ignoring" with code 0. Needs neither root nor a running systemd.
///
/// The programs of `host` are looked for below `root`, by this function: systemd-analyze would look
/// for them on the machine that an image is built on.
///
/// # Errors
/// Where systemd finds fault with the units, a program is missing, or the check cannot be made.
pub fn verify(units: &Units, host: &Host, root: &Path) -> Result<(), VerifyError> {
    for program in [&host.server, &host.ctl] {
        let path = below(root, program);
        let runs = |meta: fs::Metadata| meta.is_file() && meta.permissions().mode() & 0o111 != 0;
        if !fs::metadata(&path).is_ok_and(runs) {
            return Err(VerifyError::NoProgram(path));
        }
    }
    let folder = tempfile::tempdir()?;
    for unit in &units.files {
        fs::write(folder.path().join(unit.name.as_str()), &unit.text)?;
    }
    // A template is checked as one of its instances.
    let app = &units.app;
    let instances: Vec<_> = InstanceId::first(NonZeroU16::MIN).map(|id| app.instance(id)).collect();
    for instance in &instances {
        let link = folder.path().join(instance.as_str());
        std::os::unix::fs::symlink(app.template().as_str(), link)?;
    }
    let names = units.files.iter().map(|unit| &unit.name).filter(|name| **name != app.template());
    let output = Command::new(tool("systemd-analyze"))
        .args(["verify", "--man=no", "--recursive-errors=no", "--"])
        .args(names.chain(&instances).map(|name| folder.path().join(name.as_str())))
        .env("SYSTEMD_UNIT_PATH", VENDOR_UNITS)
        .env("SYSTEMD_LOG_LEVEL", "info")
        .env("SYSTEMD_COLORS", "0")
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => VerifyError::NoAnalyze,
            _ => VerifyError::Run(error),
        })?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let (missing, said): (Vec<&str>, Vec<&str>) =
        said.lines().partition(|line| says_program_is_missing(line, host));
    let is_other = |line: &&str| is_about_another_unit(line, folder.path(), units);
    let (others, mut faults): (Vec<&str>, Vec<&str>) = said.into_iter().partition(is_other);
    if faults.is_empty() && missing.is_empty() && !output.status.success() {
        // It failed without a word about our units: then all it said matters.
        faults = others;
        faults.push("systemd-analyze verify failed");
    }
    if !faults.is_empty() {
        let place = format!("{}/", folder.path().display());
        return Err(VerifyError::Refused(faults.join("\n").replace(&place, "")));
    }
    Ok(())
}

/// Is this line of systemd-analyze about a unit that is not ours? They start with the unit's name or
/// the path of its file. What names no unit may be about ours.
fn is_about_another_unit(line: &str, folder: &Path, units: &Units) -> bool {
    let Some((subject, _)) = line.split_once(':') else { return false };
    let path = Path::new(subject);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_unit = [".service", ".socket", ".target", ".mount", ".slice", ".timer", ".path"]
        .iter()
        .any(|suffix| name.ends_with(suffix));
    let ours = units.files.iter().any(|unit| unit.name.as_str() == name)
        || units.app.instance_of(&name).is_some();
    let elsewhere = path.is_absolute() && !path.starts_with(folder);
    is_unit && !subject.contains(' ') && (elsewhere || !ours)
}

/// Does this line say that this machine lacks a program of `host`? That was looked for already,
/// below the root.
fn says_program_is_missing(line: &str, host: &Host) -> bool {
    [&host.server, &host.ctl]
        .into_iter()
        .any(|program| line.contains(&format!("Command {} is not executable: ", program.display())))
}
