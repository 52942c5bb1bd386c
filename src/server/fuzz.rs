//! Properties of what a connection and a sibling bring, for the fuzzer: see `src/fuzz.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a property that does not hold ends in a panic"
)]

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd};

use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::net::UnixStream;

use super::connection::{Protocol, protocol_of};
use super::handoff::wire::{self, MOST};
use crate::fuzz::{Peer, drive, ways_to_cut};

/// What a connection speaks is known once and for good, as soon as a byte tells, and is HTTP/2 where the
/// server of h2 takes the same bytes for its preface.
pub(crate) fn preface(bytes: &[u8]) {
    let mut known = None;
    for end in 0..=bytes.len() {
        let now = protocol_of(&bytes[..end]);
        assert!(known.is_none() || now == known, "{known:?}, and then {now:?}");
        known = now;
    }
    // A preface is 24 bytes long: more need not be waited for.
    assert!(known.is_some() || bytes.len() < 24);
    for pieces in ways_to_cut(bytes).into_iter().take(3) {
        let peer = TokioIo::new(Peer::new(pieces));
        let is_http2 = drive(h2::server::handshake(peer)).is_ok();
        assert_eq!(is_http2, known == Some(Protocol::Http2));
    }
}

/// Descriptors in one message that the kernel lets pass (unix(7)).
const KERNEL_MOST: usize = 253;

/// Descriptors on their way at the same time: the kernel counts them against the limit of open files.
const ON_THEIR_WAY: usize = 600;

/// Messages of a sibling, at most: its socket holds them all.
const MESSAGES: usize = 64;

/// What a sibling sends arrives byte by byte, each with the descriptors that came with it, as many as there is
/// room for and none that a child would inherit; and none is left open once it is dropped.
pub(crate) fn handover(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (read, write) = std::io::pipe().unwrap();
        let mut sent = Vec::new();
        let mut left = ON_THEIR_WAY;
        for message in bytes.chunks(3).take(MESSAGES) {
            // How many descriptors, how many bytes, and what these are.
            let &[count, length, first] = message else { break };
            let count = usize::from(count).min(KERNEL_MOST).min(left);
            left -= count;
            let data: Vec<u8> = (0..=length % 4).map(|at| first.wrapping_add(at)).collect();
            let descriptors = vec![write.as_fd(); count];
            if data.len() == 1 && count <= MOST {
                wire::send(&theirs, first, &descriptors).await.unwrap();
            } else {
                send_raw(&theirs, &data, &descriptors);
            }
            sent.push((first, count));
            sent.extend(data.iter().skip(1).map(|byte| (*byte, 0)));
        }
        drop((theirs, write));
        for (byte, count) in sent {
            let (came, descriptors) = wire::receive(&ours).await.unwrap();
            assert_eq!(came, byte);
            // Of more than there is room for, some are let go of; how many fit is the kernel's affair.
            let fitting = if count > MOST { MOST..=count } else { count..=count };
            assert!(fitting.contains(&descriptors.len()), "{} of {count}", descriptors.len());
            for descriptor in descriptors {
                assert!(fcntl_getfd(&descriptor).unwrap().contains(FdFlags::CLOEXEC));
            }
        }
        let end = wire::receive(&ours).await.map(|(byte, _)| byte);
        assert_eq!(end.map_err(|error| error.kind()), Err(std::io::ErrorKind::UnexpectedEof));
        // The other end of the pipe is closed once all its descriptors are.
        let mut watched = [PollFd::new(&read, PollFlags::IN)];
        let patience = Timespec { tv_sec: 60, tv_nsec: 0 };
        assert_eq!(poll(&mut watched, Some(&patience)), Ok(1), "a descriptor is left open");
        assert!(watched[0].revents().contains(PollFlags::HUP));
    });
}

/// As another program might send it: several bytes, and as many descriptors as the kernel takes.
fn send_raw(stream: &UnixStream, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(KERNEL_MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
    }
    let sent = sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL);
    assert_eq!(sent, Ok(bytes.len()));
}
