//! Asking a program for itself: the only sure way to see what a shim of a version manager runs.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::search::Place;

/// How long an answer may take: a cold pyenv starts a dozen shells, which takes a second on a slow
/// disk; what takes ten times that waits for something.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Most of an answer that is read, in bytes: some paths.
const ANSWER_BYTES: u64 = 64 << 10;

/// The lines that `program` prints, as it runs in the app's folder; the error says why there are
/// none.
///
/// What is another user's is asked as that user: root has no business running it.
pub(super) fn ask(
    program: &Path,
    arguments: &[&str],
    place: &Place<'_>,
) -> Result<Vec<String>, String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(place.directory)
        .env("PATH", place.search)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    if rustix::process::geteuid().is_root()
        && let Some((uid, gid)) = owner(program)
    {
        command.uid(uid).gid(gid);
        command.env("HOME", home_of(uid).unwrap_or_else(|| "/".into()));
    }
    let failed = |error: std::io::Error| format!("{} did not run: {error}", program.display());
    let mut child = command.spawn().map_err(failed)?;
    let Some(output) = child.stdout.take() else { return Err("it has no output".into()) };
    let (sender, answer) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = output.take(ANSWER_BYTES).read_to_string(&mut text);
        let _ = sender.send(read.map(|_| text));
    });
    let answer = answer.recv_timeout(ANSWER_MAX);
    // Its output has ended, or its time has: what is left of it, shells of a shim too, goes.
    if answer.is_err()
        && let Some(group) = Pid::from_raw(i32::try_from(child.id()).unwrap_or_default())
    {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let status = child.wait().map_err(failed)?;
    match answer {
        Ok(Ok(text)) if status.success() => Ok(text.lines().map(|l| l.trim().into()).collect()),
        Ok(_) => Err(format!("{} failed ({status})", program.display())),
        Err(_) => Err(format!("{} did not answer in {ANSWER_MAX:?}", program.display())),
    }
}

/// The user who decides what `program` does, where that is not root: the owner of the link or of
/// what it leads to.
fn owner(program: &Path) -> Option<(u32, u32)> {
    let link = fs::symlink_metadata(program);
    let file = fs::metadata(program);
    let owners = [link, file].into_iter().flatten().map(|found| (found.uid(), found.gid()));
    { owners }.find(|(uid, _)| *uid != 0)
}

/// The home of a user (passwd(5)).
fn home_of(uid: u32) -> Option<PathBuf> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let mut users = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let user = users.find(|fields| fields.get(2).is_some_and(|id| *id == uid.to_string()))?;
    user.get(5).map(PathBuf::from)
}
