//! What is waited for, so that nothing waits in silence: a spinner on a terminal, lines elsewhere.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval_at};

use super::output::Printer;

/// Time between two frames of the spinner.
const FRAME: Duration = Duration::from_millis(100);

/// Time after which a line says once more what is waited for: who reads a log of CI wonders by then.
const AGAIN: Duration = Duration::from_secs(10);

/// Something that is waited for, until it is dropped.
pub(super) enum Waiting {
    /// On a terminal.
    Spinner(ProgressBar),
    /// Elsewhere: what was said last, and who says it again.
    Lines { printer: Printer, last: Arc<Mutex<String>>, again: JoinHandle<()> },
    /// Nobody wants to know.
    Silent,
}

impl Waiting {
    /// Begins to wait for this.
    pub(super) fn begin(printer: &Printer, what: &str) -> Self {
        if printer.quiet {
            return Self::Silent;
        }
        if std::io::stderr().is_terminal() {
            let spinner = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
            spinner.enable_steady_tick(FRAME);
            spinner.set_message(what.to_owned());
            return Self::Spinner(spinner);
        }
        let last = Arc::new(Mutex::new(what.to_owned()));
        let (begun, told, still) = (Instant::now(), Arc::clone(&last), printer.clone());
        printer.tell(what);
        let again = tokio::spawn(async move {
            let mut ticks = interval_at(begun + AGAIN, AGAIN);
            loop {
                ticks.tick().await;
                let what = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
                still.tell(format!("still, after {} s: {what}", begun.elapsed().as_secs()));
            }
        });
        Self::Lines { printer: printer.clone(), last, again }
    }

    /// It is waited for something else by now.
    pub(super) fn is_for(&self, what: &str) {
        match self {
            Self::Spinner(spinner) => spinner.set_message(what.to_owned()),
            Self::Lines { printer, last, .. } => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if *last != what {
                    what.clone_into(&mut last);
                    printer.tell(what);
                }
            }
            Self::Silent => {}
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        match self {
            Self::Spinner(spinner) => spinner.finish_and_clear(),
            Self::Lines { again, .. } => again.abort(),
            Self::Silent => {}
        }
    }
}
