//! The other end of a unix socket, from the kernel (sock_diag(7)).

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// `SOCK_DIAG_BY_FAMILY` of linux/sock_diag.h: the kind of the question and of its answer.
const BY_FAMILY: u16 = 20;

/// `NLMSG_ERROR` of netlink(7): the answer is an error number.
const ERROR: u16 = 2;

/// `NLM_F_REQUEST` of netlink(7).
const REQUEST: u16 = 1;

/// `AF_UNIX`.
const UNIX: u8 = 1;

/// `UDIAG_SHOW_PEER` of linux/unix_diag.h: what is asked for.
const SHOW_PEER: u32 = 4;

/// `UNIX_DIAG_PEER` of linux/unix_diag.h: the attribute that answers it.
const PEER: u16 = 2;

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;

/// Bytes of the header and `struct unix_diag_req`.
const QUESTION: usize = HEADER + 24;

/// Bytes of the header and `struct unix_diag_msg`; the attributes follow.
const ANSWER: usize = HEADER + 16;

/// Bytes of an attribute's header, `struct nlattr`.
const ATTRIBUTE: usize = 4;

/// Room for an answer about one socket, which has less than a hundred bytes.
const ROOM: usize = 4096;

/// The inode of the socket that the one with `inode` is connected to: 0 while nobody has accepted it,
/// and again when that was closed; none: it is connected to nothing.
///
/// # Errors
/// Where the kernel cannot be asked, or does not know the socket.
pub(super) fn peer(inode: u64) -> io::Result<Option<u64>> {
    let inode = u32::try_from(inode).map_err(io::Error::other)?;
    let socket: OwnedFd = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    let kernel = SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(&socket, &question(inode), SendFlags::empty(), &kernel)?;
    let mut answer = [0; ROOM];
    let (length, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
    read(answer.get(..length).unwrap_or_default())
}

/// `struct nlmsghdr` and `struct unix_diag_req`.
fn question(inode: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(QUESTION);
    bytes.extend(u32::try_from(QUESTION).unwrap_or_default().to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    bytes.extend([0; 8]); // sequence number and sender: one question, one answer
    bytes.extend([UNIX, 0, 0, 0]); // family, protocol, padding
    bytes.extend(u32::MAX.to_ne_bytes()); // in any state
    bytes.extend(inode.to_ne_bytes());
    bytes.extend(SHOW_PEER.to_ne_bytes());
    bytes.extend([0xff; 8]); // no cookie
    bytes
}

/// What the kernel answered.
fn read(answer: &[u8]) -> io::Result<Option<u64>> {
    let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
    match u16_at(answer, 4).ok_or_else(short)? {
        BY_FAMILY => {}
        ERROR => {
            let error = u32_at(answer, HEADER).ok_or_else(short)?.cast_signed();
            return Err(io::Error::from_raw_os_error(error.wrapping_neg()));
        }
        other => return Err(io::Error::other(format!("an answer of kind {other}"))),
    }
    let mut at = ANSWER;
    while let Some((length, kind)) = u16_at(answer, at).zip(u16_at(answer, at + 2)) {
        if kind == PEER {
            return u32_at(answer, at + ATTRIBUTE).ok_or_else(short).map(|peer| Some(peer.into()));
        }
        // Attributes begin at multiples of four; one is never shorter than its header.
        at += usize::from(length).max(ATTRIBUTE).next_multiple_of(4);
    }
    Ok(None)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use proptest::prelude::*;

    use super::*;

    fn inode(socket: impl AsFd) -> u64 {
        rustix::fs::fstat(socket.as_fd()).unwrap().st_ino
    }

    #[test]
    fn the_accepted_end_of_a_unix_connection_is_known_once_it_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("app.sock")).unwrap();
        let client = UnixStream::connect(folder.path().join("app.sock")).unwrap();
        assert_eq!(peer(inode(&client)).unwrap(), Some(0), "in the queue");
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(peer(inode(&client)).unwrap(), Some(inode(&accepted)));
    }

    #[test]
    fn a_socket_that_is_not_there_is_an_error() {
        let (one, other) = UnixStream::pair().unwrap();
        let gone = inode(&one);
        drop((one, other));
        assert_eq!(peer(gone).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic_or_loop(answer in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&answer);
            let mut well_begun = question(7);
            well_begun.extend(&answer);
            let _ = read(&well_begun);
        }
    }
}
