//! One byte at a time, and the descriptors that come with it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::geteuid;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Descriptors in one message: a little below what the kernel lets pass (253, unix(7)), and a count
/// that fits the byte of the answer.
pub(in super::super) const MOST: usize = 250;

/// These sockets are offered. Another protocol than this one gets another byte.
pub(in super::super) const OFFER: u8 = 1;

/// Those that were taken change hands.
pub(in super::super) const GO: u8 = 2;

/// Whether the other end is a process of the same user, as every sibling is.
pub(in super::super) fn is_of_same_user(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == geteuid().as_raw())
}

/// Sends a byte, and with it at most [`MOST`] descriptors. It is sent as a whole or not at all.
pub(in super::super) async fn send(
    stream: &UnixStream,
    byte: u8,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let sending = || {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let rights = SendAncillaryMessage::ScmRights(descriptors);
        if !descriptors.is_empty() && !control.push(rights) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        sendmsg(stream, &[IoSlice::new(&[byte])], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    };
    stream.async_io(Interest::WRITABLE, sending).await
}

/// Receives a byte and what comes with it. No child inherits the descriptors.
///
/// # Errors
/// `UnexpectedEof`: the other end has closed.
pub(in super::super) async fn receive(stream: &UnixStream) -> io::Result<(u8, Vec<OwnedFd>)> {
    let receiving = || {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let parts = &mut [IoSliceMut::new(&mut byte)];
        if recvmsg(stream, parts, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        Ok((byte[0], descriptors))
    };
    stream.async_io(Interest::READABLE, receiving).await
}
