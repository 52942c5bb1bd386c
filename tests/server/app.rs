//! What tests do to an app, and what they ask of its front.

use std::thread;
use std::time::Instant;

use romuo::health::{SwapAnswer, SwapState, may_swap, swap};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::ask;
use crate::instance::{DEADLINE, Machine};

/// An app that is started again at once and has no idle connections to wait for.
pub(crate) const QUICK: &str = "[reload]\nlinger = \"0s\"\n[limits]\nrestart_delay = \"1ms\"\n";

/// The body of an answer, on a connection of its own.
pub(crate) fn get(machine: &Machine, path: &str) -> String {
    let answer = ask(machine.address(), path);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    body.to_owned()
}

pub(crate) fn pid(text: &str) -> Pid {
    Pid::from_raw(text.parse().unwrap()).unwrap()
}

pub(crate) fn kill(app: &str) {
    kill_process(pid(app), Signal::KILL).unwrap();
}

pub(crate) fn is_gone(process: &str) -> bool {
    test_kill_process(pid(process)).is_err()
}

/// Waits for something outside of this process, of which nothing tells.
#[track_caller]
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        thread::yield_now();
    }
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Swaps the app of the first instance.
pub(crate) fn swapped(machine: &Machine) -> SwapAnswer {
    wait(swap(&machine.control("1"), DEADLINE)).unwrap()
}

/// What the first instance says of swaps.
pub(crate) fn swap_state(machine: &Machine) -> SwapState {
    wait(may_swap(&machine.control("1"), DEADLINE)).unwrap()
}
