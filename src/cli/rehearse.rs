//! The rehearsal of a release: one candidate of it, beside the instances, which no client finds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};

use super::context::Context;
use super::error::{Exit, Failure};
use super::install::host;
use super::lifecycle::{last_lines_since, network};
use super::output::Printer;
use super::runtime_units;
use super::scaling::Interrupts;
use crate::config::{self, Mode, Settings, format_duration};
use crate::health::{self, Report, Status};
use crate::manager::{ManagerError, ServiceManager as _, Systemd, UnitStatus, Verb};
use crate::release::{CONFIG_FILE, ReleaseId, Store};
use crate::render::{Candidate, Host, RUNTIME_UNITS, candidate};
use crate::unit::{AppName, InstanceId};

/// How much longer than `limits.start_timeout` is waited: the candidate keeps to that by itself, and says why
/// it was not ready in time.
const MARGIN: Duration = Duration::from_secs(5);

/// Pause between two questions, so that a program that ends right after it was well is seen to have ended.
const PAUSE: Duration = Duration::from_millis(100);

/// How long is waited for systemd to be back (`daemon-reexec`), to take away what is left.
const ABSENCE: Duration = Duration::from_secs(10);

/// Pause between two questions to one that is well and has to stay so.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How the last words of a server begin that did not come up.
const LAST_WORDS: &str = "romuo-server: ";

#[derive(Debug, clap::Args)]
pub(super) struct Rehearse {
    /// The release
    #[arg(value_name = "RELEASE")]
    release: ReleaseId,
}

impl Rehearse {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("candidate")?;
        let app = context.app()?;
        let store = Store::new(context.root(), &app);
        let folder = store.path(&self.release);
        let settings = config::load(&folder.join(CONFIG_FILE))?;
        // One at a time: there is one place for a candidate.
        let _lock = store.lock()?;
        let manager = Systemd::connect().await?;
        let host = host(context.root(), Some(&manager)).await?;
        let rehearsed = rehearse(&settings, &folder, Duration::ZERO, &host, &manager).await?;
        let took = rehearsed.took.as_secs_f64();
        printer.say(format!("release {} is fit to serve: ready in {took:.1} s", self.release));
        Ok(Exit::Done)
    }
}

/// A rehearsal that went well.
#[derive(Debug)]
pub(super) struct Rehearsed {
    /// From its start until it was ready.
    pub(super) took: Duration,
}

