//! Hostile clients, and a hostile app: what romuo has to bear.
//!
//! | part | holds |
//! |---|---|
//! | `rows/` | the cases, as data: what is sent, what must come, the most memory |
//! | `script`, `frames` | what a client does, step by step; HTTP/2 by hand |
//! | `client`, `good` | clients that do it; the good ones beside them |
//! | `app` | the hostile app, which answers by the path |
//! | `ground`, `loopback`, `machine` | where it happens: processes on this machine, or units on a throwaway one |
//! | `trial`, `exchange` | brings a row about and judges it |
//! | `outcome` | what became of it |
//! | `table` | the table of docs/security.md |

pub(crate) mod app;
mod client;
mod exchange;
mod frames;
mod good;
pub(crate) mod ground;
mod loopback;
mod machine;
pub(crate) mod outcome;
pub(crate) mod rows;
mod script;
pub(crate) mod table;
pub(crate) mod trial;

use std::error::Error;

/// Bytes of the large file: more than the buffers of any socket hold.
pub(crate) const LARGE: usize = 20 << 20;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// An error that is a sentence.
pub(crate) fn broken(sentence: String) -> Box<dyn Error> {
    sentence.into()
}
