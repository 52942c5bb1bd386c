//! Reading the journal, through a child `journalctl --output=json`: it knows the formats, the
//! permissions and how to follow (journalctl(1), systemd.journal-fields(7)).

mod entry;
mod explain;

use std::collections::VecDeque;
use std::process::Stdio;

use miette::Diagnostic;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

pub use entry::{Entry, Stream};
pub use explain::{Cause, Hint, Hints, Network, explain};

use crate::account::tool;
use crate::unit::{AppName, InstanceId, UnitName};

/// Why the journal could not be read.
#[derive(Debug, Error, Diagnostic)]
pub enum JournalError {
    /// There is no journalctl.
    #[error("could not run journalctl: {0}")]
    #[diagnostic(help("journalctl comes with systemd; is it in /usr/bin?"))]
    Run(#[source] std::io::Error),
    /// journalctl ended with an error.
    #[error("journalctl failed: {0}")]
    #[diagnostic(help("to read the journal one has to be root or in the group systemd-journal"))]
    Failed(String),
    /// It printed what is no journal entry.
    #[error("journalctl printed a line that is no journal entry: {0}")]
    Malformed(#[source] serde_json::Error),
}

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    units: Vec<String>,
    lines: Option<u32>,
    since: Option<String>,
    follow: bool,
    stream: Option<Stream>,
    /// Only what programs wrote to either stream.
    programs: bool,
}

impl Query {
    /// All that an app's units said, and what systemd said of them.
    #[must_use]
    pub fn app(app: &AppName) -> Self {
        let instances = format!("{app}@*.service");
        let whole = app.whole().map(|unit| unit.to_string());
        Self { units: [instances].into_iter().chain(whole).collect(), ..Self::none() }
    }

    /// What the units of several apps said, in the order of time.
    #[must_use]
    pub fn apps(apps: &[AppName]) -> Self {
        Self { units: apps.iter().flat_map(|app| Self::app(app).units).collect(), ..Self::none() }
    }

    /// What one instance said.
    #[must_use]
    pub fn instance(app: &AppName, id: InstanceId) -> Self {
        Self::unit(&app.instance(id))
    }

    /// What one unit said.
    #[must_use]
    pub fn unit(unit: &UnitName) -> Self {
        Self { units: vec![unit.to_string()], ..Self::none() }
    }

    /// Only the last `count` entries.
    #[must_use]
    pub fn lines(self, count: u32) -> Self {
        Self { lines: Some(count), ..self }
    }

    /// Only entries since then, in journalctl's words: `2026-02-12 14:50`, `-1h`, `today`.
    #[must_use]
    pub fn since(self, since: Option<String>) -> Self {
        Self { since, ..self }
    }

    /// Go on with new entries as they come.
    #[must_use]
    pub fn follow(self, follow: bool) -> Self {
        Self { follow, ..self }
    }

    /// Only what programs wrote to this stream.
    #[must_use]
    pub fn stream(self, stream: Stream) -> Self {
        Self { stream: Some(stream), ..self }
    }

    /// Only what programs wrote to their standard output or error, and nothing of systemd or romuo.
    #[must_use]
    pub fn programs(mut self) -> Self {
        // The roll is a program too, and romuo's.
        self.units.retain(|unit| unit.contains('@'));
        Self { programs: true, ..self }
    }

