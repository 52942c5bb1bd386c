//! `romuo`: the process manager a server already has.
//!
//! The library behind the two binaries `romuoctl` (the tool) and `romuo-server` (what an instance
//! runs). Each folder is one room; a room may use only the rooms above it in this list:
//!
//! | room | holds |
//! |---|---|
//! | [`text`] | text of others, as it may be printed; words that were mistyped |
//! | [`mod@unit`] | names of apps, instances and units; the states systemd reports |
//! | [`account`] | the users of the machine, and programs that run as one of them |
//! | [`clock`] | the clocks that no one sets |
//! | [`config`] | `romuo.toml`: what the file says -> merged with the defaults -> [`config::Settings`] |
//! | [`mod@lock`] | locks that nobody can hold but who may write them |
//! | [`health`] | the wire type of `/health` and the probe that asks for it |
//! | [`gate`] | the readiness of an app that takes the sockets itself: asks the kernel who answers |
//! | [`guard`] | the crash guard: counts quick crashes, says when an instance is errored |
//! | [`recycle`] | when an instance is started anew before its memory runs out, one at a time |
//! | [`release`] | the releases of an app: staged whole or not at all, pinned, remembered, pruned |
//! | [`program`] | a command -> the program that really runs, and what of a home it needs |
//! | [`render`] | settings -> text of the units; pure |
//! | [`install`] | rendered units -> a plan of typed changes -> applied below a root |
//! | [`manager`] | the service manager as a trait; systemd over D-Bus behind it |
//! | [`roll`] | the state machine of a rolling restart and its driver |
//! | [`journal`] | reading `journalctl --output=json` |
//! | [`mod@budget`] | how many bytes clients may make an instance hold |
//! | [`upstream`] | HTTP/1.1 to the app: codec, connections, pool |
//! | [`front`] | what stands between the clients and the app |
//! | [`server`] | accept loop, drain, router, readiness, watchdog |
//! | [`sandbox`] | a throwaway machine with a real systemd in namespaces |
//! | [`load`] | HTTP clients that never retry and see every failure |
//! | [`adopt`] | a folder, or the configuration of another manager -> `romuo.toml` |
//! | [`ship`] | what a deploy does before there is a release: source, build, settings |
//! | [`cli`] | one file per verb of `romuoctl`; nobody imports it |

pub mod account;
pub mod adopt;
pub mod budget;
pub mod cli;
pub mod clock;
pub mod config;
pub mod front;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod gate;
pub mod guard;
pub mod health;
pub mod install;
pub mod journal;
pub mod load;
pub mod lock;
pub mod manager;
pub mod program;
pub mod recycle;
pub mod release;
pub mod render;
pub mod roll;
pub mod sandbox;
pub mod server;
pub mod ship;
pub mod text;
pub mod unit;
pub mod upstream;
