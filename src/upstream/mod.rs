//! HTTP/1.1 to the app: the client side of a front.
//!
//! It is romuo's own because a front has to know what no general client tells: whether a byte of a
//! request was sent, and whether one of its answer came. Every safe second try rests on that. It is
//! also cheap: nothing is spawned and nothing is handed over, the task that answers the client polls
//! the connection to the app itself.
//!
//! | part | holds |
//! |---|---|
//! | `head`, `answer`, [`chunked`] | the codec, pure: a request's head, an answer's head, chunks |
//! | `socket` | where the app listens, and a connection to it |
//! | `sending`, `exchange`, `body` | a request on its way, its answer, the answer's body |
//! | `pool`, `turns` | connections: who is next to get one, those that are kept |

mod answer;
mod body;
pub mod chunked;
mod error;
mod exchange;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod head;
mod pool;
mod sending;
mod socket;
mod turns;

#[cfg(test)]
mod tests;

pub(crate) use answer::Malformed;
pub use answer::is_head;
pub(crate) use body::{Answer, AnswerBody};
pub(crate) use error::{Failed, Sent, UpstreamError};
pub(crate) use exchange::piece;
pub(crate) use pool::Pool;
pub(crate) use socket::{Address, Socket};