    /// Starts reading.
    ///
    /// # Errors
    /// Where journalctl cannot be run.
    pub fn read(&self) -> Result<Entries, JournalError> {
        let mut command = Command::new(tool("journalctl"));
        command.args(self.arguments()).stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(JournalError::Run)?;
        let lines = child.stdout.take().map(|out| BufReader::new(out).lines());
        // What journalctl does not count is counted here.
        let last = self.lines.filter(|_| self.printed().is_none());
        Ok(Entries { child: Some(child), lines, last, kept: VecDeque::new() })
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// As [`Query::read`] and [`Entries::next`].
    pub async fn read_all(&self) -> Result<Vec<Entry>, JournalError> {
        let mut entries = self.read()?;
        let mut all = Vec::new();
        while let Some(entry) = entries.next().await? {
            all.push(entry);
        }
        Ok(all)
    }

    fn none() -> Self {
        Self {
            units: Vec::new(),
            lines: None,
            since: None,
            follow: false,
            stream: None,
            programs: false,
        }
    }

    /// How many entries journalctl itself is to print: with a time to begin at it prints the first ones after
    /// that, and not the last ones of all.
    fn printed(&self) -> Option<u32> {
        self.lines.filter(|_| self.since.is_none() || self.follow)
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--output=json".into(), "--no-pager".into(), "--quiet".into()];
        arguments.push("--all".into());
        arguments.extend(self.units.iter().map(|unit| format!("--unit={unit}")));
        arguments.extend(self.printed().map(|count| format!("--lines={count}")));
        arguments.extend(self.since.as_ref().map(|since| format!("--since={since}")));
        arguments.extend(self.stream.iter().flat_map(|stream| stream.fields()));
        arguments.extend(self.programs.then(|| "_TRANSPORT=stdout".into()));
        arguments.extend(self.follow.then(|| "--follow".into()));
        arguments
    }
}

/// Entries as journalctl prints them, oldest first. Dropping it ends journalctl.
#[derive(Debug)]
pub struct Entries {
    child: Option<Child>,
    lines: Option<Lines<BufReader<ChildStdout>>>,
    /// Some: only the last ones, so many, are wanted, and are to be read.
    last: Option<u32>,
    /// Those.
    kept: VecDeque<Entry>,
}

impl Entries {
    /// The next entry; none at the end. When following there is no end.
    ///
    /// # Errors
    /// Where journalctl fails, or prints what is no entry.
    pub async fn next(&mut self) -> Result<Option<Entry>, JournalError> {
        if let Some(count) = self.last.take() {
            while let Some(entry) = self.read_one().await? {
                self.kept.push_back(entry);
                if self.kept.len() > count as usize {
                    self.kept.pop_front();
                }
            }
        }
        match self.kept.pop_front() {
            Some(entry) => Ok(Some(entry)),
            None => self.read_one().await,
        }
    }

    async fn read_one(&mut self) -> Result<Option<Entry>, JournalError> {
        let Some(lines) = &mut self.lines else { return Ok(None) };
        match lines.next_line().await.map_err(JournalError::Run)? {
            Some(line) => Entry::parse(&line).map(Some).map_err(JournalError::Malformed),
            None => self.finish().await.map(|()| None),
        }
    }

    async fn finish(&mut self) -> Result<(), JournalError> {
        self.lines = None;
        let Some(child) = self.child.take() else { return Ok(()) };
        let output = child.wait_with_output().await.map_err(JournalError::Run)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(JournalError::Failed(match said.trim() {
            "" => output.status.to_string(),
            said => said.to_owned(),
        }))
    }
}

/// Waits until the journal holds what has been said so far (`journalctl --sync`); only root may.
///
/// # Errors
/// Where journalctl cannot be run.
pub async fn sync() -> Result<(), JournalError> {
    let mut command = Command::new(tool("journalctl"));
    command.arg("--sync").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.map(drop).map_err(JournalError::Run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_becomes_the_arguments_of_journalctl() {
        let app = AppName::default();
        let query = Query::app(&app).lines(15).since(Some("-1h".into())).follow(true);
        let arguments = query.arguments().join(" ");
        let err = Query::unit(&app.roll()).stream(Stream::Stderr).arguments().join(" ");
        assert!(err.contains(" _TRANSPORT=stdout PRIORITY=0 PRIORITY=1 "), "{err}");
        assert_eq!(
            arguments,
            "--output=json --no-pager --quiet --all --unit=romuo@*.service --unit=romuo.service \
             --unit=romuo.socket --unit=romuo.target --lines=15 --since=-1h --follow"
        );
    }
}
