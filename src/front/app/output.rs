//! Where the app's output goes: to the journal, as two streams that can be told apart.
//!
//! The unit gives both streams one priority. So each gets a stream of its own: a connection to
//! journald that begins with lines about it (the protocol of `StandardOutput=journal`,
//! systemd-journald.service(8)) and then takes text. It costs the front nothing.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use rustix::stdio;

/// Where journald takes streams.
const STREAMS: &str = "/run/systemd/journal/stdout";

/// The priorities of the two streams (syslog(3)): informational, error.
const OUT: u8 = 6;
const ERR: u8 = 3;

/// Standard output and error of the app, which is called `identifier` in the journal. Where the
/// front's own error stream is not the journal, they are the front's.
pub(super) fn streams(identifier: &str) -> (Stdio, Stdio) {
    if !stderr_is_journal() {
        return (Stdio::inherit(), Stdio::inherit());
    }
    let open =
        |priority| stream(identifier, priority).map_or_else(|_| Stdio::inherit(), Stdio::from);
    (open(OUT), open(ERR))
}

/// A stream to the journal: name, unit (none: by the cgroup), priority, whether lines may begin with
/// one of their own, and whether to pass it on to syslog, kernel log and console.
fn stream(identifier: &str, priority: u8) -> io::Result<OwnedFd> {
    let mut stream = UnixStream::connect(STREAMS)?;
    write!(stream, "{identifier}\n\n{priority}\n0\n0\n0\n0\n")?;
    stream.shutdown(std::net::Shutdown::Read)?;
    Ok(stream.into())
}

/// Whether stderr is the stream to the journal that systemd opened: `JOURNAL_STREAM` holds its
/// device and inode (systemd.exec(5)). A redirected stderr has others.
pub(crate) fn stderr_is_journal() -> bool {
    let Ok(stat) = rustix::fs::fstat(stdio::stderr()) else {
        return false;
    };
    std::env::var("JOURNAL_STREAM")
        .is_ok_and(|stream| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}
