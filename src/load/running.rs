//! A load that runs: live counters, the events that a caller waits on, the end.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Builder;

use super::gauge::Over;
use super::mix::Mix;
use super::report::Report;
use super::run::{Ending, Run, drive};

/// Starts the clients of a mix on the current tokio runtime. Their sockets belong to the network
/// namespace of the threads of that runtime.
///
/// # Panics
/// Outside of a tokio runtime, or in one whose clock and network are off.
#[must_use]
pub fn start(mix: Mix) -> Running {
    let run = Run::new(mix);
    tokio::spawn(drive(Ending::of(&run)));
    Running(run)
}

/// Starts the clients of a mix on a thread of their own, after `enter` has run there: it may take
/// the thread into another network namespace (setns(2) moves only the calling thread). The thread
/// ends with the load.
///
/// # Errors
/// Where the thread or its runtime cannot be made, or `enter` fails.
pub fn start_on_thread(
    mix: Mix,
    enter: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<Running> {
    let (entered, outcome) = mpsc::channel();
    thread::Builder::new().name("load".to_owned()).spawn(move || {
        let runtime =
            enter().and_then(|()| Builder::new_current_thread().enable_io().enable_time().build());
        match runtime {
            Ok(runtime) => {
                let run = Run::new(mix);
                let ending = Ending::of(&run);
                if entered.send(Ok(Running(run))).is_ok() {
                    runtime.block_on(drive(ending));
                }
            }
            // The receiver waits below: it cannot be gone.
            Err(error) => drop(entered.send(Err(error))),
        }
    })?;
    outcome.recv().map_err(|_gone| io::Error::other("the thread of the load ended early"))?
}

/// A load that runs. It may be watched and stopped from any thread. Dropped, it stops as well, and
/// its clients finish what they have in hand.
#[derive(Debug)]
pub struct Running(Arc<Run>);

impl Running {
    /// Requests sent so far.
    #[must_use]
    pub fn requests_sent(&self) -> u64 {
        self.0.tallies.iter().map(|tally| tally.numbers().sent).sum()
    }

    /// Good answers so far.
    #[must_use]
    pub fn requests_answered(&self) -> u64 {
        self.0.answered.count()
    }

    /// Requests lost so far.
    #[must_use]
    pub fn requests_lost(&self) -> u64 {
        self.0.tallies.iter().map(|tally| tally.numbers().lost).sum()
    }

    /// Time since the start.
    #[must_use]
    pub fn lasted(&self) -> Duration {
        self.0.lasted()
    }

    /// Waits for `more` further good answers since now.
    ///
    /// # Errors
    /// Where the load ends before.
    pub async fn until_answered(&self, more: u64) -> Result<(), Over> {
        self.0.answered.grown_by(more).await
    }

    /// Waits until each group of clients has had `more` further good answers since now.
    ///
    /// # Errors
    /// Where the load ends before.
    pub async fn until_each_answered(&self, more: u64) -> Result<(), Over> {
        join_all(self.0.tallies.iter().map(|tally| tally.answered.grown_by(more)))
            .await
            .into_iter()
            .collect()
    }

    /// Starts no request any more, finishes those in hand, and reports.
    pub async fn stop(self) -> Report {
        self.0.stop.cancel();
        self.finish().await
    }

    /// Waits until the mix has reached its end (its longest time, its number of requests), and
    /// reports.
    pub async fn finish(self) -> Report {
        self.0.over.cancelled().await;
        Report::of(&self.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop.cancel();
    }
}