/// Starts a candidate of the release in a folder, asks it for its health, and takes it away again, whatever
/// comes of it. `settings`: those of the release. `stay`: how long it has to stay well. The caller has the
/// right to deploy.
///
/// # Errors
/// Why the release is not fit to serve, with what it said; where systemd cannot be asked.
pub(super) async fn rehearse(
    settings: &Settings,
    folder: &Path,
    stay: Duration,
    host: &Host,
    manager: &Systemd,
) -> Result<Rehearsed, Failure> {
    let mut interrupts = Interrupts::new()?;
    let stage = Stage::new(settings, &candidate(settings, host, folder)?);
    // What one that was killed left.
    stage.clear(manager).await?;
    let begun = Timestamp::now().as_microsecond();
    let play = async {
        stage.set(manager).await?;
        stage.play(settings, stay, manager).await
    };
    let played = tokio::select! {
        played = play => played,
        () = interrupts.come() => Err(Trouble::Interrupted),
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let played = match played {
        Ok(took) => Ok(Rehearsed { took }),
        Err(Trouble::Failure(failure)) => Err(failure),
        Err(Trouble::Interrupted) => Err(Failure::Unfit {
            sentence: format!("the rehearsal of release {name} was interrupted"),
        }),
        Err(Trouble::Unfit(reason)) => {
            Err(Failure::Unfit { sentence: stage.explain(&name, reason, begun, settings).await })
        }
    };
    let mut cleared = stage.clear(manager).await;
    if let Err(Failure::Manager(ManagerError::Unreachable { .. })) = cleared
        && let Ok(Ok(())) = timeout(ABSENCE, manager.back()).await
    {
        cleared = stage.clear(manager).await;
    }
    // Why it is not fit matters more than what of it is left; the next one finds that.
    let rehearsed = played?;
    cleared?;
    Ok(rehearsed)
}

/// Why a candidate did not come through.
enum Trouble {
    /// For its own fault: the end of a sentence that begins with the release.
    Unfit(String),
    /// Somebody does not want to know any more.
    Interrupted,
    /// Nothing of it is known.
    Failure(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<ManagerError> for Trouble {
    fn from(error: ManagerError) -> Self {
        Self::Failure(error.into())
    }
}

/// The units of a candidate and their files. The files go with it, also where nobody clears it.
struct Stage {
    app: AppName,
    files: Vec<(PathBuf, String)>,
    /// None: the app takes its sockets itself, and has none to be asked on.
    control: Option<PathBuf>,
}

impl Stage {
    fn new(settings: &Settings, candidate: &Candidate) -> Self {
        let file = |unit: &crate::render::UnitFile| {
            (Path::new(RUNTIME_UNITS).join(unit.name.as_str()), unit.text.clone())
        };
        let inherits = settings.program_in(Mode::Inherit).is_some();
        // A candidate has the first place in its own folder.
        let first = InstanceId::first(std::num::NonZeroU16::MIN).next().filter(|_| !inherits);
        Self {
            app: settings.name.clone(),
            files: candidate.files.iter().map(file).collect(),
            control: first.map(|id| health::control_socket(&candidate.runtime, id)),
        }
    }

    /// Makes the units known to systemd.
    async fn set(&self, manager: &Systemd) -> Result<(), Failure> {
        runtime_units::write(&self.files)?;
        Ok(manager.daemon_reload().await?)
    }

    /// Starts the candidate and asks it, for `stay` after it was well; how long it took to get ready.
    async fn play(
        &self,
        settings: &Settings,
        stay: Duration,
        manager: &Systemd,
    ) -> Result<Duration, Trouble> {
        let begun = Instant::now();
        let patience = settings.limits.start_timeout.saturating_add(MARGIN);
        let late = || {
            let within = format_duration(settings.limits.start_timeout);
            Trouble::Unfit(format!("it was not ready within {within}"))
        };
        let unit = self.app.candidate();
        let started = timeout(patience, manager.run(Verb::Start, &unit)).await;
        started.map_err(|_| late())??;
        let first = manager.status(&unit).await?;
        expect_up(&first)?;
        let took = begun.elapsed();
        let mut asking = Asking { stage: self, settings, manager, first, mute: 0 };
        let answers = async {
            let mut good = 0;
            while good < settings.reload.probes {
                sleep(PAUSE).await;
                good += u32::from(asking.is_well().await?);
            }
            Ok::<_, Trouble>(())
        };
        timeout(patience, answers).await.map_err(|_| late())??;
        // What crashes by itself soon after its start is to do so while no client has to do with it.
        let until = Instant::now() + stay;
        // The last word is an answer, not the want of one.
        while Instant::now() < until || asking.mute > 0 {
            sleep(LOOK_EVERY).await;
            asking.is_well().await?;
        }
        Ok(took)
    }

    /// Stops what runs of a candidate and takes its units away.
    async fn clear(&self, manager: &Systemd) -> Result<(), Failure> {
        let pattern = format!("{}.candidate.*", self.app);
        let units = manager.names(&[&pattern]).await?;
        let is_there = !units.is_empty() || self.files.iter().any(|(path, _)| path.exists());
        if !is_there {
            return Ok(());
        }
        // The service first: its end takes the socket along.
        for unit in [self.app.candidate(), self.app.candidate_socket()] {
            match manager.run(Verb::Stop, &unit).await {
                Ok(_) | Err(ManagerError::NoSuchUnit { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        runtime_units::remove(&self.files)?;
        manager.daemon_reload().await?;
        // One that failed stays in the lists until it is forgotten.
        for unit in manager.names(&[&pattern]).await? {
            manager.forget_unit(&unit.name).await?;
        }
        Ok(())
    }

    /// Why the release is not fit, in a sentence; below it what the candidate said since then.
    async fn explain(
        &self,
        release: &str,
        reason: String,
        since: i64,
        settings: &Settings,
    ) -> String {
        let said = last_lines_since(since, &self.app.candidate(), network(settings)).await;
        let words = said.lines.iter().rev().find_map(|line| line.strip_prefix(LAST_WORDS));
        let reason = words.map_or(reason, str::to_owned);
        said.below(format!("release {release} is not fit to serve: {reason}"))
    }
}

/// The questions to a candidate that is up.
struct Asking<'a> {
    stage: &'a Stage,
    settings: &'a Settings,
    manager: &'a Systemd,
    /// As it was when it got ready.
    first: UnitStatus,
    /// How many questions in a row it has not answered.
    mute: u32,
}

impl Asking<'_> {
    /// Asks it how it is, once. False: it did not answer, which may be due to a busy machine, and is forgiven
    /// as often as an instance is in a roll.
    async fn is_well(&mut self) -> Result<bool, Trouble> {
        let mut answered = true;
        if let Some(control) = &self.stage.control {
            match health::probe(control, self.settings.health.timeout).await {
                Ok(report) => {
                    self.mute = 0;
                    judge(&report).map_err(Trouble::Unfit)?;
                }
                Err(error) => {
                    (answered, self.mute) = (false, self.mute + 1);
                    if self.mute >= self.settings.health.failures {
                        return Err(Trouble::Unfit(error.to_string()));
                    }
                }
            }
        }
        let now = self.manager.status(&self.stage.app.candidate()).await?;
        expect_up(&now)?;
        if now.run == self.first.run {
            return Ok(answered);
        }
        Err(Trouble::Unfit("it ended soon after it was ready".into()))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = runtime_units::remove(&self.files);
    }
}

fn expect_up(unit: &UnitStatus) -> Result<(), Trouble> {
    if unit.is_up() { Ok(()) } else { Err(Trouble::Unfit(format!("it {}", unit.why_down()))) }
}

/// Whether an answer is a good one; why it is not.
fn judge(report: &Report) -> Result<(), String> {
    let has_ended = report.app.is_some_and(|app| app.restarts > 0 || app.pid.is_none());
    match report.status {
        Status::Draining => Err("it ends by itself".into()),
        _ if has_ended => Err("its program ended soon after it was well".into()),
        Status::Failing => Err("its program does not answer well any more".into()),
        Status::Ok => Ok(()),
    }
}
