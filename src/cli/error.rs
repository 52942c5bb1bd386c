//! Failures of a verb, and the exit codes.

use std::path::PathBuf;
use std::process::ExitCode;

use miette::Diagnostic;
use thiserror::Error;

use crate::adopt::AdoptError;
use crate::config::ConfigError;
use crate::install::{
    ApplyError, LockError, PlanError, PortsRefusal, ScaleError, TakenError, VerifyError,
    VersionError,
};
use crate::journal::JournalError;
use crate::manager::ManagerError;
use crate::program::ProgramError;
use crate::release::ReleaseError;
use crate::render::RenderError;
use crate::ship::ShipError;
use crate::unit::{AppName, InstanceId};

/// How a verb ends; the numbers are part of the contract with scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// 0: done.
    Done,
    /// 1: failed.
    Failed,
    /// 2: the usage or the configuration is wrong.
    Usage,
    /// 3: not running or unhealthy.
    Unhealthy,
    /// 4: failed, and what was there before serves.
    RolledBack,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unhealthy => 3,
            Exit::RolledBack => 4,
        })
    }
}

/// Why a verb failed.
#[derive(Debug, Error, Diagnostic)]
pub(super) enum Failure {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Adopt(#[from] AdoptError),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Config(#[from] ConfigError),

    #[error("there is no app to work on: no --app, no --config, no ./romuo.toml, and {installed}")]
    #[diagnostic(help("name it with --app NAME, or go to the folder of its romuo.toml"))]
    NoApp { installed: String },

    #[error("{app} is not installed")]
    #[diagnostic(help("{}", unknown_app(near.as_deref(), installed, *is_here)))]
    UnknownApp {
        app: AppName,
        /// The one that may have been meant.
        near: Option<String>,
        /// Those that are, in one line.
        installed: String,
        /// It is that of the folder one is in.
        is_here: bool,
    },

    #[error("{app} has no instance {instance}")]
    #[diagnostic(help("it has {there}; `romuoctl scale` changes how many there are"))]
    UnknownInstance { app: AppName, instance: InstanceId, there: String },

    #[error("this works on one app at a time, and several were named: {named}")]
    #[diagnostic(help("name one of them"))]
    OneApp { named: String },

    #[error("{sentence}")]
    #[diagnostic(help("{help}"))]
    Words { sentence: String, help: &'static str },

    #[error("`{word}` is a verb of PM2, which romuo does in another way")]
    #[diagnostic(help("{way}"))]
    OfPm2 { word: String, way: &'static str },

    #[error(transparent)]
    #[diagnostic(transparent)]
    Manager(#[from] ManagerError),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Program(#[from] ProgramError),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Release(#[from] ReleaseError),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Render(#[from] RenderError),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Version(#[from] VersionError),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Verify(#[from] VerifyError),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Lock(#[from] LockError),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Plan(#[from] PlanError),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Name(#[from] TakenError),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Scale(#[from] ScaleError),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Apply(#[from] ApplyError),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Journal(#[from] JournalError),

    #[error("{sentence}")]
    #[diagnostic(help("`romuoctl logs` shows what the app said"))]
    Instances { sentence: String },

    #[error("{sentence}")]
    #[diagnostic(help(
        "what was not touched is as it was; `romuoctl logs --instance {instance}` shows what it said"
    ))]
    Halted { sentence: String, instance: String },

    #[error("{sentence}")]
    #[diagnostic(help(
        "what was there before serves; `romuoctl releases` lists what came of each"
    ))]
    RolledBack { sentence: String },

    #[error("`romuoctl {verb}` changes the machine, and needs root")]
    #[diagnostic(help("sudo romuoctl {verb}"))]
    NeedsRoot { verb: &'static str },

    #[error("nothing was written: {app} would not start: {why}")]
    #[diagnostic(help("mend that first; `romuoctl install-units --force` installs it as it is"))]
    WouldNotStart { app: AppName, why: String },

    #[error("{app} is not installed, so there is nothing to deploy to")]
    #[diagnostic(help("`romuoctl install-units --now` in the folder of the app installs it"))]
    NotInstalled { app: AppName },

    #[error("{app} is installed from {}, and this is {}", installed.display(), here.display())]
    #[diagnostic(help(
        "`--app {app}` means that one; give this one another `name`, or have it take the place of the other: \
         `romuoctl install-units --force`"
    ))]
    OtherFolder { app: AppName, installed: PathBuf, here: PathBuf },

    #[error("{} is what {} leads to now, and will not be after the next deploy", folder.display(), link.display())]
    #[diagnostic(help("name the link: romuoctl --config {}/romuo.toml install-units", link.display()))]
    Frozen { folder: PathBuf, link: PathBuf },

    #[error("what lies in {} is of another installation of {app}", folder.display())]
    #[diagnostic(help("`romuoctl install-units` puts it aside"))]
    OtherInstallation { app: AppName, folder: PathBuf },

    #[error("{app} is not known to have a romuo.toml anywhere")]
    #[diagnostic(help("go to the folder of its romuo.toml, or name that with --config"))]
    NoHome { app: AppName },

    #[error("{} leads into {}, where releases are kept", folder.display(), store.display())]
    #[diagnostic(help(
        "a deploy begins in the folder that the app lives in; `romuoctl rollback` brings a release back"
    ))]
    IsRelease { folder: PathBuf, store: PathBuf },

    #[error("what is to be shipped is the app {other}, and not {app}")]
    #[diagnostic(help("its romuo.toml has another `name`"))]
    OtherApp { app: AppName, other: AppName },

    #[error("could not read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },

    #[error("{sentence}")]
    #[diagnostic(help(
        "`romuoctl status` shows how it stands; the next deploy clears what is left"
    ))]
    Interrupted { sentence: String, goes_on: bool },

    #[error(transparent)]
    #[diagnostic(transparent)]
    Ship(#[from] ShipError),

    #[error(
        "{app} has {} release {name:?}{}",
        if many.is_empty() { "no" } else { "more than one" },
        if many.is_empty() { String::new() } else { format!(": {}", many.join(", ")) }
    )]
    #[diagnostic(help("`romuoctl releases` lists those that are there"))]
    WhichRelease { app: AppName, name: String, many: Vec<String> },

    #[error("{app} has no release to go back to")]
    #[diagnostic(help("`romuoctl releases` lists those that are there"))]
    NoRelease { app: AppName },

    #[error("{sentence}")]
    #[diagnostic(help("the release serves; what comes after it is to be done by hand"))]
    After { sentence: String },

    #[error("{sentence}")]
    #[diagnostic(help("`romuoctl reload` rolls the rest"))]
    Canceled { sentence: String },

    #[error("the roll of {app} failed without a verdict: {said}")]
    #[diagnostic(help("`journalctl -u {app}.service -n 20` shows what it said"))]
    NoVerdict { app: AppName, said: String },

    #[error(
        "nothing was changed: {app} listens on {open} right now, and a changed `listen` would close that port"
    )]
    #[diagnostic(help("`romuoctl stop` first, then `romuoctl install-units --now`"))]
    OtherPorts { app: AppName, open: String },

    #[error("{app} cannot change its addresses while it runs: {reason}")]
    #[diagnostic(help(
        "nothing was touched; `romuoctl stop`, then the same again, then `romuoctl start` opens them"
    ))]
    NeedsStart { app: AppName, reason: PortsRefusal },

    #[error("{sentence}")]
    #[diagnostic(help("all instances run what is new; the next `romuoctl reload` closes it"))]
    StillOpen { sentence: String },

    #[error(
        "{app} runs releases, and what is in this folder would take their place without a rehearsal"
    )]
    #[diagnostic(help(
        "`romuoctl deploy` ships it; `romuoctl --app {app} install-units` renders the units of what is installed anew; \
         --force goes back to running this folder"
    ))]
    RunsReleases { app: AppName },

    #[error("{app} is being rolled already: {who}")]
    #[diagnostic(help(
        "without --no-wait this one follows it; `romuoctl reload --cancel` ends that one early"
    ))]
    Rolling { app: AppName, who: String },

    #[error("{app} {said}")]
    #[diagnostic(help("without --no-wait this one follows it"))]
    Busy { app: AppName, said: String },

    #[error("{app} was left as it is: none of the instances that would stay serves ({stay})")]
    #[diagnostic(help("`romuoctl start` starts them, `romuoctl status` shows how they are"))]
    NoneStays { app: AppName, stay: String },

    #[error("{sentence}")]
    #[diagnostic(help("what was there before serves on"))]
    LeftAsItWas { sentence: String },

    #[error("{sentence}")]
    #[diagnostic(help("no instance was touched: all run what they ran before"))]
    Unfit { sentence: String },

    #[error("no roll of {app} is under way, so there is none to cancel")]
    #[diagnostic(help("`romuoctl status` shows what the last one came to"))]
    NotRolling { app: AppName },

    #[error("cannot {what} {app}: {source}")]
    #[diagnostic(help("it needs root, for example by sudo, and room on /run"))]
    RollLock { what: &'static str, app: AppName, source: std::io::Error },

    #[error("cannot {what} {app}: {who}, and did not end in an hour")]
    #[diagnostic(help("look at that process, and end it if it hangs; then try again"))]
    StillTaken { what: &'static str, app: AppName, who: String },

    #[error("the instances of {app} cannot be asked: {source}")]
    #[diagnostic(help(
        "it needs root, for example by sudo; `romuoctl status` shows the rest to everyone"
    ))]
    MayNotAsk { app: AppName, source: std::io::Error },

    #[error("no instance of {app} is running, so there is nothing to roll")]
    #[diagnostic(help("`romuoctl start` starts the app"))]
    NothingToRoll { app: AppName },

    #[error("could not write {path}: {source}")]
    #[diagnostic(help("is the disk full, or the folder not writable for you?"))]
    Write { path: PathBuf, source: std::io::Error },

    #[error("`{verb}` works on the running systemd, so it cannot be used with --root")]
    #[diagnostic(help("leave --root away, or run it inside the machine"))]
    NeedsRunning { verb: &'static str },

    #[error("could not start: {0}")]
    Runtime(#[source] std::io::Error),

    #[error("{0}")]
    #[diagnostic(help("this is a defect of romuo; please report it"))]
    Defect(String),
}

impl Failure {
    /// The exit code that belongs to it.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Config(_)
            | Self::Program(_)
            | Self::Render(_)
            | Self::Scale(_)
            | Self::Name(TakenError::Taken(_))
            | Self::NoApp { .. }
            | Self::UnknownApp { .. }
            | Self::UnknownInstance { .. }
            | Self::OneApp { .. }
            | Self::Words { .. }
            | Self::OfPm2 { .. }
            | Self::NotInstalled { .. }
            | Self::NoHome { .. }
            | Self::OtherFolder { .. }
            | Self::Frozen { .. }
            | Self::OtherInstallation { .. }
            | Self::WhichRelease { .. }
            | Self::OtherApp { .. }
            | Self::IsRelease { .. }
            | Self::NoRelease { .. }
            | Self::NeedsStart { .. }
            | Self::RunsReleases { .. }
            | Self::NeedsRunning { .. } => Exit::Usage,
            Self::RolledBack { .. } => Exit::RolledBack,
            _ => Exit::Failed,
        }
    }
}

/// What to do about an app that is not installed.
fn unknown_app(near: Option<&str>, installed: &str, is_here: bool) -> String {
    match near {
        _ if is_here => "`romuoctl install-units --now` installs the app of this folder".into(),
        Some(near) => format!("did you mean `{near}`? Installed: {installed}"),
        None if installed.is_empty() => {
            "no app is installed; `romuoctl init` in the folder of one begins".into()
        }
        None => format!("installed: {installed}"),
    }
}
