//! Asking another program: for itself, which is the only sure way to see what a shim of a version
//! manager runs, or for what a file of JavaScript says. An answer is bounded in time and size.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getegid, geteuid, kill_process_group, pidfd_open};

use super::search::Place;
use crate::account::Owner;

/// How long an answer may take: a cold pyenv starts a dozen shells, which takes a second on a slow
/// disk; what takes ten times that waits for something.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Most of an answer that is read, in bytes: a configuration, many times over.
const ANSWER_BYTES: u64 = 8 << 20;

/// What to ask of whom.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) program: &'a Path,
    pub(crate) arguments: &'a [&'a OsStr],
    /// Where it runs.
    pub(crate) directory: &'a Path,
    /// Its `PATH`.
    pub(crate) search: &'a OsStr,
    /// The files that decide what is run and what that does, the folder it runs in among them. Where one is
    /// another user's it is run as that user: root has no business running it.
    pub(crate) decide: &'a [&'a Path],
    /// How long the answer may take.
    pub(crate) limit: Duration,
}

/// What came of a question.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Question<'_> {
    /// Asks; none: there was no answer in time.
    pub(crate) fn ask(&self) -> io::Result<Option<Answer>> {
        let words = [self.program.as_os_str()].into_iter().chain(self.arguments.iter().copied());
        // In a session of its own, which is a group of its own too.
        let mut command = self.asked_as().command(words);
        command.current_dir(self.directory).env("PATH", self.search);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let until = Instant::now() + self.limit;
        let output = child.stdout.take().map(reading);
        let errors = child.stderr.take().map(reading);
        let wait = |text: Option<mpsc::Receiver<String>>| match text {
            Some(text) => text.recv_timeout(until.saturating_duration_since(Instant::now())).ok(),
            None => Some(String::new()),
        };
        let texts = (wait(output), wait(errors));
        // Its time is over: what is left of it, shells of a shim too, goes.
        let ended = texts.0.is_some() && texts.1.is_some() && ends(&child, until);
        if !ended && let Some(group) = pid_of(&child) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let status = child.wait()?;
        Ok(match texts {
            (Some(output), Some(errors)) if ended => Some(Answer { status, output, errors }),
            _ => None,
        })
    }

    fn asked_as(&self) -> Owner {
        let own = (geteuid().as_raw(), getegid().as_raw());
        let other = || self.decide.iter().find_map(|file| owner(file));
        let (uid, gid) = if geteuid().is_root() { other().unwrap_or(own) } else { own };
        Owner::with_ids(uid, gid)
    }
}

/// Whether a child whose output has ended ends as well in time.
fn ends(child: &Child, until: Instant) -> bool {
    let Some(Ok(ended)) = pid_of(child).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
        return false;
    };
    let left = until.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).ok();
    let mut waiting = [PollFd::new(&ended, PollFlags::IN)];
    poll(&mut waiting, left.as_ref()).is_ok_and(|ready| ready > 0)
}

fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

/// The text of a stream, when it has ended. What is no UTF-8 is replaced.
fn reading(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, text) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.take(ANSWER_BYTES).read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    text
}

/// The lines that `program` prints, as it runs in the app's folder; none: it did not answer well. `by` is the
/// file that led to it.
pub(super) fn ask(
    program: &Path,
    arguments: &[&str],
    by: &Path,
    place: &Place<'_>,
) -> Option<Vec<String>> {
    let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
    let question = Question {
        program,
        arguments: &arguments,
        directory: place.directory,
        search: place.search,
        decide: &[place.directory, by, program],
        limit: ANSWER_MAX,
    };
    let answer = question.ask().ok()??;
    answer.status.success().then(|| answer.output.lines().map(|l| l.trim().into()).collect())
}

/// The user who decides what `file` does, where that is not root: the owner of the link or of what
/// it leads to.
fn owner(file: &Path) -> Option<(u32, u32)> {
    let found = [fs::symlink_metadata(file), fs::metadata(file)];
    let owners = found.into_iter().flatten().map(|found| (found.uid(), found.gid()));
    { owners }.find(|(uid, _)| *uid != 0)
}
