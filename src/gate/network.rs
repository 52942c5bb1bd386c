//! The network that the app's sockets are in.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Moves this thread into the network of PID 1, which holds the listening sockets. A unit with
/// `PrivateNetwork=yes` has another one, and `+` before a command does not lift that. Call it before
/// there is a second thread.
///
/// # Errors
/// Where setns(2) or /proc says no: only root may.
pub(super) fn enter_that_of_the_sockets() -> io::Result<()> {
    const OURS: &str = "/proc/self/ns/net";
    const THEIRS: &str = "/proc/1/ns/net";
    if fs::read_link(OURS)? == fs::read_link(THEIRS)? {
        return Ok(());
    }
    let network = File::open(THEIRS)?;
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok(())
}
