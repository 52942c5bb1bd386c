//! Runs the lines of `[deploy]`.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

use super::error::ShipError;
use super::leftover::{MARK, Mark};
use super::log::Log;
use super::process::{Process, REST};
use crate::account::Owner;
use crate::config::format_duration;
use crate::release::{Commit, ReleaseId, Source, Verdict};
use crate::unit::AppName;

/// How much is read at a time, in bytes: a pipe holds no more.
const CHUNK: usize = 64 * 1024;

/// What the lines of `[deploy]` find in their environment. What is not known is empty there.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `ROMUO_APP`.
    pub app: AppName,
    /// `ROMUO_RELEASE`: the one that is made.
    pub release: Option<ReleaseId>,
    /// `ROMUO_PREVIOUS`: the one that is current until then.
    pub previous: Option<ReleaseId>,
    /// `ROMUO_COMMIT`.
    pub commit: Option<Commit>,
    /// `ROMUO_SOURCE`: "folder", "git main", "archive".
    pub source: Source,
    /// `ROMUO_HOME`: the folder that the app has at home, with its data.
    pub home: PathBuf,
    /// `ROMUO_VERDICT` and `ROMUO_REASON`, once it has failed; before that they are not set.
    pub outcome: Option<(Verdict, String)>,
}

impl Facts {
    /// As variables, for a step whose lines run in `folder`.
    fn variables(&self, step: &str, folder: &Path) -> Vec<(&'static str, String)> {
        let text = |id: Option<&ReleaseId>| id.map(ToString::to_string).unwrap_or_default();
        let commit = self.commit.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut variables = vec![
            ("ROMUO_APP", self.app.to_string()),
            ("ROMUO_RELEASE", text(self.release.as_ref())),
            ("ROMUO_PREVIOUS", text(self.previous.as_ref())),
            ("ROMUO_COMMIT", commit),
            ("ROMUO_SOURCE", self.source.to_string()),
            ("ROMUO_FOLDER", folder.display().to_string()),
            ("ROMUO_HOME", self.home.display().to_string()),
            ("ROMUO_STEP", step.to_owned()),
        ];
        if let Some((verdict, reason)) = &self.outcome {
            variables.push(("ROMUO_VERDICT", verdict.to_string()));
            variables.push(("ROMUO_REASON", reason.replace('\0', "")));
        }
        variables
    }
}

/// Runs lines of `[deploy]`, one after the other until one fails: each by `sh -c` in `folder`, as the owner
/// and in a session of its own, without input. What it prints goes to stderr at once and, up to 10 MiB, to
/// the end of the file `log`. `step` is the key of `[deploy]`; `tell` hears of each line as it begins.
///
/// A line is over when its shell is: what it leaves in its process group is killed. So is all of the group
/// when the line takes longer than `limit`, and when this is not waited for any more.
///
/// # Errors
/// Where a line fails, is killed, or takes too long, or the log cannot be written.
#[expect(
    clippy::too_many_arguments,
    reason = "each is a thing of its own, and there is one caller"
)]
pub async fn run(
    lines: &[String],
    step: &'static str,
    folder: &Path,
    owner: &Owner,
    facts: &Facts,
    log: &Path,
    limit: Duration,
    tell: impl Fn(&str),
) -> Result<(), ShipError> {
    if lines.is_empty() {
        return Ok(());
    }
    let variables = facts.variables(step, folder);
    let mut output = Log::open(log).map_err(ShipError::io("write", log))?;
    for line in lines {
        tell(line);
        let mark = Mark::begin(log).map_err(ShipError::io("write", log))?;
        let mut command = owner.command(["/bin/sh", "-c", line]);
        command.current_dir(folder).envs(variables.iter().cloned()).env(MARK, mark.text());
        output.begin(line).map_err(ShipError::io("write", log))?;
        let how = one(command, &mut output, log, limit).await;
        output.end();
        let how = how?;
        if let Some(how) = how {
            let (line, last, log) = (line.clone(), output.last(), PathBuf::from(log));
            return Err(ShipError::Line { step, line, how, last, log });
        }
    }
    Ok(())
}

/// Runs one line; how it failed, if it did.
async fn one(
    mut command: Command,
    output: &mut Log,
    log: &Path,
    limit: Duration,
) -> Result<Option<String>, ShipError> {
    let shell = |source| ShipError::Tool { program: "sh".into(), source };
    // Both streams in one, as in a terminal, so that their order is kept.
    let (stream, writer) = io::pipe().map_err(shell)?;
    command.stdout(writer.try_clone().map_err(shell)?).stderr(writer);
    let stream = Receiver::from_owned_fd(stream.into()).map_err(shell)?;
    let begun = Instant::now();
    let mut process = Process::start(command).map_err(shell)?;
    let run = async {
        let copied = copy(stream, output);
        tokio::pin!(copied);
        tokio::select! {
            copied = &mut copied => {
                copied.map_err(ShipError::io("write", log))?;
                process.ended().await.map_err(shell)
            }
            ended = process.ended() => {
                if let Ok(copied) = timeout(REST, copied).await {
                    copied.map_err(ShipError::io("write", log))?;
                }
                ended.map_err(shell)
            }
        }
    };
    let Ok(ended) = timeout(limit, run).await else {
        process.end().await.map_err(shell)?;
        let limit = format_duration(limit);
        return Ok(Some(format!("was killed: it took longer than `deploy.timeout`, {limit}")));
    };
    ended?;
    let status = process.end().await.map_err(shell)?;
    Ok((!status.success()).then(|| explain(status, begun.elapsed())))
}

/// Everything that a line prints.
async fn copy(mut stream: Receiver, log: &mut Log) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            length => log.add(buffer.get(..length).unwrap_or_default())?,
        }
    }
}

/// How a line ended that failed.
fn explain(status: ExitStatus, after: Duration) -> String {
    let after = format!("after {:.1} s", after.as_secs_f64());
    match (status.code(), status.signal()) {
        (Some(127), _) => format!("exited with code 127 {after}: a program in it was not found"),
        (Some(code), _) => format!("exited with code {code} {after}"),
        (None, Some(signal)) => format!("was killed by signal {signal} {after}"),
        (None, None) => format!("ended {after}"),
    }
}
