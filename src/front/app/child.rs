//! One process of the app, and all that it has started.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Command;
use tokio::time::Instant;

use super::environment::{self, Place};
use super::{Launch, env_file, output, processes};
use crate::upstream::Address;

/// The number of SIGKILL (signal(7)).
const KILL: i32 = 9;

/// A running process of the app.
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::process::Child,
    pid: Pid,
    mark: String,
    begun: Instant,
}

impl Child {
    /// Starts the app, which is to listen on `address`.
    ///
    /// # Errors
    /// Where it cannot be started; as a sentence.
    pub(super) fn spawn(launch: &Launch, number: u32, address: &Address) -> Result<Self, String> {
        let (word, arguments) =
            launch.program.command.split_first().ok_or("there is no command to start")?;
        let mark = format!("{}-{number}", std::process::id());
        let place = Place { address, env: &launch.env, instance: launch.instance, mark: &mark };
        let file = match &launch.program.env_file {
            None => Vec::new(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    format!("cannot read the env_file {}: {error}", path.display())
                })?;
                env_file::read(&text)
            }
        };
        let variables =
            environment::environment(std::env::vars_os(), file, &launch.program, &place);
        let (out, err) = output::streams(&launch.identifier);
        let process = Command::new(word)
            .args(arguments.iter().map(|word| environment::fill(word, address)))
            .current_dir(&launch.directory)
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            // A signal for the terminal's foreground is for the front: it decides when its app ends.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start {word}: {}", plain(&error)))?;
        let pid = process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let pid = pid.ok_or_else(|| format!("{word} ended as it started"))?;
        Ok(Self { process, pid, mark, begun: Instant::now() })
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// It and all that it has started.
    pub(super) fn family(&self) -> Family {
        Family(self.mark.clone())
    }

    /// Waits until it has ended; how, as the end of a sentence that begins with "the app".
    pub(super) async fn ended(&mut self) -> String {
        match self.process.wait().await {
            Ok(status) => explain(status, self.begun.elapsed()),
            Err(error) => format!("was lost sight of: {error}"),
        }
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        // It may have ended by itself: then there is nobody to ask.
        let _ = kill_process(self.pid, Signal::TERM);
    }

    /// Ends it and all that it has started, at once.
    pub(super) fn kill(&self) {
        let _ = kill_process_group(self.pid, Signal::KILL);
        processes::kill(&self.mark);
    }
}

/// The processes of one life of the app.
#[derive(Debug, Clone)]
pub(super) struct Family(String);

impl Family {
    /// Those that run now.
    pub(super) fn members(&self) -> Vec<Pid> {
        processes::marked(&self.0)
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
