//! Recycling: an instance that nears its memory limit, or has got old, finishes what it has and is
//! started anew, before the kernel ends it with everything in hand.
//!
//! - [`Watch`] says whether it is time, and why; pure.
//! - [`Turns`] lets one instance of an app at a time, across its restart.
//! - [`RollLock`] keeps recycling and rolls apart.
//! - [`Record`] is what is remembered of it.
//!
//! An instance takes the turn first and then looks for a roll; a roll takes its lock first and then
//! looks for a turn. So one of the two always sees the other: the instance gives way, the roll waits.

mod lock;
mod record;
mod turn;
mod watch;

pub use self::lock::RollLock;
pub use self::record::Record;
pub use self::turn::{Held, Turn, Turns};
pub use self::watch::{Memory, Reason, Rules, Sample, Verdict, Watch};
