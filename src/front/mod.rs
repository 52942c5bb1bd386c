//! What stands between the clients and the app.
//!
//! | part | holds |
//! |---|---|
//! | `framing`, `strict` | which requests are refused: what two programs could read in two ways |
//! | `hop`, `forwarded`, `request_id`, `trailers` | what of a request's and an answer's head and trailers is passed on |
//! | `upload` | a request's body, which has to come at a pace |
//! | `slow_start` | how many requests of one connection the app has at a time |
//! | `forward`, `resend`, `attempts`, `body` | a request's way to the app, and a second one where that fails |
//! | `reply`, `refusal` | the answer, of the app or of the front itself |
//! | `tunnel`, `websocket`, `events`, `ending` | what goes on for ever, and how it ends well |
//! | `app` | the app itself, as a child process |
//! | `route`, `siblings` | which generation of the app takes requests now; the other instances |

mod app;
mod attempts;
mod body;
mod ending;
mod events;
mod forward;
mod forwarded;
mod framing;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod hop;
mod refusal;
mod reply;
mod request_id;
mod resend;
mod route;
mod siblings;
mod slow_start;
mod strict;
mod trailers;
mod tunnel;
mod upload;
mod websocket;

pub(crate) use app::{App, AppError, Swapped, env_file, stderr_is_journal};
pub(crate) use forward::{Entry, Front, Tunnel};
pub(crate) use forwarded::Peer;
pub(crate) use framing::{Framing, Seen};
pub(crate) use refusal::{Complaints, Early};
pub(crate) use reply::FrontBody;
#[cfg(test)]
pub(crate) use route::Generation;
pub(crate) use route::Route;
pub(crate) use siblings::Siblings;
pub(crate) use slow_start::Begun;
pub(crate) use strict::check as check_request;
pub(crate) use upload::{Pace, Upload};
