//! A program under way, with all that it starts.

use std::io;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Most that is kept of what git or tar says, in bytes: a list of files that changed, many times over.
const SAID_MAX: u64 = 4 << 20;

/// How long the rest of what a program said is waited for once it has ended: it is there already, unless
/// something that it left behind, such as the master of a connection of ssh, has its output too.
pub(super) const REST: Duration = Duration::from_millis(200);

/// A program that leads a session, and so a group of its own. Whatever is left of the group is killed when
/// the program has ended, or is not waited for any more.
pub(super) struct Process {
    child: Child,
    pid: Pid,
    /// Tells of its end while its number is still taken.
    ended: watch::Receiver<bool>,
    is_reaped: bool,
}

impl Process {
    pub(super) fn start(command: std::process::Command) -> io::Result<Self> {
        let child = Command::from(command).spawn()?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let pid = pid.ok_or_else(|| io::Error::other("it ended as it began"))?;
        let (tell, ended) = watch::channel(false);
        let process = Self { child, pid, ended, is_reaped: false };
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        // The thread goes with the process, which goes with this.
        spawn_blocking(move || {
            // Readable from its end on (pidfd_open(2)).
            while poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None) == Err(Errno::INTR) {}
            tell.send_replace(true);
        });
        Ok(process)
    }

    /// Waits until it has ended, and may be told more than once.
    pub(super) async fn ended(&self) -> io::Result<()> {
        let mut ended = self.ended.clone();
        ended.wait_for(|ended| *ended).await.map(drop).map_err(io::Error::other)
    }

    /// Kills what is left of it, and says how it ended.
    pub(super) async fn end(&mut self) -> io::Result<ExitStatus> {
        self.kill();
        let status = self.child.wait().await?;
        self.is_reaped = true;
        Ok(status)
    }

    fn kill(&self) {
        // Its number is its own until it is waited for. Before its session has begun there is no such group.
        if kill_process_group(self.pid, Signal::KILL).is_err() {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.kill();
        }
    }
}

/// What a shell exits with where it cannot find a program (sh(1)).
const NOT_FOUND: i32 = 127;

/// Runs a program of an owner to its end, and brings what it said; none: it took longer than that.
pub(super) async fn ask(
    mut command: std::process::Command,
    limit: Duration,
) -> io::Result<Option<Output>> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process::start(command)?;
    let (out, err) = (process.child.stdout.take(), process.child.stderr.take());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let run = async {
        let said = async { tokio::join!(hear(out, &mut stdout), hear(err, &mut stderr)) };
        tokio::pin!(said);
        tokio::select! {
            _ = &mut said => process.ended().await,
            ended = process.ended() => {
                let _ = timeout(REST, said).await;
                ended
            }
        }
    };
    match timeout(limit, run).await {
        Err(_) => return Ok(None),
        Ok(ended) => ended?,
    }
    // It has ended: only what it left behind is killed.
    let status = process.end().await?;
    if status.code() == Some(NOT_FOUND) {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(Some(Output { status, stdout, stderr }))
}

/// What a program says, up to the limit. One that cannot be heard any more is one that says nothing.
async fn hear(stream: Option<impl AsyncRead + Unpin>, bytes: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let _ = { &mut stream }.take(SAID_MAX).read_to_end(bytes).await;
    // The rest is of no use, but a full pipe would stop the program.
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}
