//! One process of the app, and all that it has started.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Command;
use tokio::time::Instant;

use super::environment::{self, Place};
use super::processes::Family;
use super::{Launch, env_file, output};
use crate::config::{Mode, Settings};
use crate::release::Contents;
use crate::upstream::Address;

/// The number of SIGKILL (signal(7)).
const KILL: i32 = 9;

/// A running process of the app.
#[derive(Debug)]
pub(super) struct Child {
    launch: Arc<Launch>,
    process: tokio::process::Child,
    pid: Pid,
    family: Family,
    begun: Instant,
    /// It was asked to end, or made to.
    is_ending: bool,
}

impl Child {
    /// Starts the app as it is configured, which is to listen on `address`.
    ///
    /// # Errors
    /// Where it cannot be started; as a sentence.
    pub(super) fn spawn(
        launch: &Arc<Launch>,
        settings: &Settings,
        number: u32,
        address: &Address,
    ) -> Result<Self, String> {
        let none = "cannot be started: its configuration has no program for a front";
        let program = settings.program_in(Mode::Front).ok_or(none)?;
        let (word, arguments) = program.command.split_first().ok_or(none)?;
        let mark = format!("{}-{number}", std::process::id());
        let place = Place { address, env: &settings.env, instance: launch.instance, mark: &mark };
        let file = match &program.env_file {
            None => Vec::new(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    format!("cannot read the env_file {}: {}", path.display(), plain(&error))
                })?;
                env_file::read(&text)
            }
        };
        let variables = environment::environment(std::env::vars_os(), file, program, &place);
        // The folder itself: a link to it, such as that to the current release, may lead elsewhere later on.
        let directory = &settings.directory;
        let folder = directory.canonicalize().unwrap_or_else(|_| directory.clone());
        let (out, err) = output::streams(&launch.identifier);
        let mut command = Command::new(word);
        command
            .args(arguments.iter().map(|word| environment::fill(word, address)))
            .current_dir(&folder)
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            // A signal for the terminal's foreground is for the front: it decides when its app ends.
            .process_group(0);
        let (process, pid) = launch.mains.start(|| {
            let process = command.spawn().map_err(|error| refused(word, directory, &error))?;
            let pid = process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
            let pid = pid.ok_or_else(|| format!("cannot be started: {word} ended as it began"))?;
            Ok::<_, String>(((process, pid), pid))
        })?;
        let family = Family::new(pid, mark, Contents::of(&folder));
        let (launch, begun) = (Arc::clone(launch), Instant::now());
        Ok(Self { launch, process, pid, family, begun, is_ending: false })
    }

    /// It and all that it has started.
    pub(super) fn family(&self) -> Family {
        self.family.clone()
    }

    /// Waits until it has ended; how, as the end of a sentence that begins with "the app".
    pub(super) async fn ended(&mut self) -> String {
        match self.process.wait().await {
            Ok(status) => {
                let how = explain(status, self.begun.elapsed());
                // A daemon: what it left behind would have been the app.
                let has_left = status.success() && !self.is_ending;
                if has_left && !self.family.members().is_empty() {
                    how + ", but left processes behind: it has to stay in the foreground"
                } else {
                    how
                }
            }
            Err(error) => format!("was lost sight of: {error}"),
        }
    }

    /// Asks it to end.
    pub(super) fn terminate(&mut self) {
        self.is_ending = true;
        self.family.remember();
        // It may have ended by itself: then there is nobody to ask.
        let _ = kill_process(self.pid, Signal::TERM);
    }

    /// Ends it and all that it has started, at once.
    pub(super) fn kill(&mut self) {
        self.is_ending = true;
        self.family.remember();
        let _ = kill_process_group(self.pid, Signal::KILL);
        self.launch.mains.alone(self.pid, |alone| self.family.kill(alone));
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.launch.mains.forget(self.pid);
    }
}

/// Why it cannot be started. What the system says does not tell whether the program is missing or the
/// folder in which it is to run.
fn refused(word: &str, directory: &Path, error: &io::Error) -> String {
    if directory.is_dir() {
        format!("cannot be started: {word}: {}", plain(error))
    } else {
        format!("cannot be started: there is no folder {}", directory.display())
    }
}

/// How a process ended.
fn explain(status: ExitStatus, after: Duration) -> String {
    let after = format!("after {:.1} s", after.as_secs_f64());
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code} {after}"),
        // Nobody here did it: that is told otherwise.
        (None, Some(KILL)) => {
            format!("was killed {after}, by SIGKILL: is limits.memory too little for it?")
        }
        (None, Some(signal)) => format!("was killed by signal {signal} {after}"),
        (None, None) => format!("ended {after}"),
    }
}

/// What the system said, without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(text, _)| text).to_owned()
}
