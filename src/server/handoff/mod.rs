//! Idle connections go to a sibling when their instance ends, so that no client notices.
//!
//! A connection on which nothing is under way is a socket and nothing else. Its descriptor is passed to
//! another instance through the unix socket `ID.idle.sock` (unix(7), `SCM_RIGHTS`); what its client
//! sends in the meantime waits in the kernel and goes along.
//!
//! ```text
//! who leaves                        sibling
//!     ── OFFER, with up to 250 sockets ──►   takes slots for as many as it has
//!     ◄── how many of them, the first ones ──   and reads from none yet
//!     ── GO ──►                              reads from them: they are its own
//! ```
//!
//! Both hold a socket until GO, and only one of them may ever read from it. Who leaves says GO or closes
//! the door, and then it goes on with the sockets itself; the sibling waits for either, however long
//! that takes. So an answer that comes too late does no harm.
//!
//! Nobody takes anything while it drains itself or its app is down: where all instances end at once,
//! each keeps its own, for the linger.

mod receiver;
mod sender;
pub(super) mod wire;

use std::path::{Path, PathBuf};

pub(super) use receiver::open;
pub(super) use sender::HandOver;

/// Ending of a door's name, beside the control socket `1.sock`: `1.idle.sock`.
const SUFFIX: &str = "idle.sock";

/// The door of the instance that has this control socket.
pub(super) fn door_beside(control: &Path) -> PathBuf {
    control.with_extension(SUFFIX)
}
